"""What Nomod refuses: the limits of its request fields, with the documented error codes.

https://nomod.com/docs/api-reference/requests-responses lists every code. It has none for a text that is too long or of
the wrong type, so those get `invalid`, which callers must take as they take any unknown code with a 400.
"""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.testing.nomod_places import COUNTRIES, CURRENCIES, Province

_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])"
)
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
_MONEY = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_URL = re.compile(r"https?://[^\s/?#.]+[^\s]*")


class Refusal(Exception):
    """The request is answered with Nomod's error envelope, and nothing was done."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        """Refuse with an HTTP status, a code of the documented list, and a text for people."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Fields:
    """The object a caller sent, read field by field. Fields that nobody asks for are dropped without a word."""

    def __init__(self, data: Mapping[str, Any], *, where: str = "") -> None:
        """Take the decoded object; `where` prefixes the field names in messages."""
        self._data = data
        self._where = where

    def has(self, name: str) -> bool:
        """Tell whether the field was sent at all."""
        return name in self._data

    def refuse(self, name: str, message: str, code: str = "invalid") -> Refusal:
        """Return the refusal of a field."""
        return Refusal(code, f"{self._where}{name}: {message}")

    def text(self, name: str, limit: int, *, required: bool = False, nullable: bool = False) -> str:
        """Return a trimmed text of at most `limit` characters, empty when it was not sent."""
        value = self._data.get(name, "")
        if value is None and nullable:
            return ""
        if value is None:
            raise self.refuse(name, "This field may not be null.", "field_required")
        if not isinstance(value, str) or "\x00" in value:
            raise self.refuse(name, "Not a valid string.")
        value = value.strip()
        if required and not value:
            raise self.refuse(name, "This field is required.", "field_required")
        if len(value) > limit:
            raise self.refuse(name, f"Ensure this field has no more than {limit} characters.")
        return value

    def email(self, name: str, *, required: bool) -> str:
        """Return an e-mail address as it was written; the case is kept."""
        value = self.text(name, 10_000, required=required)
        if value and (len(value) > 254 or not _EMAIL.fullmatch(value)):
            raise self.refuse(name, "Enter a valid email address.", "invalid_email")
        return value

    def phone(self, name: str, *, required: bool) -> str:
        """Return an E.164 number of at most 15 characters, the plus sign included."""
        value = self.text(name, 15, required=required)
        if value and not _PHONE.fullmatch(value):
            raise self.refuse(name, "The phone number entered is not valid.")
        return value

    def country(self, name: str) -> str:
        """Return a country code of the list, in capitals as there."""
        value = self.text(name, 10_000)
        if value and value not in COUNTRIES:
            raise self.refuse(name, "Invalid country code.", "invalid_country_code")
        return value

    def province(self, name: str, country: str) -> Province | None:
        """Return the province with this id, which must be one of `country`."""
        value = self.text(name, 10_000)
        if not value:
            return None
        for province in COUNTRIES[country].provinces if country else ():
            if province.id == value.lower():
                return province
        raise self.refuse(name, "Invalid province code.", "invalid_province_code")

    def currency(self, name: str) -> str:
        """Return a currency of the list, in capitals as there."""
        value = self.text(name, 10_000, required=True)
        if value not in CURRENCIES:
            raise self.refuse(name, "Invalid currency.", "invalid_currency")
        return value

    def money(self, name: str, currency: str) -> Decimal:
        """Return an amount in major units, sent as text, with no more decimals than the currency has."""
        value = self._data.get(name)
        if value is None or value == "":
            raise self.refuse(name, "This field is required.", "field_required")
        if not isinstance(value, str) or not _MONEY.fullmatch(value):
            raise self.refuse(name, "A valid amount is required.", "invalid_amount")
        amount = Decimal(value)
        if amount != round(amount, CURRENCIES[currency]):
            raise self.refuse(name, f"{currency} has {CURRENCIES[currency]} decimals.", "invalid_amount")
        return amount

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        """Return a whole number within its bounds."""
        value = self._data.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refuse(name, "A valid integer is required.")
        if not low <= value <= high:
            raise self.refuse(name, f"Ensure this value is between {low} and {high}.")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean."""
        value = self._data.get(name, default)
        if not isinstance(value, bool):
            raise self.refuse(name, "Must be a valid boolean.")
        return value

    def url(self, name: str) -> str | None:
        """Return an address to send the payer to, None when there is none."""
        value = self.text(name, 2000)
        if value and not _URL.fullmatch(value):
            raise self.refuse(name, "Enter a valid URL.")
        return value or None

    def date(self, name: str, *, required: bool = False, code: str = "invalid") -> dt.date | None:
        """Return a YYYY-MM-DD date, None when it was not sent."""
        value = self.text(name, 10_000, required=required)
        if not value:
            return None
        try:
            return dt.date.fromisoformat(value) if _DATE.fullmatch(value) else _no_date()
        except ValueError:
            raise self.refuse(name, "Date has wrong format. Use YYYY-MM-DD.", code) from None

    def uuid(self, name: str, code: str) -> str:
        """Return a required id in its usual spelling."""
        value = self.text(name, 10_000, required=True)
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise self.refuse(name, "Must be a valid UUID.", code) from None

    def objects(self, name: str, most: int) -> list["Fields"]:
        """Return a list of objects, empty when it was not sent or is null."""
        value = self._data.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise self.refuse(name, "Expected a list of items.")
        if len(value) > most:
            raise self.refuse(name, f"Ensure this field has no more than {most} elements.")
        return [Fields(item, where=f"{self._where}{name}[{index}].") for index, item in enumerate(value)]


def _no_date() -> dt.date:
    raise ValueError
