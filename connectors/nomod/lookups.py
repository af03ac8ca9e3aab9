"""Looking a customer up: by the narrowest way that the API proved to offer, comparing every row ourselves."""

import asyncio
from dataclasses import dataclass, field

from connectors.base import Host
from connectors.errors import LookupImpossibleError
from connectors.http import JsonApi
from connectors.nomod.config import LookupMode
from connectors.nomod.fields import email_key
from connectors.nomod.paging import CUSTOMER_LIST, MOST_PAGES, MOST_ROWS, RefusedQueryError, TooManyRowsError, walk
from connectors.nomod.probing import PARAMETERS, Finding, probe
from connectors.nomod.rows import Row

MEMORY_KEY = "nomod.lookup"
MOST_EXTRA_ROWS = 2_000
"""Rows read at most for what is looked up beside the address: there `search` may be ignored and bring everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a row may have in common with the customer. Empty text is not looked for."""

    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    marker: str = field(default="", repr=False)

    def matches(self, row: Row) -> bool:
        """Whether the row may be the customer."""
        by_phone = bool(self.phone) and row.phone == self.phone
        return self.by_email(row) or by_phone or self.by_marker(row)

    def by_email(self, row: Row) -> bool:
        """Whether the row has the address, whatever the case of its letters."""
        return bool(self.email) and row.key == email_key(self.email)

    def by_marker(self, row: Row) -> bool:
        """Whether the row was marked as this customer's."""
        return bool(self.marker) and row.job_title == self.marker


class Lookups:
    """The look-ups of one connection, and what is known about the ways to do them."""

    def __init__(self, api: JsonApi, host: Host, *, forced: LookupMode, account: str) -> None:
        self._api = api
        self._host = host
        self._forced = forced
        self._account = account
        self._finding: Finding | None = None
        self._lock = asyncio.Lock()

    @property
    def summary(self) -> str:
        """The way in use and why, for people."""
        if self._forced is not LookupMode.AUTO:
            return f"{self._forced} (as set)"
        return f"{self._finding.mode} ({self._finding.why})" if self._finding else "not tried yet"

    async def find(self, wanted: Wanted, *, wide: bool) -> list[Row]:
        """Return every row that matches. Raises ConnectorError kinds whenever a look-up was not complete.

        With `wide`, phone and marker are looked up too where the address brings nothing.
        """
        mode = await self.mode()
        if mode is LookupMode.SCAN or not wanted.email:
            return await self._scan(wanted)
        rows = await self._narrow(wanted, mode)
        if rows is None:
            return await self._scan(wanted)
        found = [row for row in rows if wanted.matches(row)]
        if wide and not any(wanted.by_email(row) for row in found):
            found += [row for term in (wanted.phone, wanted.marker) if term for row in await self._extra(wanted, term)]
        return list({row.id: row for row in found}.values())

    async def by_id(self, record: str) -> Row | None:
        """Return the customer with this id from the whole list; None if it has none, or is too long to be read."""
        try:
            rows = await walk(self._api, {}, listing=CUSTOMER_LIST)
        except TooManyRowsError:
            return None
        return next((row for row in rows if row.id.casefold() == record.casefold()), None)

    async def mode(self, *, again: bool = False) -> LookupMode:
        """Return the way to look up, after a probe where one is due; `again` asks for one that is less than a day old.

        Raises ConnectorError kinds.
        """
        if self._forced is not LookupMode.AUTO:
            return self._forced
        async with self._lock:
            now = self._host.now()
            finding = self._finding or Finding.load(await self._host.memory.get(MEMORY_KEY))
            if again or finding is None or not finding.holds(now, self._account):
                finding = await probe(self._api, now=now, account=self._account)
                await self._remember(finding)
            self._finding = finding
            return finding.mode

    async def _narrow(self, wanted: Wanted, mode: LookupMode) -> list[Row] | None:
        """Return the rows which the parameter brings; None when it cannot be relied on after all."""
        rows: list[Row] = []
        address = wanted.email.strip()
        for form in dict.fromkeys((address, address.lower())):
            try:
                rows += await walk(self._api, {PARAMETERS[mode]: form}, listing=CUSTOMER_LIST)
            except RefusedQueryError:
                return None
            except TooManyRowsError:
                await self._distrust(mode)
                return None
        if mode is LookupMode.FILTER and any(email_key(address) not in row.key for row in rows):
            await self._distrust(mode)
            return None
        return rows

    async def _scan(self, wanted: Wanted) -> list[Row]:
        try:
            rows = await walk(self._api, {}, listing=CUSTOMER_LIST)
        except TooManyRowsError as error:
            raise LookupImpossibleError(
                f"{error.args[0]} customers are too many to read through (at most {MOST_ROWS} on {MOST_PAGES} pages), "
                "and the API does not narrow its list"
            ) from error
        return [row for row in rows if wanted.matches(row)]

    async def _extra(self, wanted: Wanted, term: str) -> list[Row]:
        """Look for a phone number or marker: an addition to a look-up that is complete without it."""
        try:
            rows = await walk(self._api, {"search": term}, listing=CUSTOMER_LIST, limit=MOST_EXTRA_ROWS)
        except (RefusedQueryError, TooManyRowsError):
            return []
        return [row for row in rows if wanted.matches(row)]

    async def _distrust(self, mode: LookupMode) -> None:
        """Read whole lists until the next probe: the parameter brought what it should not."""
        if self._forced is LookupMode.AUTO:
            why = f"`{PARAMETERS[mode]}` brought other customers"
            await self._remember(Finding(mode=LookupMode.SCAN, why=why, at=self._host.now(), account=self._account))

    async def _remember(self, finding: Finding) -> None:
        self._finding = finding
        if finding.decided:
            await self._host.memory.put(MEMORY_KEY, finding.dump())
