"""The lanes of several processes on one database: the door, wake-ups, idle cost, one worker and two."""

import asyncio
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import uvloop

from bench.door import compare
from bench.figures import Sample, percentile
from bench.machine import cores, pinned
from bench.ours import Installation
from bench.plan import Plan
from bench.postgres import Databases, has_postgres, postgres
from bench.process import Server, free_port
from bench.services import Services
from bench.subjects import LIMIT, OURS, Subject, limit
from bench.work import Backlog, started
from connectors.testing.simulator import Call, Moment
from storage import Store
from storage.postgres.store import PostgresStore
from storage.sqlite.store import SqliteStore
from storage.testing.making import make_delivery

CONNECTIONS = 64
LATENCY = 0.1
"""Seconds that a provider takes to answer, in the lane where jobs wait for it."""
WOKEN = 200
IDLE = 5.0
ONE, TWO = "one node", "two nodes"


def nodes(plan: Plan) -> None:
    """Measure, unless the embedded server is missing."""
    if not has_postgres():
        plan.tell("  no embedded PostgreSQL: the lanes of several nodes are left out")
        return
    with postgres() as databases:
        _door(plan, databases)
        _woken(plan, databases)
        _idle(plan, databases)
        for lane, latency in (("drained, provider answers at once", 0.0), ("drained, provider takes 100 ms", LATENCY)):
            for turn in range(plan.rounds if plan.drains else 0):
                for name, count in ((ONE, 1), (TWO, 2)):
                    _drained(plan, databases, Sample(lane=lane, subject=name, round=turn, figures={}), count, latency)


def _door(plan: Plan, databases: Databases) -> None:
    """The door with its store on PostgreSQL, which runs on the same core as the gateway."""

    def start(folder: Path, env: Mapping[str, str]) -> Server:
        return Installation(folder, database=databases("bench_door")).server(env=env)

    subjects = [limit("b", LIMIT), Subject(name=OURS, start=start, database=databases)]
    compare(plan, subjects, lane="door on PostgreSQL c={}", env={}, connections=(CONNECTIONS,))


def _woken(plan: Plan, databases: Databases) -> None:
    """From a delivery's commit at one node until another that was asleep knows."""
    url, folder = databases("bench_woken"), plan.place("woken")
    for name, make in (
        ("one SQLite file", lambda: SqliteStore(folder / "woken.db")), ("PostgreSQL", lambda: PostgresStore(url)),
    ):  # fmt: skip
        took = uvloop.run(_wakes(make, WOKEN if plan.drains else 5))
        figures = {"p50_ms": statistics.median(took), "p99_ms": percentile(sorted(took), 0.99)}
        plan.note(Sample(lane="woken by another node", subject=name, round=0, figures=figures))
    shutil.rmtree(folder)


async def _wakes(make: Callable[[], Store], count: int) -> list[float]:
    """Return how many milliseconds each of so many wakes took."""
    async with AsyncExitStack() as stack:
        stores = [make() for _ in range(2)]
        for store in stores:
            await store.open()
            stack.push_async_callback(store.close)
        took = []
        for n in range(count):
            await asyncio.sleep(0.02)
            token = await stores[1].change_token()
            waiting = asyncio.ensure_future(stores[1].wait_for_change(5.0, since=token))
            await stores[0].add_delivery(make_delivery(f"woken_{n}"))
            committed = time.perf_counter()
            await waiting
            took.append((time.perf_counter() - committed) * 1000)
    return took


def _idle(plan: Plan, databases: Databases) -> None:
    """CPU of a node that has nothing to do, with 16 sources and connections' worth of configuration."""
    for name, database in (("one SQLite file", None), ("PostgreSQL", databases("bench_idle"))):
        folder = plan.place("idle")
        with Installation(folder, database=database).server() as server:
            server.get("/readyz")
            time.sleep(2.0 if plan.drains else 0.0)
            cpu, seconds = server.cpu(), IDLE if plan.drains else 0.1
            time.sleep(seconds)
            figures = {"cpu_percent": (server.cpu() - cpu) / seconds * 100}
        plan.note(Sample(lane="idle node", subject=name, round=0, figures=figures))
        shutil.rmtree(folder)


def _drained(plan: Plan, databases: Databases, sample: Sample, count: int, latency: float) -> None:
    """A backlog of jobs for new customers, worked off by so many nodes."""
    folder = plan.place("nodes")

    async def measure() -> dict[str, float]:
        async with Services() as services:
            for service in (services.flexprice, services.nomod):
                service.hook = _slow(latency)
            installation = await asyncio.to_thread(
                Installation, folder, behind=services.behind(), database=databases("bench_nodes")
            )
            backlog = Backlog(services)
            await backlog.fill(installation, services.add_customers(plan.customers))
            return await _drain(installation, services, backlog, count)

    with pinned(cores()[1]):
        sample.figures.update(uvloop.run(measure()))
    plan.note(sample)
    shutil.rmtree(folder)


async def _drain(installation: Installation, services: Services, backlog: Backlog, count: int) -> dict[str, float]:
    ports: Sequence[int] = [installation.port, *(free_port() for _ in range(count - 1))]
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(started(partial(installation.server, port=port))) for port in ports]
        began, early = time.perf_counter(), services.seen().written_back
        cpu = sum(server.cpu() for server in servers)
        last = await services.until(backlog.is_done)
        left = max(1, backlog.customers - early)
        return {
            "per_second": left / (last - began),
            "cpu_ms": (sum(server.cpu() for server in servers) - cpu) / left * 1000,
        }


def _slow(latency: float) -> Callable[[Call, Moment], Awaitable[None]]:
    async def hook(_call: Call, moment: Moment) -> None:
        if latency and moment is Moment.BEFORE:
            await asyncio.sleep(latency)

    return hook
