"""The platform and the provider behind the jobs: simulated in this process, with ledgers that tell what was done."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from bench.ours import Behind
from connectors.testing.nomod import NomodSimulator
from gateway.sandbox.flexprice import FINALIZED, FlexpriceSimulator
from gateway.sandbox.sender import encode

PATIENCE = 120.0
QUIET = 0.25
"""Seconds without a request after which the gateway has finished, once the ledgers hold what they must."""


class UnfinishedError(RuntimeError):
    """The gateway did not do what it was given, or did it twice."""


@dataclass(slots=True)
class Seen:
    """What the ledgers hold at a moment."""

    confirmed: int
    """Invoices read again: one for each job."""
    created: int
    """Customers that Nomod has made."""
    written_back: int
    """Changes of customers' metadata in Flexprice."""


class Services:
    """The simulated Flexprice and Nomod: `async with Services() as services: …`."""

    def __init__(self) -> None:
        self.flexprice, self.nomod = FlexpriceSimulator(), NomodSimulator()
        self.flexprice.calls_kept = self.nomod.calls_kept = 1_000_000

    async def __aenter__(self) -> Self:
        """Start."""
        await self.flexprice.start()
        await self.nomod.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.nomod.stop()
        await self.flexprice.stop()

    def behind(self) -> Behind:
        """Return what the gateway is told about them."""
        return Behind(
            flexprice_url=self.flexprice.api_url, flexprice_key=self.flexprice.api_key, nomod_url=self.nomod.url,
            nomod_key=self.nomod.api_key,
        )  # fmt: skip

    def add_customers(self, count: int) -> list[str]:
        """Make customers; return their ids."""
        first = len(self.flexprice.customers)
        made = [
            self.flexprice.add_customer(name=f"Customer {n}", email=f"billing+{n}@example.com")
            for n in range(first, first + count)
        ]
        return [str(customer["id"]) for customer in made]

    def finalize(self, customers: Sequence[str]) -> list[bytes]:
        """Finalize an invoice for each customer; return the bodies of the webhooks."""
        invoices = [self.flexprice.add_invoice(customer) for customer in customers]
        events = [self.flexprice.event(FINALIZED, str(invoice["id"])) for invoice in invoices]
        return [encode(event, alphabetical=True) for event in events]

    def seen(self) -> Seen:
        """Return what the ledgers hold."""
        return Seen(
            confirmed=len(self.flexprice.calls_of("GET /v1/invoices/*")), created=len(self.nomod.creations),
            written_back=len(self.flexprice.calls_of("PUT /v1/customers")),
        )  # fmt: skip

    async def until(self, finished: Callable[[Seen], bool]) -> float:
        """Wait until the ledgers hold what they must and nothing more comes; return when the last request came.

        Raises UnfinishedError when that takes too long, or when a customer was made twice.
        """
        began = last = time.perf_counter()
        calls = 0
        while True:
            now, count = time.perf_counter(), len(self.flexprice.calls) + len(self.nomod.calls)
            if count != calls:
                calls, last = count, now
            elif now - last > QUIET and finished(self.seen()):
                break
            if now - began > PATIENCE:
                raise UnfinishedError(f"after {PATIENCE:.0f} seconds: {self.seen()}")
            await asyncio.sleep(0.005)
        emails = [record["email"] for record in self.nomod.creations]
        if len(set(emails)) != len(emails):
            raise UnfinishedError("a customer was created twice")
        return last
