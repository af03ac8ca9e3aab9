"""The gateway's ensure as the kit needs it. The gateway provides it; this package knows only what it looks like."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Any, Protocol

import aiohttp

from connectors.base import Connector, Limiter
from connectors.invoices import Invoice
from connectors.links import PaymentLinkRequest
from connectors.models import Customer
from connectors.testing.clock import Clock

ENGINES = "ledgergate.engines"
"""The entry points under which the gateway registers its engine."""


class End(StrEnum):
    """How an ensure ended, or how far it has come."""

    LINKED = "linked"
    REVIEW = "review"
    FAILED = "failed"
    PAUSED = "paused"
    IGNORED = "ignored"
    """Another job had done it before."""
    CREATE = "create"
    """A plan only: nothing was written, and a record would be created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one customer. `attempts` has one word each, as the gateway keeps them with the job."""

    end: End
    record: str | None = None
    origin: str | None = None
    """`created`, `adopted_…`, `hint` where a record is linked."""
    attempts: tuple[str, ...] = ()
    code: str | None = None
    """The last error's code."""
    reason: str = ""

    @property
    def words(self) -> str:
        """The outcome in words, for a report."""
        parts = [
            f"the gateway's outcome was {self.end}",
            f"after {', '.join(self.attempts)}" if self.attempts else "",
            f"({self.code})" if self.code else "",
            f"because: {self.reason}" if self.reason else "",
        ]
        return " ".join(part for part in parts if part)


class Ensuring(Protocol):
    """A gateway with one connection and an empty database of its own. Its clock jumps to whatever is due next."""

    async def ensure(self, customers: Sequence[Customer], *, nodes: int = 1, outage: float = 0.0) -> list[Outcome]:
        """Make customers exist, all at once, and return what became of each.

        With several `nodes` several workers, each with a connector of its own, share the work. After everybody's first
        attempt the gateway is down for `outage` seconds.
        """
        ...

    async def bill(
        self, invoices: Sequence[Invoice], *, customer_record: str, nodes: int = 1, outage: float = 0.0
    ) -> list[Outcome]:
        """Make invoices exist, all at once, for customers who are linked to this record; return what became of each."""
        ...

    async def link(
        self, requests: Sequence[PaymentLinkRequest], *, nodes: int = 1, outage: float = 0.0
    ) -> list[Outcome]:
        """Make payment links exist, all at once, whose customers and invoices are linked as the requests say."""
        ...

    async def receive(self, payments: Sequence[str], *, nodes: int = 1) -> list[Outcome]:
        """Be told of payments by the provider's webhooks, all at once; return what became of each."""
        ...

    def paid(self, invoice_id: str) -> list[Decimal]:
        """Return how much the platform was told to have been paid of an invoice, payment by payment."""
        ...

    async def plan(self, customer: Customer) -> Outcome:
        """Return what would become of a customer, without a write: the dry run of the real decision."""
        ...

    async def ensure_with_process(
        self, customers: Sequence[Customer], *, new_config: Mapping[str, Any]
    ) -> list[Outcome]:
        """Make customers exist with a second process on the same database, which then does it again with an empty one.

        `new_config` is for the second round. Returns the outcomes of both rounds, one after the other. Raises
        ImportError where the second process cannot import the connector.
        """
        ...


class Engine(Protocol):
    """Opens gateways for the kit."""

    def open(
        self,
        *,
        connector: type[Connector[Any]],
        config: Mapping[str, Any],
        session: aiohttp.ClientSession,
        clock: Clock,
        limiter: Limiter,
    ) -> AbstractAsyncContextManager[Ensuring]:
        """Open a gateway with one connection, and close it."""
        ...


def load_engine() -> Engine:
    """Return the engine of the gateway that is installed. Raises LookupError where none is registered."""
    for entry in entry_points(group=ENGINES):
        engine: Engine = entry.load()
        return engine
    raise LookupError("no ensure engine is registered: install ledgergate itself beside the connector")
