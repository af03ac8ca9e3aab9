"""The rules for a customer's fields: what is refused, and what is sent to Nomod. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.errors import MissingFieldsError
from connectors.models import Customer
from connectors.nomod.fields import checked_email, clean, country_code, cut, phone_number

NAME, BUSINESS, JOB_TITLE, STREET, CITY, ZIP = 150, 50, 50, 100, 100, 16
"""Characters that fit (https://www.nomod.com/docs/api-reference/create-contact)."""

ADDRESS_FIELDS = frozenset({"country", "province", "street", "city", "zip_code"})
MARKER_PREFIX = "lg:"
_HASH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The body of a create, and in words without personal data what was left out or altered."""

    body: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A region of a country, whose id Nomod wants instead of its name."""

    country: str
    region: str = field(repr=False)


def validate(customer: Customer, *, marker: bool) -> None:
    """Refuse what Nomod would refuse. Raises MissingFieldsError, InvalidEmailError.

    An e-mail address is the only key by which a customer can be found again; without one a marker has to do.
    """
    missing = [] if any(_person(customer)) else ["name"]
    if not customer.email.strip() and not marker:
        missing.append("email")
    if missing:
        raise MissingFieldsError(f"empty: {', '.join(missing)}")
    if customer.email.strip():
        checked_email(customer.email)


def marker_of(customer: Customer) -> str:
    """Return what `job_title` carries to say whose record it is: the reference, or its hash where it does not fit."""
    text = MARKER_PREFIX + customer.reference
    if len(text) <= JOB_TITLE and clean(text) == text:
        return text
    return MARKER_PREFIX + hashlib.sha256(customer.reference.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]


def is_hashed(marker: str) -> bool:
    """Whether a marker, without its prefix, is a hash: whose it is cannot be read from it."""
    return len(marker) == _HASH and not set(marker) - set("0123456789abcdef")


def place_of(customer: Customer) -> Place | None:
    """Return the region whose id has to be looked up before the create, if the customer has one."""
    address = customer.address
    if address is None or not (country := country_code(address.country)) or not (region := clean(address.region)):
        return None
    return Place(country, region)


def draft(customer: Customer, *, started_at: datetime, marker: bool, province: str | None = None) -> Draft:
    """Return the body of the create: the same customer, time and province give the same body.

    `province` is the id that Nomod has for `place_of(customer)`. Raises as `validate` does.
    """
    validate(customer, marker=marker)
    warnings: list[str] = []
    body = _names(customer, warnings)
    if customer.email.strip():
        body["email"] = checked_email(customer.email)
    country = country_code(customer.address.country) if customer.address else ""
    body["phone_number"], phone_warning = phone_number(customer.phone, country)
    if phone_warning:
        warnings.append(phone_warning)
    if marker:
        body["job_title"] = marker_of(customer)
    body |= _address(customer, province, warnings)
    body = {key: value for key, value in body.items() if value}
    return Draft(body=body | {"metadata": metadata(customer, started_at)}, warnings=tuple(warnings))


def names_of(customer: Customer) -> tuple[str, str]:
    """Return first and last name as a create sends them. Nothing splits a whole name by guess: it is the first name."""
    first, last = _person(customer)
    return cut(first, NAME), cut(last, NAME)


def phone_of(customer: Customer) -> str:
    """Return the number that a create sends, for looking it up."""
    country = country_code(customer.address.country) if customer.address else ""
    return phone_number(customer.phone, country)[0]


def metadata(customer: Customer, started_at: datetime) -> dict[str, str]:
    """Return the back-reference of the product's specification. Nomod documents no such field, and may drop it."""
    return {
        f"{customer.platform}_customer_id": clean(customer.customer_id),
        f"{customer.platform}_environment": clean(customer.environment_id),
        f"{customer.platform}_sync_timestamp": started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _names(customer: Customer, warnings: list[str]) -> dict[str, str]:
    first, last = _person(customer)
    return {
        "first_name": _fit("first_name", first, NAME, warnings),
        "last_name": _fit("last_name", last, NAME, warnings),
        "business_name": _fit("business_name", clean(customer.company_name), BUSINESS, warnings),
    }


def _person(customer: Customer) -> tuple[str, str]:
    given, family = clean(customer.given_name), clean(customer.family_name)
    if given and family:
        return given, family
    return clean(customer.name) or given or family or clean(customer.company_name), ""


def _address(customer: Customer, province: str | None, warnings: list[str]) -> dict[str, str]:
    address = customer.address
    if address is None:
        return {}
    country, postal_code = country_code(address.country), clean(address.postal_code)
    if clean(address.country) and not country:
        warnings.append("country omitted: not a code of two letters")
    if clean(address.region) and not (country and province):
        warnings.append("province omitted: not known to Nomod by this name")
    if len(postal_code) > ZIP:  # half a postal code is another postal code
        warnings.append(f"zip_code omitted: longer than {ZIP} characters")
        postal_code = ""
    street = ", ".join(line for line in (clean(address.line1), clean(address.line2)) if line)
    return {
        "street": _fit("street", street, STREET, warnings),
        "city": _fit("city", clean(address.city), CITY, warnings),
        "zip_code": postal_code,
        "country": country,
        "province": (province or "") if country else "",
    }


def _fit(name: str, text: str, limit: int, warnings: list[str]) -> str:
    if len(text) > limit:
        warnings.append(f"{name} cut to {limit} characters")
    return cut(text, limit)
