"""Contacts as Xero has them: what a create sends, and rows read back as candidates. Pure.

https://developer.xero.com/documentation/api/accounting/contacts: `Name` is the only field that must be there, and no
two active contacts may share one (255 characters); `EmailAddress` has 255 and takes no umlauts; `ContactNumber` has 50,
can be written through the API only, and is shown as the contact's code.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors import Candidate, Customer, MissingFieldsError, UnexpectedResponseError

NAME_LIMIT = 255
NUMBER_LIMIT = 50
VARIANTS = 3
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PLAIN, _HASHED = "lg:", "lg#"
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The body of a create, and what was left out of it. Its `repr` shows no body."""

    body: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()


def clean(text: str) -> str:
    """Return text as one line: NFC, one space for any run of blanks, no invisible characters."""
    composed = unicodedata.normalize("NFC", text)
    kept = (" " if c.isspace() else c for c in composed if c.isspace() or unicodedata.category(c) not in _INVISIBLE)
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))


def same(one: str, other: str) -> bool:
    """Whether Xero takes two names for the same. That case does not count is not written anywhere, and assumed."""
    return clean(one).casefold() == clean(other).casefold()


def name_of(customer: Customer, variant: int = 0) -> str:
    """Return the Name of a variant: the name; with "(customer)"; with eight letters that are this customer's alone.

    Raises MissingFieldsError where there is neither a name nor an e-mail address to take its place.
    """
    base = clean(customer.full_name) or clean(customer.email)
    if not base:
        raise MissingFieldsError("Xero needs a name")
    digest = hashlib.sha256(customer.reference.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    suffix = ("", " (customer)", f" (customer {digest})")[variant]
    return base[: NAME_LIMIT - len(suffix)].rstrip() + suffix


def names_of(customer: Customer) -> tuple[str, ...]:
    """Return the Names of all variants."""
    return tuple(name_of(customer, variant) for variant in range(VARIANTS))


def email_of(customer: Customer) -> str:
    """Return the address as Xero takes it, else nothing: a bad address must not keep a customer out."""
    email = customer.email.strip()
    return email if _EMAIL.fullmatch(email) and len(email) <= 255 else ""


def number_of(reference: str) -> str:
    """Return the ContactNumber that says whose a contact is: the reference, or its hash where that does not fit."""
    text = _PLAIN + reference
    if len(text) <= NUMBER_LIMIT and text.isascii() and text.isprintable():
        return text
    return _HASHED + hashlib.sha256(reference.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def draft_of(customer: Customer, *, variant: int) -> Draft:
    """Return what a create sends: the same customer and variant give the same body."""
    name, email = name_of(customer, variant), email_of(customer)
    warnings = []
    if len(clean(customer.full_name)) > NAME_LIMIT:
        warnings.append(f"name cut to {NAME_LIMIT} characters")
    if customer.email.strip() and not email:
        warnings.append("e-mail address omitted: Xero does not take this form")
    contact = {
        "Name": name, "FirstName": clean(customer.given_name)[:NAME_LIMIT],
        "LastName": clean(customer.family_name)[:NAME_LIMIT], "EmailAddress": email,
        "ContactNumber": number_of(customer.reference),
    }  # fmt: skip
    return Draft(body={"Contacts": [{key: text for key, text in contact.items() if text}]}, warnings=tuple(warnings))


def rows_in(body: Any) -> list[Mapping[str, Any]]:
    """Return the contacts of an answer. Raises UnexpectedResponseError for anything that is no list of contacts."""
    rows = body.get("Contacts") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise UnexpectedResponseError("the answer holds no list of contacts")
    for row in rows:
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("ContactID"), str)
            or not GUID.fullmatch(row["ContactID"])
        ):
            raise UnexpectedResponseError("a contact in the answer has no ContactID")
    return rows


def concerns(row: Mapping[str, Any], customer: Customer) -> bool:
    """Whether a contact may be this customer: by e-mail address, by number, by any name that a create may have used."""
    email = email_of(customer).casefold()
    by_email = bool(email) and text(row, "EmailAddress").strip().casefold() == email
    by_number = text(row, "ContactNumber") == number_of(customer.reference)
    return by_email or by_number or any(same(text(row, "Name"), name) for name in names_of(customer))


def candidate_of(row: Mapping[str, Any], customer: Customer | None = None, *, held: str = "") -> Candidate:
    """Return a contact as a candidate. `held` is the Name that a refused create asked for, if any."""
    email = text(row, "EmailAddress").strip()
    return Candidate(
        provider_entity_id=row["ContactID"],
        name=text(row, "Name"),
        emails=(email,) if email else (),
        # ARCHIVED, and GDPRREQUEST for a contact who asked to be forgotten.
        active=text(row, "ContactStatus") in {"", "ACTIVE"},
        marker=_marker(text(row, "ContactNumber"), customer),
        holds_name=bool(held) and same(text(row, "Name"), held),
    )


def _marker(number: str, customer: Customer | None) -> str | None:
    if customer is not None and number == number_of(customer.reference):
        return customer.reference
    if number.startswith(_PLAIN):
        return number.removeprefix(_PLAIN)
    return number if number.startswith(_HASHED) else None


def text(row: Mapping[str, Any], key: str) -> str:
    """Return a text of a row, or nothing: Xero leaves out what is empty."""
    value = row.get(key)
    return value if isinstance(value, str) else ""
