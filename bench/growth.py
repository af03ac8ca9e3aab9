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
from bench.postgres import postgres
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


async def measured(store: Store, size: Size) -> dict[str, float]:
    """Return the median of each question and of a settlement in milliseconds, and the bodies pruned a second."""
    figures: dict[str, float] = {}
    for n in range(TIMES):
        await store.add_job(make_job(f"fresh_{n}", due=-1), now=T0)
    for what, ask in questions(store, size).items():
        taken = []
        for n in range(TIMES):
            began = time.perf_counter()
            await ask(n)
            taken.append((time.perf_counter() - began) * 1000)
        figures[what] = statistics.median(taken)
    figures["settle a job"] = await _settled(store)
    began, pruned = time.perf_counter(), 0
    while pruned < min(PRUNED, size.deliveries // 2):
        pruned += await store.prune_deliveries(before=T0 - timedelta(days=30), limit=BATCH)
    figures["bodies pruned a second"] = pruned / (time.perf_counter() - began)
    return figures


async def _settled(store: Store) -> float:
    for n in range(TIMES):
        await store.add_job(make_job(f"settled_{n}", due=-1), now=T0)
    taken = []
    for each in await store.claim_jobs({"nomod": TIMES}, owner="w1", now=T0, lease=LEASE):
        began = time.perf_counter()
        await store.settle(make_settlement(each, owner="w1"))
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def on_sqlite(folder: Path, size: Size) -> tuple[dict[str, float], float]:
    """Return the figures of a SQLite file, and its bytes for each delivery."""
    path = folder / f"growth-{size.deliveries}.db"
    await past.make_sqlite(path)
    await asyncio.to_thread(past.fill_sqlite, path, size.deliveries, size.customers)
    each = path.stat().st_size / size.deliveries
    store = SqliteStore(path)
    await store.open()
    figures = await measured(store, size)
    await store.close()
    path.unlink()
    return figures, each


async def on_postgres(url: str, size: Size) -> tuple[dict[str, float], float]:
    """Return the figures of a PostgreSQL database, and its bytes for each delivery."""
    store = PostgresStore(url)
    await store.open()
    connection = await connect(url, command_timeout=None)
    await past.fill_postgres(connection, size.deliveries, size.customers)
    each = await connection.fetchval("SELECT pg_database_size(current_database())") / size.deliveries
    await connection.close()
    figures = await measured(store, size)
    await store.close()
    return figures, each


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
    found: list[tuple[dict[str, float], float]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledgergate-growth-", dir=asked.folder)))
        databases = stack.enter_context(postgres()) if asked.store == "postgres" else None
        for size in (small, large):
            began = time.perf_counter()
            made = on_postgres(databases("growth"), size) if databases is not None else on_sqlite(folder, size)
            found.append(uvloop.run(made))
            took = time.perf_counter() - began
            print(f"{size.deliveries:,} deliveries, {size.customers:,} customers: {took:.0f} s", file=sys.stderr)
    (before, small_bytes), (after, large_bytes) = found
    machine = facts()
    print(f"{machine['at']}, {machine['cpu']}, {asked.store}, medians of {TIMES} in milliseconds\n")
    rows = [[what, shown(before[what]), shown(after[what])] for what in after]
    rows.append(["bytes for each delivery, with its job and body", shown(small_bytes), shown(large_bytes)])
    headings = ["", *(f"{size.deliveries:,} deliveries, {size.customers:,} customers" for size in (small, large))]
    print(table(headings, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
