"""A Nomod connector before a simulated Nomod: what the tests of both look-ups and creates start from."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from connectors import Candidate, CreateIntent, Customer, Host
from connectors.base import DictMemory
from connectors.nomod import NomodConfig, NomodConnector
from connectors.testing.nomod import API_KEY, FilterMode, NomodSimulator
from connectors.testing.nomod_api import Record

MODES: list[FilterMode] = ["email", "search", "ignored"]
LIST, POST, GET = "GET /v1/customers", "POST /v1/customers", "GET /v1/customers/*"


class Clock:
    """The one time of gateway and simulator, moved by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def unix(self) -> float:
        return self.time.timestamp()

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class AwkwardNomod(NomodSimulator):
    """A Nomod whose lists may be bent: rows without some fields, wrong counts, links to elsewhere."""

    hidden: frozenset[str] = frozenset()
    envelope: Record | None = None
    """Keys of the envelope to replace; None as a value takes the key away."""

    def page(self, request: web.Request, rows: Sequence[object]) -> web.Response:
        """Answer a page as the real one, then bend it."""
        bare = [
            {k: v for k, v in row.items() if k not in self.hidden} if isinstance(row, dict) else row for row in rows
        ]
        answer = super().page(request, bare)
        if self.envelope is None:
            return answer
        body = json.loads(answer.text or "") | self.envelope
        return self.answer({key: value for key, value in body.items() if value is not None})

    def bared(self, row: Record) -> Record:
        """Return a row without the hidden fields."""
        return {key: value for key, value in row.items() if key not in self.hidden}


@dataclass
class HeldLimiter:
    """A limiter that never waits, and notes for how long it was told to."""

    held: list[float] = field(default_factory=list)
    entered: int = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        self.entered += 1
        yield

    def hold(self, seconds: float) -> None:
        self.held.append(seconds)


@dataclass(kw_only=True)
class Desk:
    """A simulator, a session and a memory, from which connectors are made."""

    nomod: AwkwardNomod
    session: aiohttp.ClientSession
    clock: Clock
    memory: DictMemory = field(default_factory=DictMemory)
    limiter: HeldLimiter = field(default_factory=HeldLimiter)

    def connector(self, *, user_agent: str = "ledgergate/1.0", **config: Any) -> NomodConnector:
        """A connector of the same connection, as after a restart."""
        host = Host(
            connection="nomod-test",
            session=self.session,
            now=self.clock.now,
            sleep=self._sleep,
            limiter=self.limiter,
            memory=self.memory,
            user_agent=user_agent,
        )
        known = {"api_key": API_KEY, "base_url": self.nomod.url, "timeout_seconds": 20}
        return NomodConnector(NomodConfig.model_validate({**known, **config}), host)

    def intent(self) -> CreateIntent:
        """A create that begins now."""
        return CreateIntent(key="7b0c7f0e-0000-4000-8000-000000000001", started_at=self.clock.now())

    def queries(self, route: str = LIST) -> list[dict[str, str]]:
        """What was asked, in order."""
        return [call.query for call in self.nomod.calls_of(route)]

    def sent(self) -> list[dict[str, Any]]:
        """The bodies of all creates, in order."""
        return [json.loads(call.body) for call in self.nomod.calls_of(POST)]

    async def _sleep(self, seconds: float) -> None:
        """Wait for nothing: time is moved by hand."""


@asynccontextmanager
async def opened_desk() -> AsyncIterator[Desk]:
    """A desk for one test."""
    clock = Clock()
    async with AwkwardNomod(clock=clock.unix) as nomod, aiohttp.ClientSession() as session:
        yield Desk(nomod=nomod, session=session, clock=clock)


def customer(**fields: Any) -> Customer:
    """A customer that can be created, with these fields instead."""
    known: dict[str, Any] = {"name": "Mona Salem", "email": "mona@example.com"}
    ids = {"source": "flexprice-prod", "platform": "flexprice", "environment_id": "prod", "customer_id": "cust_1"}
    return Customer(**{**ids, **known, **fields})


def ids(candidates: Sequence[Candidate]) -> set[str]:
    """The ids of what was found."""
    return {candidate.provider_entity_id for candidate in candidates}


def crowd(desk: Desk, number: int = 250) -> None:
    """Other customers, some of whom nearly have the address."""
    for index in range(number):
        desk.nomod.seed(first_name=f"Guest {index}", email=f"guest{index}@example.com", job_title="lg:x:y")
    desk.nomod.seed(first_name="Ramona", email="ramona@example.com")
    desk.nomod.seed(first_name="Mona", email="mona@example.com.test")
    desk.nomod.seed(first_name="mona@example.com")


def error_body(code: str, message: str = "No.", **more: object) -> bytes:
    """An error as Nomod documents it."""
    return orjson.dumps({"error": {"message": message, "code": code, **more}})
