"""`python -m bench.growth`: what a store costs when years lie in it, beside one with a hundredth of that.

One delivery in five is a customer's first, unless `--mappings` says otherwise. Time is the median of many questions
about random rows; each is a call of the store, as the gateway makes it.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from bench import past
from bench.figures import shown
from bench.machine import facts
from bench.postgres import Databases, postgres
from bench.report import table
from storage import Store
from storage.postgres.connection import connect
from storage.postgres.store import PostgresStore
from storage.records import MappingKey, Scope
from storage.sqlite.store import SqliteStore
from storage.testing.making import LEASE, T0, at, make_delivery, make_job, make_settlement

TIMES = 200
PRUNED = 20_000
SMALL = 100
"""The small past is so many times smaller."""
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much lies in the store."""

    deliveries: int
    customers: int

    def anybody(self) -> int:
        """Return a random customer's number."""
        return random.randrange(self.customers)


def questions(store: Store, size: Size) -> dict[str, Callable[[int], Awaitable[Any]]]:
    """Return what is asked, by its name; each gets the number of the question."""

    def key() -> MappingKey:
        n = size.anybody()
        return MappingKey(
            source=past.source(n), entity_type="customer", entity_id=past.customer(n), connection="nomod"
        )  # fmt: skip

    def scope() -> Scope:
        return Scope(tenant_id=past.source(size.anybody()), environment_id="prod")

    async def claimed(n: int) -> None:
        await store.claim_jobs({"nomod": 1}, owner="w", now=at(n), lease=LEASE)

    async def deep(_n: int) -> None:
        oldest = past.delivery_id(random.randrange(size.deliveries))
        await store.get_delivery(oldest)

    return {
        "store a new delivery": lambda n: store.add_delivery(make_delivery(f"new_{n}", source="billing-0")),
        "store a repeat": lambda _: store.add_delivery(make_delivery("new_1", source="billing-0")),
        "claim a job among those that ended": claimed,
        "read a mapping": lambda _: store.get_mapping(key()),
        "read a delivery with its body": deep,
        "find a customer by id": lambda _: store.find_customers(past.customer(size.anybody())),
        "list a tenant's newest deliveries": lambda _: store.list_deliveries(scope()),
        "list a customer's deliveries": lambda _: store.list_deliveries(about=[past.customer(size.anybody())]),
        "list failed deliveries": lambda _: store.list_deliveries(scope(), status="failed"),  # type: ignore[arg-type]
        "list a customer's jobs": lambda _: store.list_jobs(entity_id=past.customer(size.anybody())),
        "list a tenant's mappings": lambda _: store.list_mappings(scope()),
        "read the backlog": lambda _: store.backlog(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A store with a past in it."""

    store: Store
    size: Size
    bytes_each: float


async def measured(grown: Sequence[Grown]) -> dict[str, list[float]]:
    """Return medians in milliseconds by question, one for each store.

    The stores are asked in turn, so that whatever else the machine does slows all of them.
    """
    figures: dict[str, list[float]] = {}
    for each in grown:
        for n in range(TIMES):
            await each.store.add_job(make_job(f"fresh_{n}", due=-1), now=T0)
            await each.store.add_job(make_job(f"settled_{n}", connection="qbo", due=-1), now=T0)
    asked = [questions(each.store, each.size) for each in grown]
    for what in asked[0]:
        taken: list[list[float]] = [[] for _ in grown]
        for n in range(TIMES):
            for place, ask in enumerate(asked):
                began = time.perf_counter()
                await ask[what](n)
                taken[place].append((time.perf_counter() - began) * 1000)
        figures[what] = [statistics.median(times) for times in taken]
    figures["settle a job"] = await _settled(grown)
    figures["bodies pruned a second"] = [await _pruned(each) for each in grown]
    return figures


async def _settled(grown: Sequence[Grown]) -> list[float]:
    claimed = [
        await each.store.claim_jobs({"qbo": TIMES}, owner="w1", now=T0, lease=timedelta(days=1)) for each in grown
    ]
    taken: list[list[float]] = [[] for _ in grown]
    for n in range(TIMES):
        for place, each in enumerate(grown):
            began = time.perf_counter()
            await each.store.settle(make_settlement(claimed[place][n], owner="w1"))
            taken[place].append((time.perf_counter() - began) * 1000)
    return [statistics.median(times) for times in taken]


async def _pruned(grown: Grown) -> float:
    began, pruned = time.perf_counter(), 0
    while pruned < min(PRUNED, grown.size.deliveries // 2):
        pruned += await grown.store.prune_deliveries(before=T0 - timedelta(days=30), limit=BATCH)
    return pruned / (time.perf_counter() - began)


async def on_sqlite(folder: Path, size: Size) -> Grown:
    """Return a SQLite file with a past."""
    path = folder / f"growth-{size.deliveries}.db"
    await past.make_sqlite(path)
    await asyncio.to_thread(past.fill_sqlite, path, size.deliveries, size.customers)
    store = SqliteStore(path)
    await store.open()
    return Grown(store=store, size=size, bytes_each=path.stat().st_size / size.deliveries)


async def on_postgres(url: str, size: Size) -> Grown:
    """Return a PostgreSQL database with a past."""
    store = PostgresStore(url)
    await store.open()
    connection = await connect(url, command_timeout=None)
    await past.fill_postgres(connection, size.deliveries, size.customers)
    each = await connection.fetchval("SELECT pg_database_size(current_database())") / size.deliveries
    await connection.close()
    return Grown(store=store, size=size, bytes_each=each)


async def grow(sizes: Sequence[Size], folder: Path, databases: Databases | None) -> tuple[dict[str, list[float]], ...]:
    """Return the figures of stores of these sizes, and their bytes for each delivery."""
    grown = []
    for size in sizes:
        began = time.perf_counter()
        if databases is not None:
            grown.append(await on_postgres(databases(f"growth_{size.deliveries}"), size))
        else:
            grown.append(await on_sqlite(folder, size))
        took = time.perf_counter() - began
        print(f"{size.deliveries:,} deliveries, {size.customers:,} customers: filled in {took:.0f} s", file=sys.stderr)
    figures = await measured(grown)
    for each in grown:
        await each.store.close()
    return figures, {"bytes for each delivery, with its job and body": [each.bytes_each for each in grown]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="ended deliveries (1,000,000)")
    parser.add_argument("--mappings", type=int, default=0, help="linked customers (a fifth of the deliveries)")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="where the SQLite file is made")
    asked = parser.parse_args(arguments)
    large = Size(deliveries=asked.deliveries, customers=asked.mappings or max(1, asked.deliveries // 5))
    small = Size(deliveries=max(SMALL, large.deliveries // SMALL), customers=max(10, large.customers // SMALL))
    sizes = (small, large)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledgergate-growth-", dir=asked.folder)))
        databases = stack.enter_context(postgres()) if asked.store == "postgres" else None
        figures, bytes_each = uvloop.run(grow(sizes, folder, databases))
    machine = facts()
    print(f"{machine['at']}, {machine['cpu']}, {asked.store}, medians of {TIMES} in milliseconds\n")
    rows = [[what, *map(shown, values)] for what, values in (figures | bytes_each).items()]
    headings = ["", *(f"{size.deliveries:,} deliveries, {size.customers:,} customers" for size in sizes)]
    print(table(headings, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
