"""The ids of provinces, which Nomod wants instead of their names. What cannot be found for certain is left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from connectors.base import Host
from connectors.errors import ConnectorError, PauseError, RateLimitedError, UnexpectedResponseError
from connectors.http import JsonApi
from connectors.nomod.customers import Place
from connectors.nomod.fields import clean
from connectors.nomod.paging import PAGE_SIZE

VALID_FOR = timedelta(hours=24)
FAILURE_VALID_FOR = timedelta(minutes=10)
_PAGES = 20


@dataclass(frozen=True, slots=True)
class _Known:
    until: datetime
    ids: Mapping[str, str] = field(default_factory=dict)


class Provinces:
    """Provinces by country, read when first needed and kept for a day.

    Neither the shape of the two lists nor the type of a country's id is published
    (https://nomod.com/docs/api-reference), so whatever cannot be read ends as "no such province".
    """

    def __init__(self, api: JsonApi, host: Host) -> None:
        self._api = api
        self._host = host
        self._countries: _Known | None = None
        self._provinces: dict[str, _Known] = {}

    async def id_of(self, place: Place) -> str | None:
        """Return the id of the one province with this name, or None.

        Raises PauseError kinds and RateLimitedError, which the create would meet as well; other failures end as None.
        """
        try:
            country = (await self._country_ids()).get(place.country)
            if country is None:
                return None
            return (await self._province_ids(place.country, country)).get(_key(place.region))
        except (PauseError, RateLimitedError):
            raise
        except ConnectorError:
            return None

    async def _country_ids(self) -> Mapping[str, str]:
        now = self._host.now()
        if self._countries is None or now >= self._countries.until:
            self._countries = _Known(now + FAILURE_VALID_FOR)
            rows = await self._list("/v1/countries")
            self._countries = _Known(now + VALID_FOR, {code: key for row in rows for code, key in _country(row)})
        return self._countries.ids

    async def _province_ids(self, code: str, country: str) -> Mapping[str, str]:
        now = self._host.now()
        known = self._provinces.get(code)
        if known is None or now >= known.until:
            self._provinces[code] = _Known(now + FAILURE_VALID_FOR)
            rows = await self._list(f"/v1/countries/{quote(country, safe='')}/provinces")
            known = self._provinces[code] = _Known(now + VALID_FOR, _unique(rows))
        return known.ids

    async def _list(self, path: str) -> list[Mapping[str, Any]]:
        """Return all rows of a list, bare or in pages. Raises UnexpectedResponseError where it cannot be read whole."""
        rows: list[Mapping[str, Any]] = []
        for page in range(1, _PAGES + 1):
            body = await self._api.get(path, page=str(page), page_size=str(PAGE_SIZE))
            found = body.get("results") if isinstance(body, dict) else body
            if not isinstance(found, list):
                break
            rows += [row for row in found if isinstance(row, dict)]
            if not isinstance(body, dict) or not body.get("next"):
                return rows
        raise UnexpectedResponseError(f"{path} is no list that could be read")


def _country(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the country's code with its id: the one text of two capitals is the code, whatever its field is called."""
    codes = {value for value in row.values() if isinstance(value, str) and len(value) == 2 and value.isascii()}
    codes = {code for code in codes if code.isalpha() and code.isupper()}
    key = _id(row) or next(iter(codes), "")
    return [(code, key) for code in codes] if len(codes) == 1 else []


def _unique(rows: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return id by name, without names that two provinces share and without ids that are none."""
    found: dict[str, str] = {}
    doubled = set()
    for row in rows:
        name, key = row.get("name"), _id(row)
        if not isinstance(name, str) or not key:
            continue
        if found.setdefault(_key(name), key) != key:
            doubled.add(_key(name))
    return {name: key for name, key in found.items() if name not in doubled}


def _id(row: Mapping[str, Any]) -> str:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def _key(name: str) -> str:
    return clean(name).casefold()
