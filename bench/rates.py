"""The lane of rate limits: one process and two against a provider that refuses whatever exceeds its limit.

The provider is a socket in this process. It keeps each limit in a window that slides: a request too many in any second,
wherever that second begins, counts as refused, and so does one too many at the same time.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

import uvloop

from bench.figures import Sample
from bench.machine import cores, pinned
from bench.plan import Plan
from bench.postgres import has_postgres, postgres
from bench.process import environment
from connectors.models import Limits
from gateway.breaker import Breaker
from gateway.budget import Budget
from storage import store_for

ON = ("one SQLite file", "PostgreSQL")
LIMITS = Limits(per_second=50, concurrency=16)
WARM = 3.0


class Strict:
    """The provider."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._arrived: deque[float] = deque()
        self._busy = 0
        self.served = self.refused = 0
        self.begun = asyncio.Event()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each byte after a while."""
        try:
            while await reader.read(1):
                self.begun.set()
                self._count(time.perf_counter())
                self._busy += 1
                await asyncio.sleep(random.uniform(0.02, 0.12))
                self._busy -= 1
                writer.write(b".")
        finally:
            writer.close()

    def _count(self, now: float) -> None:
        while self._arrived and self._arrived[0] <= now - 1.0:
            self._arrived.popleft()
        self._arrived.append(now)
        self.served += 1
        self.refused += len(self._arrived) > self._limits.per_second or self._busy >= self._limits.concurrency


def rates(plan: Plan) -> None:
    """Measure on both stores."""
    for turn in range(plan.rounds):
        for count in (1, 2):
            folder = plan.place("rates")
            _note(plan, ON[0], f"sqlite:///{folder / 'rates.db'}", count, turn)
            shutil.rmtree(folder)
    if not has_postgres():
        plan.tell("  no embedded PostgreSQL: measured on SQLite only")
        return
    with postgres() as databases:
        for turn in range(plan.rounds):
            for count in (1, 2):
                _note(plan, ON[1], databases("bench_rates"), count, turn)


def rate_lane(count: int) -> str:
    """Return the lane of so many processes."""
    return f"rate limit, {'one process' if count == 1 else f'{count} processes'}"


def _note(plan: Plan, store: str, url: str, count: int, turn: int) -> None:
    seconds = plan.rate_seconds
    used, refused = uvloop.run(_measure(url, count, seconds))
    figures = {"share_of_limit": used, "refused": float(refused)}
    plan.note(Sample(lane=rate_lane(count), subject=store, round=turn, figures=figures))


async def _measure(url: str, count: int, seconds: float) -> tuple[float, int]:
    store = store_for(url)
    await store.open()  # one makes the tables, before all come
    await store.close()
    provider = Strict(LIMITS)
    server = await asyncio.start_server(provider.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    command = [sys.executable, "-m", "bench.rates", url, str(port), str(min(WARM, seconds) + seconds + 2)]
    with pinned(cores()[0]):
        children = [await asyncio.create_subprocess_exec(*command, env=environment({})) for _ in range(count)]
    async with asyncio.timeout(60):
        await provider.begun.wait()
    await asyncio.sleep(min(WARM, seconds))
    before, refused = provider.served, provider.refused
    await asyncio.sleep(seconds)
    used = (provider.served - before) / (seconds * LIMITS.per_second)
    refused = provider.refused - refused
    await asyncio.gather(*[child.wait() for child in children])
    server.close()
    return used, refused


async def _press(url: str, port: int, seconds: float) -> None:
    """Send as much as the budget allows, for so long."""
    store = store_for(url)
    await store.open()
    breaker = Breaker("nomod", store=store, now=lambda: datetime.now(UTC))
    budget = Budget("nomod", LIMITS, store=store, breaker=breaker, owner=f"bench-{os.getpid()}")
    end = time.perf_counter() + seconds

    async def lane() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            async with budget.slot():
                writer.write(b"?")
                await reader.readexactly(1)
        writer.close()

    await asyncio.gather(*[lane() for _ in range(2 * LIMITS.concurrency)])
    await store.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Be one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    asked = parser.parse_args(arguments)
    uvloop.run(_press(asked.url, asked.port, asked.seconds))


if __name__ == "__main__":
    main()
