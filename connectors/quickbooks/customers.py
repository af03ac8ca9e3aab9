"""Customers as QuickBooks has them: the body of a create, and rows read back as candidates.

https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/customer
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from connectors.models import Address, Candidate, Customer
from connectors.quickbooks.names import Names, clean, garbled, key_of, shorten, without_deleted

PHONE_LIMIT = 30
NOTES_LIMIT = 2000
_ADDRESS_LIMITS = {
    "Line1": 500, "Line2": 500, "City": 255, "CountrySubDivisionCode": 255, "PostalCode": 30, "Country": 255,
}  # fmt: skip
_MARKER = re.compile(r"\[gw:([^\s\[\]]+)\]")
_SEPARATORS = re.compile(r"[,;\s]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The body of a create, and what was left out of it. Its `repr` shows no body."""

    body: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()

    def without_email(self) -> "Draft":
        """Return the draft for QuickBooks' refusal of the address (2210): the same customer, without it."""
        body = {key: value for key, value in self.body.items() if key != "PrimaryEmailAddr"}
        return Draft(body=body, warnings=(*self.warnings, "e-mail address omitted: QuickBooks refused it"))


def draft_of(customer: Customer, names: Names, *, variant: int, with_currency: bool) -> Draft:
    """Return what to send for a customer under the name of a variant.

    DisplayName and PrintOnCheckName are always sent: QuickBooks would make them of the parts ("Smith Smith"). Where
    nothing is known nothing is sent, so that QuickBooks' defaults hold.
    """
    warnings = list(names.warnings)
    display = names.display(variant)
    body: dict[str, Any] = {"DisplayName": display, "PrintOnCheckName": display}
    parts = {"GivenName": names.given, "FamilyName": names.family, "CompanyName": names.company}
    body |= {key: text for key, text in parts.items() if text}
    if names.email:
        body["PrimaryEmailAddr"] = {"Address": names.email}
    phone = clean(customer.phone, colons=True)
    if len(phone) > PHONE_LIMIT:
        warnings.append(f"phone omitted: longer than {PHONE_LIMIT} characters")
    elif phone:
        body["PrimaryPhone"] = {"FreeFormNumber": phone}
    address = _address(customer.address)
    if address:
        body["BillAddr"] = address
    if with_currency and customer.currency:
        body["CurrencyRef"] = {"value": customer.currency}
    marker = marker_of(customer.reference)
    if len(marker) <= NOTES_LIMIT:
        body["Notes"] = marker
    else:
        warnings.append("marker omitted: the customer's id is too long")
    return Draft(body=body, warnings=tuple(warnings))


def _address(address: Address | None) -> dict[str, str]:
    if address is None:
        return {}
    values = {
        "Line1": address.line1, "Line2": address.line2, "City": address.city,
        "CountrySubDivisionCode": address.region, "PostalCode": address.postal_code, "Country": address.country,
    }  # fmt: skip
    cleaned = {key: shorten(clean(value, colons=True), _ADDRESS_LIMITS[key]) for key, value in values.items()}
    return {key: value for key, value in cleaned.items() if value}


def marker_of(reference: str) -> str:
    """Return what says in a record's Notes whose it is: `[gw:source:customer_id]`, other than plain text escaped."""
    plain = _SURROGATES.sub("", reference)
    return f"[gw:{quote(plain, safe=':/@+=,;!*~.-_')}]"


def marker_in(notes: str, *, wanted: str = "") -> str | None:
    """Return the reference in a record's Notes, or None. Of several, as a merge may leave them, the one wanted."""
    found = [unquote(text) for text in _MARKER.findall(notes)]
    return wanted if wanted in found else next(iter(found), None)


def emails_in(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of a row: one field may hold several."""
    text = _text(row, "PrimaryEmailAddr", "Address")
    return tuple(part for part in _SEPARATORS.split(text) if part)


def candidate_of(
    row: Mapping[str, Any], *, reference: str = "", held: str = "", displays: Sequence[str] = ()
) -> Candidate:
    """Return a Customer row as a candidate. `held` is the DisplayName that a refused create asked for, if any.

    `displays` are the DisplayNames that the customer may be given, in their order.

    Sub-customers and projects are Customers too, yet never this one: they are not adoptable. An inactive record is told
    by `active`; the "(deleted)" behind its name is QuickBooks' own addition and is taken off.
    """
    kind = "customer"
    if row.get("IsProject") is True:
        kind = "project"
    elif row.get("Job") is True or row.get("ParentRef"):
        kind = "sub-customer"
    return Candidate(
        provider_entity_id=str(row["Id"]),
        name=name_in(row),
        emails=emails_in(row),
        phone=_text(row, "PrimaryPhone", "FreeFormNumber"),
        active=row.get("Active") is not False,
        kind=kind,
        adoptable=kind == "customer",
        marker=marker_in(_text(row, "Notes"), wanted=reference),
        holds_name=holds(row, held),
        holds_variants=frozenset(variant for variant, name in enumerate(displays) if holds(row, name)),
        currency=_text(row, "CurrencyRef", "value").upper(),
        created_at=moment_of(_text(row, "MetaData", "CreateTime")),
    )


def holder_of(row: Mapping[str, Any], *, kind: str) -> Candidate:
    """Return a vendor or an employee who holds a name that a customer was to have: named, never adopted.

    The kind is part of the id: a vendor may have the same Id as a customer, who is another party.
    """
    return Candidate(
        provider_entity_id=f"{kind}:{row['Id']}",
        name=name_in(row),
        active=row.get("Active") is not False,
        kind=kind,
        adoptable=False,
        holds_name=True,
    )


def name_in(row: Mapping[str, Any]) -> str:
    """Return a row's DisplayName, without what QuickBooks adds to inactive ones."""
    name = _text(row, "DisplayName")
    return without_deleted(name) if row.get("Active") is False else name


def holds(row: Mapping[str, Any], name: str) -> bool:
    """Whether a record is why a name is taken. "(deleted)" does not set the plain name free."""
    taken = {key_of(_text(row, "DisplayName")), key_of(name_in(row))}
    return bool(name) and (key_of(name) in taken or key_of(garbled(name)) in taken)


def is_named(row: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether a record has one of the names."""
    return any(holds(row, name) for name in names)


def echoes(row: Mapping[str, Any], body: Mapping[str, Any]) -> bool:
    """Whether the answer to a create is about what was sent: by our marker, else by the name, if it tells either.

    Letters beyond Latin-1 do not count: companies in the United States may store them as question marks.
    """
    marker = marker_in(_text(row, "Notes"))
    if marker is not None and "Notes" in body:
        return marker == marker_in(body["Notes"])
    kept, sent = _text(row, "DisplayName"), str(body["DisplayName"])
    if not kept:
        return True
    pattern = ".*".join(re.escape(part) for part in re.split(r"[^\x00-\xff]+", key_of(sent)))
    return re.fullmatch(pattern, key_of(kept), re.DOTALL) is not None


def _text(row: Mapping[str, Any], *path: str) -> str:
    """Return a text deep in a row, or nothing: QuickBooks leaves out what is empty."""
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def moment_of(value: Any) -> datetime | None:
    """Return a time as QuickBooks writes it, in UTC; None for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
