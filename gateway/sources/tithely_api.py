"""Tithely's charges, read through its API: thin lists, whole charges, and failures that come as HTTP 200.

https://docs.tithe.ly/reference (access by request only). Amounts are whole cents, times are Unix seconds, both as text.
"""

import base64
import re
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import aiohttp

from connectors.models import Address
from gateway.errors import SourceAuthenticationError, SourceRejectedError, SourceUnavailableError
from gateway.sources.base import PollConfig
from gateway.sources.feed import Feed, Item, moment
from gateway.sources.platform_api import PlatformApi
from gateway.sources.tithely_envelope import ADDRESS_FIELDS, MAX_TEXT_CHARS, TRANSACTION_ID, Gift, write_envelope

DEFAULT_API_URL = "https://tithe.ly/api/v1"
PAGE = 100
CHARGED = "charged"
# There are no error codes; what the reasons of a wrong key pair have in common is these words.
_CREDENTIALS = re.compile(r"credential|api key|unauthori[sz]ed|authenticat|permission|access denied", re.IGNORECASE)
_HARMLESS = re.compile(r"[A-Za-z0-9 .,'()_-]{1,120}")


class TithelyApi:
    """The API behind one key pair."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, poll: PollConfig, *, user_agent: str) -> None:
        pair = f"{poll.public_key}:{poll.private_key.get_secret_value()}"
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        self._api = PlatformApi(session, base_url, headers=headers, user_agent=user_agent)
        self._organization_id = poll.organization_id

    async def charges(self, *, created_after: int, starting_after: str | None) -> list[dict[str, Any]]:
        """Return up to 100 thin rows after a Unix second and a charge, oldest first. Raises GatewayError kinds."""
        query = {"organization_id": self._organization_id, "created_after": str(created_after), "limit": str(PAGE)}
        query |= {"order_by": "ASC"} | ({"starting_after": starting_after} if starting_after else {})
        found = _answer(await self._api.get("/charges-list", **query)).get("data")
        if not isinstance(found, list):
            msg = "the list of charges has no data"
            raise SourceUnavailableError(msg)
        return [row for row in found if isinstance(row, dict)]

    async def charge(self, charge_id: str) -> dict[str, Any]:
        """Return a whole charge. Raises SourceRejectedError for one that cannot be had, other kinds for the rest."""
        answer = await self._api.get(f"/charges/{quote(charge_id, safe='')}")
        found = _answer(answer).get("object") if answer is not None else None
        if not isinstance(found, dict) or not isinstance(found.get("donor_account"), dict):
            msg = "the charge is not there, or says only the id of its donor"
            raise SourceRejectedError(msg)
        return found


class ChargeFeed(Feed):
    """An organization's charges. Only charged ones count; what is pending is looked at again for ten days."""

    scheme = "poll"
    eager = True
    # Money from a bank account needs days to be charged, and the list is by the day of the gift.
    long_overlap = timedelta(days=10)

    def __init__(self, api: TithelyApi, *, interval: float) -> None:
        super().__init__(interval=interval)
        self._api = api

    async def pages(self, *, since: datetime, until: datetime) -> AsyncGenerator[Sequence[Item], None]:
        """Yield charged gifts. Whether the bound of time belongs to the range is not documented: one second is added.

        Nothing tells whether there are more pages, and a page may be shorter than was asked for: an empty one ends it.
        """
        del until
        seen: set[str] = set()
        last: str | None = None
        while True:
            rows = await self._api.charges(created_after=int(since.timestamp()) - 1, starting_after=last)
            ids = [_charge_id(row) for row in rows]
            if not rows or (seen.issuperset(ids) and len(rows) < PAGE):
                return
            if seen.issuperset(ids):
                msg = "the list of charges repeats itself: starting_after has no effect"
                raise SourceUnavailableError(msg)
            yield [
                Item(subject=charge_id, at=moment(row.get("charge_date")))
                for charge_id, row in zip(ids, rows, strict=True)
                if charge_id not in seen and _is_charged(row)
            ]
            seen.update(ids)
            last = ids[-1]

    async def body(self, item: Item) -> bytes | None:
        """Read the whole charge, which the thin row is not, and return our envelope for it."""
        charge = await self._api.charge(item.subject)
        if not _is_charged(charge):
            return None
        at = moment(charge.get("charge_date")) or item.at
        return write_envelope(_gift(item.subject, charge), at=at)


def _answer(found: Any | None) -> dict[str, Any]:
    """Return a successful answer. Raises what a `fail` says: there is no code, and its HTTP status is 200."""
    if not isinstance(found, dict):
        msg = f"{'HTTP 404' if found is None else 'the answer is no JSON object'}: check `api_url`"
        raise SourceUnavailableError(msg)
    status = found.get("status")
    if status == "success":
        return found
    if status != "fail":
        msg = "the answer says neither success nor fail"
        raise SourceUnavailableError(msg)
    reason = found.get("reason")
    told = reason if isinstance(reason, str) and _HARMLESS.fullmatch(reason) else "no reason that can be shown"
    if isinstance(reason, str) and _CREDENTIALS.search(reason):
        raise SourceAuthenticationError(told)
    raise SourceRejectedError(told)


def _charge_id(row: dict[str, Any]) -> str:
    charge_id = row.get("charge_id")
    if not isinstance(charge_id, str) or not TRANSACTION_ID.fullmatch(charge_id):
        msg = "a row in the list of charges has no charge_id"
        raise SourceUnavailableError(msg)
    return charge_id


def _is_charged(charge: dict[str, Any]) -> bool:
    status = charge.get("charge_status")
    return status is None or (isinstance(status, str) and status.strip().casefold() == CHARGED)


def _gift(charge_id: str, charge: dict[str, Any]) -> Gift:
    """Return the gift of a whole charge. Fields of another type than text are left out."""
    donor: dict[str, Any] = charge["donor_account"]
    place = donor.get("address")
    lines = [_text(place, name) for name in ADDRESS_FIELDS] if isinstance(place, dict) else [""] * len(ADDRESS_FIELDS)
    address = Address(line1=lines[0], city=lines[1], region=lines[2], postal_code=lines[3], country=lines[4].upper())
    return Gift(
        transaction_id=charge_id, donor_id=_text(donor, "account_id"), first_name=_text(donor, "first_name"),
        last_name=_text(donor, "last_name"), email=_text(donor, "email"), phone=_text(donor, "phone_number"),
        address=None if address == Address() else address, currency=_text(charge, "currency").upper(),
        amount=_cents(charge.get("amount")),
    )  # fmt: skip


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return value.strip()[:MAX_TEXT_CHARS] if isinstance(value, str) else ""


def _cents(value: object) -> str:
    """Return whole cents as text; they come as text or as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value).strip()
    return text if text.isascii() and text.isdigit() else ""
