"""A customer as Nomod lists it, decoded leniently: only the id has to be there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from connectors.errors import UnexpectedResponseError
from connectors.models import Candidate, Customer
from connectors.nomod.customers import MARKER_PREFIX, is_hashed, marker_of, names_of
from connectors.nomod.fields import email_key

_ID = re.compile(r"[!-~]{1,128}")
RECORD_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}")
"""What may be an id: documented are UUIDs, the specification's examples look like `cust_nomod123abc`."""
_NO_DIGIT = re.compile(r"[^\d+]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One customer at Nomod. Every field but `id` may be missing, null, or of another type than documented."""

    id: str
    first_name: str = field(default="", repr=False)
    last_name: str = field(default="", repr=False)
    business_name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    job_title: str = field(default="", repr=False)
    created: datetime | None = None

    @classmethod
    def read(cls, value: object) -> Self:
        """Read a row. Raises UnexpectedResponseError when it has no id: what it is can then not be known."""
        if not isinstance(value, Mapping):
            raise UnexpectedResponseError("a customer in the answer is no object")
        return cls(
            id=readable_id(value),
            first_name=_text(value, "first_name"),
            last_name=_text(value, "last_name"),
            business_name=_text(value, "business_name"),
            email=_text(value, "email"),
            phone=_NO_DIGIT.sub("", _text(value, "phone_number")),
            job_title=_text(value, "job_title"),
            created=moment(value.get("created")),
        )

    @property
    def key(self) -> str:
        """The e-mail address in the form in which addresses are compared."""
        return email_key(self.email)

    def candidate(self, customer: Customer | None = None) -> Candidate:
        """Return the row as the gateway's matching wants it; without `customer`, whoever it belongs to.

        A row with the names that a create sends for this customer has the customer's name, even if it had to be cut,
        or is written in another order than its parts.
        """
        name = " ".join(part for part in (self.first_name, self.last_name) if part) or self.business_name
        if customer is not None and (self.first_name, self.last_name) == names_of(customer):
            name = customer.full_name
        return Candidate(
            provider_entity_id=self.id,
            name=name,
            emails=(self.email,) if self.email else (),
            phone=self.phone,
            marker=self._marker(customer),
            created_at=self.created,
        )

    def _marker(self, customer: Customer | None) -> str | None:
        if not self.job_title.startswith(MARKER_PREFIX):
            return None
        carried = self.job_title.removeprefix(MARKER_PREFIX)
        if customer is not None and self.job_title == marker_of(customer):
            return customer.reference
        return None if customer is None and is_hashed(carried) else carried


def readable_id(value: Mapping[Any, Any]) -> str:
    """Return the object's `id`. Raises UnexpectedResponseError when there is none that can be stored and asked for."""
    found = value.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise UnexpectedResponseError("a record in the answer has no readable id")
    return found


def unwrapped(body: object) -> object:
    """Return the customer in an answer about one: the body itself, or what it holds as `data` or `customer`."""
    if isinstance(body, Mapping) and "id" not in body:
        return next((body[key] for key in ("data", "customer") if isinstance(body.get(key), Mapping)), body)
    return body


def moment(value: object) -> datetime | None:
    """Return a date-time of the API (ISO 8601, GMT) as aware UTC, or None when it cannot be read."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip())
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(value: Mapping[Any, Any], key: str) -> str:
    found = value.get(key)
    return found.strip() if isinstance(found, str) else ""
