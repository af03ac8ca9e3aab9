"""A QuickBooks connector before a simulated Intuit: what the tests of look-ups, creates and tokens start from."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from connectors import Candidate, CreateIntent, Customer, Host
from connectors.base import DictMemory
from connectors.quickbooks import QuickBooksConfig, QuickBooksConnector
from connectors.testing.quickbooks import QuickBooksSimulator
from tests.integration.quickbooks_store import FileTokenStore

CREATE = "POST /v3/company/*/customer"
QUERY = "GET /v3/company/*/query"
READ = "GET /v3/company/*/customer/*"
TOKEN = "POST /oauth2/v1/tokens/bearer"
KEY = "7b0c7f0e-0000-4000-8000-000000000001"


class Clock:
    """The one time of gateway and simulator, moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def unix(self) -> float:
        return self.time.timestamp()

    def advance(self, **delta: float) -> None:
        self.time += timedelta(**delta)


@dataclass
class HeldLimiter:
    """A limiter that never waits, and notes for how long it was told to."""

    held: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        yield

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)


@dataclass(kw_only=True)
class Desk:
    """A simulator, a session, a token store and a memory, from which connectors are made."""

    intuit: QuickBooksSimulator
    session: aiohttp.ClientSession
    clock: Clock
    store: FileTokenStore
    memory: DictMemory = field(default_factory=DictMemory)
    limiter: HeldLimiter = field(default_factory=HeldLimiter)
    slept: list[float] = field(default_factory=list)

    def connector(self, *, connected: bool = True, **config: Any) -> QuickBooksConnector:
        """A connector of the same connection, as after a restart; `connected` gives it a token to start from."""
        host = Host(
            connection="qbo-test", session=self.session, now=self.clock.now, sleep=self._sleep, limiter=self.limiter,
            memory=self.memory, tokens=self.store,
        )  # fmt: skip
        known = {
            "client_id": self.intuit.client_id, "client_secret": self.intuit.client_secret, "environment": "sandbox",
            "base_url": self.intuit.base_url, "authorize_url": self.intuit.authorize_url,
            "token_url": self.intuit.token_url, "revoke_url": self.intuit.revoke_url, "timeout_seconds": 20,
        }  # fmt: skip
        if connected:
            known |= {"realm_id": self.intuit.realm_id, "refresh_token": self.first_token}
        return QuickBooksConnector(QuickBooksConfig.model_validate({**known, **config}), host)

    @property
    def first_token(self) -> str:
        """The refresh token of the first consent, as somebody pasted it into the settings."""
        if not self.intuit.oauth.chains:
            self.intuit.issue_tokens()
        chain = self.intuit.oauth.chains[0]
        return next(iter(chain.rotated), chain.refresh_token)

    def intent(self, variant: int = 0, *, key: str = KEY) -> CreateIntent:
        """A create that begins now."""
        return CreateIntent(key=key, variant=variant, started_at=self.clock.now())

    def names(self) -> list[str]:
        """The DisplayNames of all customers at Intuit."""
        return sorted(str(record["DisplayName"]) for record in self.intuit.customers.values())

    def statements(self) -> list[str]:
        """The queries asked, in order."""
        return [call.query["query"] for call in self.intuit.calls_of(QUERY)]

    async def _sleep(self, seconds: float) -> None:
        """Wait for nothing: time is moved by hand."""
        self.slept.append(seconds)


@asynccontextmanager
async def opened_desk(directory: Path) -> AsyncIterator[Desk]:
    """A desk for one test."""
    clock = Clock()
    async with QuickBooksSimulator() as intuit, aiohttp.ClientSession() as session:
        intuit.quirks.clock = clock.unix
        yield Desk(intuit=intuit, session=session, clock=clock, store=FileTokenStore(directory / "tokens.db"))


def customer(**fields: Any) -> Customer:
    """A customer that can be created, with these fields instead."""
    known: dict[str, Any] = {"given_name": "Ada", "family_name": "Lovelace", "email": "ada@example.com"}
    ids = {"source": "tithely-main", "platform": "tithely", "environment_id": "prod", "customer_id": "user_7"}
    return Customer(**{**ids, **known, **fields})


def ids(candidates: Sequence[Candidate]) -> set[str]:
    """The ids of what was found."""
    return {candidate.provider_entity_id for candidate in candidates}
