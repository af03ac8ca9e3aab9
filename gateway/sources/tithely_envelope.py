"""Our own envelope for a gift taken through Tithely: read, written, and whom it is about. Pure.

Tithely publishes no giving webhook, so the envelope is this project's; docs/tithely.md and its JSON Schema describe it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from connectors.models import Address
from gateway.errors import PayloadInvalidError

CREATED = "transaction.created"
MAX_ID_CHARS = 255
MAX_TEXT_CHARS = 1000
MAX_AMOUNT_DIGITS = 15
TYPE = re.compile(r"[!-~]{1,100}")
# Visible ASCII without "@": ids stand in logs, and an e-mail address must not.
TRANSACTION_ID = re.compile(r"[!-?A-~]{1,255}")
# No colon, which our own ids have; a name or an address with blanks or "@" does not pass as an id either.
DONOR_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
ADDRESS_FIELDS = ("street_address", "city", "state", "postal", "country")
_HASH_CHARS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """A transaction and its giver. Its `repr` shows ids only; empty text means absent."""

    transaction_id: str
    donor_id: str = field(default="", repr=False)
    first_name: str = field(default="", repr=False)
    last_name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    address: Address | None = field(default=None, repr=False)
    currency: str = ""
    amount: str = ""
    """Whole units of the currency's smallest coin, as text; empty where the envelope has no such amount."""

    @property
    def customer_id(self) -> str:
        """Who gave, the same for ever: the donor id, else the e-mail address, else the name, else this gift alone.

        Addresses and names are told as hashes, since ids stand in logs. A donor id of another form is hashed too.
        """
        if self.donor_id:
            plain = DONOR_ID.fullmatch(self.donor_id)
            return self.donor_id if plain else f"donor:{fingerprint(self.donor_id)}"
        if self.email:
            return f"email:{fingerprint(normal_email(self.email))}"
        name = normal_name(f"{self.first_name} {self.last_name}")
        return f"name:{fingerprint(name)}" if name else f"gift:{self.transaction_id}"


def read_type(body: bytes) -> tuple[str, datetime | None, Mapping[str, Any]]:
    """Return an envelope's type, time and data. Raises PayloadInvalidError, which names fields and never values."""
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = "the body is not JSON"
        raise PayloadInvalidError(msg) from error
    if not isinstance(envelope, dict):
        msg = "the body is no JSON object"
        raise PayloadInvalidError(msg)
    kind = envelope.get("type")
    if not isinstance(kind, str) or not TYPE.fullmatch(kind):
        msg = "the body has no type, or one that is no name of an event"
        raise PayloadInvalidError(msg)
    data = envelope.get("data")
    return kind, _time(envelope.get("timestamp")), data if isinstance(data, dict) else {}


def read_gift(data: Mapping[str, Any]) -> Gift:
    """Return the gift of a `transaction.created`. Raises PayloadInvalidError, which names fields and never values.

    Unknown keys are passed over. A known one of the wrong type is refused: to guess at who gave would double donors.
    """
    transaction_id = _identifier(data, "transaction_id")
    if not TRANSACTION_ID.fullmatch(transaction_id):
        msg = "data.transaction_id is missing, or is no id: 1 to 255 visible ASCII characters without @"
        raise PayloadInvalidError(msg)
    currency = _text(data, "currency").upper()
    return Gift(
        transaction_id=transaction_id, donor_id=_identifier(data, "donor_id"), first_name=_text(data, "first_name"),
        last_name=_text(data, "last_name"), email=_text(data, "email"), phone=_text(data, "phone"),
        address=_address(data), currency=currency if re.fullmatch(r"[A-Z]{3}", currency) else "",
        amount=_whole(data.get("amount")),
    )  # fmt: skip


def write_envelope(gift: Gift, *, at: datetime | None) -> bytes:
    """Return the envelope of a gift; what is absent is left out. The same gift gives the same bytes."""
    address = gift.address
    told = {
        "transaction_id": gift.transaction_id, "donor_id": gift.donor_id, "first_name": gift.first_name,
        "last_name": gift.last_name, "email": gift.email, "phone": gift.phone, "amount": gift.amount,
        "currency": gift.currency,
    }  # fmt: skip
    data: dict[str, Any] = {name: value for name, value in told.items() if value}
    if address is not None:
        values = (address.line1, address.city, address.region, address.postal_code, address.country)
        data["address"] = {name: value for name, value in zip(ADDRESS_FIELDS, values, strict=True) if value}
    when = {"timestamp": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")} if at is not None else {}
    return orjson.dumps({"type": CREATED, **when, "data": data})


def normal_email(address: str) -> str:
    """Return an address as it is hashed: no white space around it, composed (NFC), case folded."""
    return unicodedata.normalize("NFC", address.strip()).casefold()


def normal_name(name: str) -> str:
    """Return a name as it is hashed: composed (NFKC), one blank between words, case folded."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


def fingerprint(text: str) -> str:
    """Return the first 32 hexadecimal digits of the SHA-256 of UTF-8 text."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


def _text(data: Mapping[str, Any], name: str, *, within: str = "data") -> str:
    """Return text without controls, and without white space around it; null and absent are empty."""
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        msg = f"{within}.{name} is no text of at most {MAX_TEXT_CHARS} characters"
        raise PayloadInvalidError(msg)
    return _CONTROLS.sub(" ", value).strip()


def _identifier(data: Mapping[str, Any], name: str) -> str:
    """Return an id; a whole number is taken as its digits."""
    value = data.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = _text(data, name)
    if len(text) > MAX_ID_CHARS:
        msg = f"data.{name} is longer than {MAX_ID_CHARS} characters"
        raise PayloadInvalidError(msg)
    return text


def _whole(value: object) -> str:
    """Return whole cents as text, whether they come as text or as a number; empty for all else, which is not booked."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if text.isascii() and text.isdigit() and len(text) <= MAX_AMOUNT_DIGITS else ""


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _address(data: Mapping[str, Any]) -> Address | None:
    found = data.get("address")
    if found is None:
        return None
    if not isinstance(found, dict):
        msg = "data.address is no object"
        raise PayloadInvalidError(msg)
    street, city, state, postal, country = (_text(found, name, within="data.address") for name in ADDRESS_FIELDS)
    address = Address(line1=street, city=city, region=state, postal_code=postal, country=country.upper())
    return None if address == Address() else address
