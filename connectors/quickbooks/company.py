"""What is known of the company behind a connection: its name, and whether it keeps several currencies."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors.base import Host
from connectors.errors import ProviderError, UnreachableError
from connectors.models import Account
from connectors.quickbooks.client import QuickBooksApi, record_in
from connectors.quickbooks.config import Multicurrency, QuickBooksConfig

_FACT = "quickbooks.multicurrency"
_DAILY = timedelta(days=1)


class Company:
    """The company's preferences, asked for once and then daily: reads are metered by Intuit."""

    def __init__(self, config: QuickBooksConfig, host: Host, api: QuickBooksApi) -> None:
        self._config, self._host, self._api = config, host, api
        self._several: bool | None = None

    @property
    def is_multicurrency(self) -> bool:
        """Whether currencies count, as far as is known at this moment."""
        if self._config.multicurrency is Multicurrency.AUTO:
            return bool(self._several)
        return self._config.multicurrency is Multicurrency.ON

    async def multicurrency(self) -> bool:
        """Return whether currencies count, asking the company when nothing is known yet.

        Raises ConnectorError kinds, UnreachableError for all that may pass: nothing has been written at this point.
        """
        if self._config.multicurrency is Multicurrency.AUTO and self._several is None:
            fact = _read(await self._host.memory.get(_FACT))
            if fact is None:
                await self._ask()
            else:
                self._several = fact[0]
        return self.is_multicurrency

    async def refresh_if_old(self) -> None:
        """Ask again when the answer is a day old: a company may switch to several currencies, and never back."""
        if self._config.multicurrency is not Multicurrency.AUTO:
            return
        fact = _read(await self._host.memory.get(_FACT))
        if fact is None or self._host.now() - fact[1] >= _DAILY:
            await self._ask()

    async def account(self, realm: str) -> Account:
        """Return the company as Intuit has it. Raises ConnectorError kinds."""
        info = record_in(await self._api.read(f"companyinfo/{realm}"), "CompanyInfo")
        currencies = await self._ask()
        home = currencies.get("HomeCurrency")
        details = {
            "realm_id": realm,
            "environment": self._config.environment.value,
            "country": _text(info.get("Country")),
            "home_currency": _text(home.get("value")) if isinstance(home, Mapping) else "",
            "multicurrency": "on" if currencies.get("MultiCurrencyEnabled") is True else "off",
        }
        return Account(account_id=realm, name=_text(info.get("CompanyName")), details=details)

    async def _ask(self) -> Mapping[str, Any]:
        """Read the preferences about currencies, and remember what they say."""
        try:
            rows = await self._api.rows("Preferences")
        except ProviderError as error:
            raise UnreachableError(
                f"the company's preferences could not be read: {error}", retry_after=error.retry_after,
                provider_code=error.provider_code, provider_request_id=error.provider_request_id,
            ) from error  # fmt: skip
        found = rows[0].get("CurrencyPrefs") if rows else None
        currencies = found if isinstance(found, Mapping) else {}
        self._several = currencies.get("MultiCurrencyEnabled") is True
        await self._host.memory.put(_FACT, f"{'on' if self._several else 'off'} {self._host.now().isoformat()}")
        return currencies


def _read(fact: str | None) -> tuple[bool, datetime] | None:
    if not fact:
        return None
    several, moment = fact.split()
    return several == "on", datetime.fromisoformat(moment)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
