"""`python -m bench.growth`: what a store costs when years lie in it, beside the same with far less.

One customer for each ten deliveries, unless `--mappings` says otherwise. A figure is the median of many calls of the
store about random rows, as the gateway makes them, or of a page of the console, as a browser gets it. The stores are
asked in turn, so that whatever else the machine does slows all of them.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import uvloop

from bench import pages, past
from bench.figures import shown
from bench.machine import facts
from bench.postgres import Databases, postgres
from bench.questions import Size, questions
from bench.report import table
from storage import Store
from storage.postgres.connection import connect
from storage.postgres.store import PostgresStore
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0, make_job, make_settlement

TIMES = 200
PATIENCE = 4.0
"""Seconds for one question to one store; after that fewer times have to do."""
PRUNED = 20_000
BATCH = 500
SMALLER = (1000, 30, 1)
"""The pasts beside each other: so many times smaller than asked for."""
FEWEST = 100
Figures = dict[str, list[float]]
"""A row for each question, a figure for each store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """A store with a past in it, and where it is."""

    store: Store
    size: Size
    url: str
    bytes_each: float
    file: Path | None = None


async def asked(grown: Sequence[Grown]) -> Figures:
    """Return medians in milliseconds by question, one for each store."""
    figures: Figures = {}
    for each in grown:
        for n in range(TIMES):
            await each.store.add_job(make_job(f"fresh_{n}", due=-1), now=T0)
            await each.store.add_job(make_job(f"settled_{n}", connection="qbo", due=-1), now=T0)
    all_asked = [questions(each.store, each.size) for each in grown]
    for what in all_asked[0]:
        taken: list[list[float]] = [[] for _ in grown]
        for n in range(TIMES):
            for place, ask in enumerate(all_asked):
                if sum(taken[place]) > PATIENCE * 1000:
                    continue
                began = time.perf_counter()
                await ask[what](n)
                taken[place].append((time.perf_counter() - began) * 1000)
        figures[what] = _told(what, [statistics.median(times) for times in taken])
    figures["settle a job"] = _told("settle a job", await _settled(grown))
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
    """Return how many bodies a second are pruned, in batches as the gateway's."""
    began, pruned = time.perf_counter(), 0
    while pruned < PRUNED:
        count = await grown.store.prune_deliveries(before=T0 - timedelta(days=30), limit=BATCH)
        pruned += count
        if count < BATCH:
            break
    return pruned / (time.perf_counter() - began)


async def _backed_up(grown: Grown) -> float:
    """Return the seconds that a backup takes, its check included; not a number where the disk has no room for it."""
    if grown.file is None or shutil.disk_usage(grown.file.parent).free < 2 * grown.file.stat().st_size:
        return float("nan")
    copy = grown.file.with_suffix(".backup")
    began = time.perf_counter()
    try:
        await grown.store.backup(copy)
    finally:
        copy.unlink(missing_ok=True)
    return time.perf_counter() - began


async def on_sqlite(folder: Path, size: Size) -> Grown:
    """Return a SQLite file with a past; one that is there already is taken as it is."""
    path = folder / f"growth-{size.deliveries}.db"
    if not path.exists():
        await past.make_sqlite(path)
        await asyncio.to_thread(past.fill_sqlite, path, size.deliveries, size.customers)
    store = SqliteStore(path)
    await store.open()
    each = path.stat().st_size / size.deliveries
    return Grown(store=store, size=size, url=f"sqlite:///{path}", bytes_each=each, file=path)


async def on_postgres(url: str, size: Size) -> Grown:
    """Return a PostgreSQL database with a past."""
    store = PostgresStore(url)
    await store.open()
    connection = await connect(url, command_timeout=None)
    await past.fill_postgres(connection, size.deliveries, size.customers)
    each = await connection.fetchval("SELECT pg_database_size(current_database())") / size.deliveries
    await connection.close()
    return Grown(store=store, size=size, url=url, bytes_each=each)


async def grow(sizes: Sequence[Size], folder: Path, databases: Databases | None) -> Figures:
    """Return the figures of stores of these sizes."""
    grown = []
    for size in sizes:
        began = time.perf_counter()
        if databases is not None:
            grown.append(await on_postgres(databases(f"growth_{size.deliveries}"), size))
        else:
            grown.append(await on_sqlite(folder, size))
        took = time.perf_counter() - began
        print(f"{size.deliveries:,} deliveries, {size.customers:,} customers: made in {took:.0f} s", file=sys.stderr)
    figures: Figures = {}
    for number, each in enumerate(grown):
        place = folder / f"gateway-{number}"
        place.mkdir(exist_ok=True)
        for what, figure in (await asyncio.to_thread(pages.measure, place, each.url, each.size)).items():
            figures.setdefault(what, []).append(figure)
    for what, told in figures.items():
        _told(what, told)
    figures |= await asked(grown)
    last: dict[str, Callable[[Grown], Awaitable[float]]] = {"bodies pruned a second": _pruned}
    if databases is None:
        last["backup, s"] = _backed_up
    for what, ask in last.items():
        figures[what] = _told(what, [await ask(each) for each in grown])
    figures["bytes for each delivery, all in all"] = [each.bytes_each for each in grown]
    for each in grown:
        await each.store.close()
    return figures


def _told(what: str, figures: list[float]) -> list[float]:
    print(f"  {what}: {', '.join(map(shown, figures))}", file=sys.stderr, flush=True)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="ended deliveries (1,000,000)")
    parser.add_argument("--mappings", type=int, default=0, help="linked customers (a tenth of the deliveries)")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="where the files are made, about 2 kB for each delivery")
    parser.add_argument("--keep", type=Path, help="where SQLite files are made and stay, to be asked again")
    asked_for = parser.parse_args(arguments)
    most = Size(deliveries=asked_for.deliveries, customers=asked_for.mappings or max(10, asked_for.deliveries // 10))
    sizes = [
        Size(deliveries=max(FEWEST, most.deliveries // times), customers=max(10, most.customers // times))
        for times in SMALLER
    ]
    with ExitStack() as stack:
        if asked_for.keep is not None:
            asked_for.keep.mkdir(parents=True, exist_ok=True)
            folder = asked_for.keep
        else:
            made = tempfile.TemporaryDirectory(prefix="ledgergate-growth-", dir=asked_for.folder)
            folder = Path(stack.enter_context(made))
        databases = stack.enter_context(postgres()) if asked_for.store == "postgres" else None
        figures = uvloop.run(grow(sizes, folder, databases))
    machine = facts()
    version = databases.version if databases is not None else f"SQLite {machine['sqlite']}"
    print(f"{machine['at']}, {machine['cpu']}, {version}; milliseconds, medians\n")
    rows = [[what, *map(shown, values)] for what, values in figures.items()]
    headings = ["", *(f"{size.deliveries:,} deliveries, {size.customers:,} customers" for size in sizes)]
    print(table(headings, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
