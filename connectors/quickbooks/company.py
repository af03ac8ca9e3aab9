"""What is known of the company behind a connection: its name, its currencies, and whether it keeps tax."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Host
from connectors.errors import (
    ConfigurationError,
    ConnectorError,
    LookupImpossibleError,
    PermissionRefusedError,
    RejectedError,
)
from connectors.models import Account
from connectors.quickbooks.client import QuickBooksApi, Row, before_writing, record_in
from connectors.quickbooks.config import Multicurrency, QuickBooksConfig
from connectors.quickbooks.faults import NoSuchPageError

REFUSED: tuple[type[ConnectorError], ...] = (
    LookupImpossibleError, PermissionRefusedError, RejectedError, ConfigurationError, NoSuchPageError,
)  # fmt: skip
"""What says that something cannot be asked of this company, or by this person, while other requests work."""
UNITED_STATES, DOLLAR = "US", "USD"
_BOOKS, _COUNTRY = "quickbooks.books", "quickbooks.country"
_DAILY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """How the company keeps its books. The defaults are for one whose preferences cannot be read."""

    multicurrency: bool = False
    home_currency: str = ""
    sales_tax: bool = False
    """Whether it keeps sales tax or VAT at all."""
    custom_numbers: bool = False
    """Whether its documents have numbers of its people's own choice, instead of QuickBooks' counting."""
    discounts: bool = False
    """Whether its documents may have a discount line, which is booked into its own account for discounts."""


class Company:
    """The company's preferences, asked for once and then daily: reads are metered by Intuit."""

    def __init__(self, config: QuickBooksConfig, host: Host, api: QuickBooksApi) -> None:
        self._config, self._host, self._api = config, host, api
        self._books: Books | None = None
        self._country: str | None = None

    @property
    def is_multicurrency(self) -> bool:
        """Whether currencies count, as far as is known at this moment."""
        if self._config.multicurrency is Multicurrency.AUTO:
            return self._books is not None and self._books.multicurrency
        return self._config.multicurrency is Multicurrency.ON

    async def multicurrency(self) -> bool:
        """Return whether currencies count, asking the company when nothing is known yet. Raises as `books`."""
        if self._config.multicurrency is Multicurrency.AUTO:
            await self.books()
        return self.is_multicurrency

    async def books(self) -> Books:
        """Return how the company keeps its books, asking it when nothing is known yet.

        A company that does not let its preferences be read counts as one of a single, unknown currency: it must not
        keep customers out. Raises ConnectorError kinds, UnreachableError for all that may pass: nothing has been
        written at this point.
        """
        if self._books is None:
            fact = _read(await self._host.memory.get(_BOOKS))
            if fact is not None:
                self._books = fact[0]
        if self._books is None:
            try:
                return await self._ask()
            except REFUSED:
                return Books()
        return self._books

    async def books_now(self) -> Books:
        """Return how the company keeps its books at this moment. Raises as `books`, and where it does not say."""
        return await self._ask()

    async def country(self) -> str:
        """Return the company's country, asked for once; empty for one whose books are in another currency than dollars.

        Where nothing can be known, it counts as one in the United States. Raises as `books`.
        """
        home = (await self.books()).home_currency
        if home != DOLLAR:
            return "" if home else UNITED_STATES
        if self._country is None:
            self._country = await self._host.memory.get(_COUNTRY)
        if not self._country:
            try:
                with before_writing("the company's country"):
                    info = await self._company_info(self._api.realm)
                self._country = _text(info.get("Country")) or UNITED_STATES
            except REFUSED:
                self._country = UNITED_STATES
            await self._host.memory.put(_COUNTRY, self._country)
        return self._country

    async def refresh_if_old(self) -> None:
        """Ask again when the answer is a day old: a company may switch to several currencies, and never back."""
        if self._config.multicurrency is not Multicurrency.AUTO:
            return
        fact = _read(await self._host.memory.get(_BOOKS))
        if fact is None or self._host.now() - fact[1] >= _DAILY:
            await self._ask()

    async def account(self, realm: str) -> Account:
        """Return the company as Intuit has it. Raises ConnectorError kinds."""
        info, books = await self._company_info(realm), await self._ask()
        details = {
            "realm_id": realm,
            "environment": self._config.environment.value,
            "country": _text(info.get("Country")),
            "home_currency": books.home_currency,
            "multicurrency": "on" if books.multicurrency else "off",
            "custom_numbers": "on" if books.custom_numbers else "off",
        }
        return Account(account_id=realm, name=_text(info.get("CompanyName")), details=details)

    async def _company_info(self, realm: str) -> Row:
        return record_in(await self._api.read(f"companyinfo/{realm}"), "CompanyInfo")

    async def _ask(self) -> Books:
        """Read the preferences, and remember what they say."""
        with before_writing("the company's preferences"):
            rows = await self._api.rows("Preferences")
        found = rows[0] if rows else {}
        books = Books(
            multicurrency=_part(found, "CurrencyPrefs").get("MultiCurrencyEnabled") is True,
            home_currency=_text(_part(_part(found, "CurrencyPrefs"), "HomeCurrency").get("value")).upper(),
            sales_tax=_part(found, "TaxPrefs").get("UsingSalesTax") is True,
            custom_numbers=_part(found, "SalesFormsPrefs").get("CustomTxnNumbers") is True,
            discounts=_part(found, "SalesFormsPrefs").get("AllowDiscount") is True,
        )
        fact = {"asked_at": self._host.now().isoformat(), **asdict(books)}
        await self._host.memory.put(_BOOKS, json.dumps(fact))
        self._books = books
        return books


def _read(fact: str | None) -> tuple[Books, datetime] | None:
    if not fact:
        return None
    known = json.loads(fact)
    asked_at = datetime.fromisoformat(known.pop("asked_at"))
    return Books(**known), asked_at


def _part(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = row.get(name)
    return part if isinstance(part, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
