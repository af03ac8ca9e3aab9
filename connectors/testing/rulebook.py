"""What a rule is, the tiers of quality, and what a rule is given to work with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from connectors.testing.bench import Bench, HarnessFactory, opened_bench
from connectors.testing.engine import Engine, Ensuring
from connectors.testing.simulator import Call, Fault, FaultKind


class Tier(StrEnum):
    """How good a connector is. Each tier includes the one before."""

    BRONZE = "bronze"
    """It keeps the promise: one customer stays one, and nothing secret leaves."""
    SILVER = "silver"
    """It behaves well when the service or the installation does not."""
    GOLD = "gold"
    """It handles every text, every old config and every hint, and shows its work."""


class RuleBroken(Exception):
    """A rule does not hold. The message says what was done, what was expected and what happened."""


def require(condition: object, message: str) -> None:
    """Raise RuleBroken unless the condition holds."""
    if not condition:
        raise RuleBroken(message)


class Kit:
    """What a rule works with: as many fresh services as it wants, and the gateway's real engine."""

    def __init__(self, harness: HarnessFactory, engine: Engine) -> None:
        self._harness, self._engine = harness, engine
        self._routes: dict[str, str] = {}
        self.notes: dict[str, Any] = {}
        """What one rule found out and another needs too."""

    def bench(self) -> AbstractAsyncContextManager[Bench]:
        """Open a fresh service with its proxy."""
        return opened_bench(self._harness)

    @asynccontextmanager
    async def gateway(self, bench: Bench) -> AsyncIterator[Ensuring]:
        """Open a gateway with an empty database, whose one connection leads to this bench."""
        async with self._engine.open(
            connector=bench.kind,
            config=bench.new_config(),
            session=bench.session,
            clock=bench.clock,
            limiter=bench.limiter,
        ) as gateway:
            yield gateway

    async def create_route(self) -> str:
        """Return "METHOD /path" of the request that creates, found by watching one create."""
        return await self._watched("create_customer", _a_customer)

    async def invoice_route(self) -> str:
        """Return "METHOD /path" of the request that creates an invoice, found by watching one."""
        return await self._watched("create_invoice", _an_invoice)

    async def link_route(self) -> str:
        """Return "METHOD /path" of the request that creates a payment link, found by watching one."""
        return await self._watched("create_link", _a_link)

    async def _watched(self, name: str, make: Callable[[Bench], Awaitable[None]]) -> str:
        if name not in self._routes:
            async with self.bench() as bench:
                await make(bench)
                creates = bench.proxy.creates
                require(creates, f"{name} returned, and the service's ledger shows no new record")
                self._routes[name] = creates[-1].route
        return self._routes[name]

    async def at_invoice(self, kind: FaultKind, *, times: int = 1, **more: object) -> Fault:
        """Return a fault of the request that creates an invoice."""
        return Fault(kind=kind, route=await self.invoice_route(), times=times, **more)  # type: ignore[arg-type]

    async def at_link(self, kind: FaultKind, *, times: int = 1, **more: object) -> Fault:
        """Return a fault of the request that creates a payment link."""
        return Fault(kind=kind, route=await self.link_route(), times=times, **more)  # type: ignore[arg-type]

    async def at_create(self, kind: FaultKind, *, times: int = 1, **more: object) -> Fault:
        """Return a fault of the request that creates."""
        return Fault(kind=kind, route=await self.create_route(), times=times, **more)  # type: ignore[arg-type]

    async def creating_calls(self, bench: Bench) -> list[Call]:
        """Return the requests that asked for a create, whatever came of them."""
        return bench.proxy.calls_of(await self.create_route())


async def _a_customer(bench: Bench) -> None:
    await bench.connector().create_customer(bench.customer(), intent=bench.intent())


async def _an_invoice(bench: Bench) -> None:
    record = bench.seed(bench.customer())
    await bench.invoicer().create_invoice(bench.invoice(), customer_record=record, intent=bench.intent())


async def _a_link(bench: Bench) -> None:
    request = await bench.link_request(bench.seed(bench.customer()))
    await bench.linker().create_link(request, intent=bench.intent())


Check = Callable[[Kit], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the quality scale. docs/connector-quality.md has reason and example of each."""

    name: str
    tier: Tier
    title: str
    check: Check = field(repr=False)
    """Raises RuleBroken."""
    exemption: Check | None = field(default=None, repr=False)
    """Checks that the connector itself agrees with being exempt; None where nobody can be. Raises RuleBroken."""


def rule(name: str, tier: Tier, title: str, *, exemption: Check | None = None) -> Callable[[Check], Rule]:
    """Make a rule of a check."""

    def made(check: Check) -> Rule:
        return Rule(name=name, tier=tier, title=title, check=check, exemption=exemption)

    return made
