"""A provider's limits over several processes, in virtual time, against a provider that counts strictly."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.errors import RateLimitedError
from connectors.models import Limits
from gateway.breaker import Breaker
from gateway.budget import LONGEST_WAIT, Budget
from gateway.slots import SECOND, Wish, grant, windows_of
from storage.errors import StoreUnavailableError
from storage.records import WELL, CircuitRow

T0 = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MOST_AWAY = 0.002
"""Seconds that a question to the store takes."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in which waiting takes no time: its clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 1000.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> Any:
            self._passed += timeout or 0.0
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._passed

    def now(self) -> datetime:
        """Return the time of day."""
        return T0 + timedelta(seconds=self._passed)


class SharedStore:
    """What the budget wants of a store. That real ones keep to it is tested in storage/testing/budgets.py."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self._loop, self._chance = loop, chance
        self.budgets: dict[str, Any] = {}
        self.circuits: dict[str, CircuitRow] = {}
        self.asked = 0
        self.away = False

    async def change_budget(
        self, connection: str, change: Callable[[Any, datetime], tuple[Any, Any]], *, now: datetime | None = None
    ) -> tuple[Any, datetime, CircuitRow]:
        self.asked += 1
        await asyncio.sleep(self._chance.uniform(0, MOST_AWAY / 2))
        if self.away:
            raise StoreUnavailableError
        at = now or self._loop.now()
        self.budgets[connection], result = change(self.budgets.get(connection), at)
        circuit = self.circuits.get(connection, WELL)
        await asyncio.sleep(self._chance.uniform(0, MOST_AWAY / 2))
        return result, at, circuit

    async def change_circuit(self, connection: str, change: Callable[[CircuitRow], CircuitRow]) -> CircuitRow:
        await asyncio.sleep(self._chance.uniform(0, MOST_AWAY))
        self.circuits[connection] = change(self.circuits.get(connection, WELL))
        return self.circuits[connection]


@dataclass
class Provider:
    """Refuses every request beyond its limits, in any window, wherever it begins; counts what it did."""

    loop: VirtualLoop
    chance: random.Random
    limits: Limits
    served: int = 0
    refused: int = 0
    crowded: int = 0
    busy: int = 0

    def __post_init__(self) -> None:
        """Begin with empty windows."""
        whole = max(1, int(self.limits.per_second))
        self.windows = [(whole, whole / self.limits.per_second), (self.limits.per_minute or 1e9, 60.0)]
        self.arrivals: list[deque[float]] = [deque() for _ in self.windows]

    async def ask(self) -> None:
        """Arrive after an uncertain while, be counted, and be answered."""
        await asyncio.sleep(0.03 + self.chance.uniform(0, 0.02))
        now = self.loop.time()
        for (count, length), arrivals in zip(self.windows, self.arrivals, strict=True):
            while arrivals and arrivals[0] <= now - length:
                arrivals.popleft()
            arrivals.append(now)
            self.refused += len(arrivals) > count
        self.served += 1
        self.busy += 1
        self.crowded += self.busy > self.limits.concurrency
        await asyncio.sleep(self.chance.uniform(0.01, 0.1))
        self.busy -= 1


@dataclass
class World:
    """A provider, a store, and the processes that share them."""

    loop: VirtualLoop
    store: SharedStore
    provider: Provider
    made: list[Budget] = field(default_factory=list)

    def process(self, *, now: Callable[[], datetime] | None = None, **how: Any) -> Budget:
        """Start another process. `now` is the time of its breaker."""
        store: Any = self.store
        budget = Budget(
            "nomod", self.provider.limits, store=store, owner=f"p{len(self.made)}", clock=self.loop.time,
            breaker=Breaker("nomod", store=store, now=now or self.loop.now), **how,
        )  # fmt: skip
        self.made.append(budget)
        return budget

    async def press(self, budget: Budget, seconds: float) -> None:
        """Send as much as the budget allows."""
        end = self.loop.time() + seconds

        async def lane() -> None:
            while self.loop.time() < end:
                async with budget.slot():
                    await self.provider.ask()

        await asyncio.gather(*[lane() for _ in range(2 * self.provider.limits.concurrency)])


@contextmanager
def world(limits: Limits, seed: int) -> Iterator[World]:
    print(f"seed {seed}")
    chance = random.Random(seed)
    loop = VirtualLoop()
    try:
        yield World(loop, SharedStore(loop, chance), Provider(loop, chance, limits))
    finally:
        loop.run_until_complete(_end())
        loop.close()


async def _end() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


LIMITS = {
    "8 a second, 480 a minute": (Limits(per_second=8, per_minute=480, concurrency=4), 8.0),
    "4 a second, 55 a minute": (Limits(per_second=4, per_minute=55, concurrency=4), 55 / 60),
    "2.5 a second": (Limits(per_second=2.5, concurrency=2), 2.5),
    "one in two seconds": (Limits(per_second=0.5, concurrency=1), 0.5),
    "100 a second": (Limits(per_second=100, concurrency=32), 100.0),
}


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_is_used_up_to_95_percent_and_never_exceeded(what: str, processes: int) -> None:
    limits, rate = LIMITS[what]
    seconds = 150.0 if limits.per_minute else 30.0
    with world(limits, random.randrange(1 << 30)) as here:

        async def go() -> None:
            pressing = [asyncio.ensure_future(here.press(here.process(), seconds + 5)) for _ in range(processes)]
            await asyncio.sleep(seconds)
            used = here.provider.served / (rate * seconds)
            print(f"used {used:.3f}, asked the store {here.store.asked} times for {here.provider.served} requests")
            assert used >= 0.95
            await asyncio.gather(*pressing)

        here.loop.run_until_complete(go())
        assert here.provider.refused == 0
        assert here.provider.crowded == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_process_that_wakes_late_exceeds_nothing_and_gives_back_what_it_has_missed(processes: int) -> None:
    with world(Limits(per_second=50, concurrency=16), random.randrange(1 << 30)) as here:

        async def late(seconds: float) -> None:
            await asyncio.sleep(seconds + here.provider.chance.uniform(0, 0.05))

        async def go() -> None:
            pressing = [asyncio.ensure_future(here.press(here.process(sleep=late), 35.0)) for _ in range(processes)]
            await asyncio.sleep(30.0)
            print(f"used {here.provider.served / (50 * 30):.3f}")
            assert here.provider.served > 0.7 * 50 * 30
            await asyncio.gather(*pressing)

        here.loop.run_until_complete(go())
        assert here.provider.refused == 0
        assert here.provider.crowded == 0


def test_the_store_is_asked_once_for_many_requests() -> None:
    with world(Limits(per_second=1000, concurrency=200), random.randrange(1 << 30)) as here:
        here.loop.run_until_complete(here.press(here.process(), 2.0))
        assert here.provider.refused == 0
        assert here.store.asked < here.provider.served / 10


def test_a_process_with_little_to_do_is_not_starved_by_one_with_much() -> None:
    with world(Limits(per_second=5, concurrency=2), random.randrange(1 << 30)) as here:
        waits = []

        async def seldom(budget: Budget) -> None:
            for _ in range(20):
                await asyncio.sleep(2.0)
                began = here.loop.time()
                async with budget.slot():
                    waits.append(here.loop.time() - began)
                    await here.provider.ask()

        async def go() -> None:
            await asyncio.gather(here.press(here.process(), 45.0), seldom(here.process()))

        here.loop.run_until_complete(go())
        assert here.provider.refused == here.provider.crowded == 0
        assert max(waits) < 2.5, waits


def test_places_and_slots_of_a_process_that_has_died_are_free_again() -> None:
    with world(Limits(per_second=5, concurrency=2), random.randrange(1 << 30)) as here:

        async def go() -> float:
            dead = here.process()
            dying = asyncio.ensure_future(here.press(dead, 60.0))
            await asyncio.sleep(5.0)
            dead.close()
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
            here.provider.busy = 0
            began, before = here.loop.time(), here.provider.served
            await here.press(here.process(), 20.0)
            return (here.provider.served - before) / (here.loop.time() - began)

        assert here.loop.run_until_complete(go()) > 5 * 0.75
        assert here.provider.refused == 0


def test_one_place_goes_round() -> None:
    with world(Limits(per_second=50, concurrency=1), random.randrange(1 << 30)) as here:
        counts = [0, 0, 0]

        async def count(n: int, budget: Budget) -> None:
            while here.loop.time() < 1060:
                async with budget.slot():
                    counts[n] += 1
                    await here.provider.ask()

        async def go() -> None:
            await asyncio.gather(*[count(n, here.process()) for n in range(3)])

        here.loop.run_until_complete(go())
        assert here.provider.crowded == 0
        assert min(counts) > max(counts) / 3, counts


def test_a_pause_holds_for_all_and_a_long_one_sends_the_job_away() -> None:
    with world(Limits(per_second=50, concurrency=4), random.randrange(1 << 30)) as here:

        async def go() -> None:
            one, two = here.process(), here.process()
            pressing = [asyncio.ensure_future(here.press(each, 20.0)) for each in (one, two)]
            await asyncio.sleep(2.0)
            one.hold(5.0)
            await asyncio.sleep(0.2)
            before = here.provider.served
            await asyncio.sleep(4.7)
            assert here.provider.served == before
            await asyncio.sleep(1.0)
            assert here.provider.served > before
            assert two.held_for == 0
            two.hold(LONGEST_WAIT + 60)
            told = await asyncio.gather(*pressing, return_exceptions=True)
            assert [type(each) for each in told] == [RateLimitedError, RateLimitedError]
            assert {round(each.retry_after or 0) for each in told if isinstance(each, RateLimitedError)} == {90}

        here.loop.run_until_complete(go())
        assert here.provider.refused == 0


def test_a_slot_is_waited_for_in_one_clock_and_a_pause_in_the_other() -> None:
    with world(Limits(per_second=2, concurrency=2), random.randrange(1 << 30)) as here:
        paused = timedelta()

        async def pause(seconds: float) -> None:
            """Let the breaker's time pass, and none of the loop's."""
            nonlocal paused
            paused += timedelta(seconds=seconds)
            await asyncio.sleep(0)

        async def go() -> None:
            budget = here.process(now=lambda: here.loop.now() + paused, pause=pause)
            began = here.loop.time()
            await here.press(budget, 10.0)
            assert here.loop.time() - began >= 10
            assert paused == timedelta()
            budget.hold(25.0)
            began = here.loop.time()
            async with budget.slot():
                assert here.loop.time() - began < 1.5
            assert timedelta(seconds=24) < paused < timedelta(seconds=26)
            await asyncio.sleep(1.0)
            here.store.away = True
            waiting = asyncio.ensure_future(budget.slot().__aenter__())
            here.loop.call_later(0.5, setattr, here.store, "away", False)
            await waiting
            assert paused > timedelta(seconds=100)

        here.loop.run_until_complete(go())
        assert here.provider.refused == 0


def test_a_store_that_is_away_is_waited_for() -> None:
    with world(Limits(per_second=50, concurrency=4), random.randrange(1 << 30)) as here:

        async def go() -> None:
            pressing = asyncio.ensure_future(here.press(here.process(), 30.0))
            await asyncio.sleep(2.0)
            here.store.away = True
            await asyncio.sleep(1.0)
            before = here.provider.served
            await asyncio.sleep(10.0)
            assert here.provider.served == before
            here.store.away = False
            await pressing
            assert here.provider.served > before + 500

        here.loop.run_until_complete(go())
        assert here.provider.refused == 0


def test_who_gives_up_waiting_costs_nothing() -> None:
    with world(Limits(per_second=2, concurrency=2), random.randrange(1 << 30)) as here:

        async def go() -> None:
            budget = here.process()

            async def one() -> None:
                async with budget.slot():
                    await here.provider.ask()

            tasks = [asyncio.ensure_future(one()) for _ in range(10)]
            await asyncio.sleep(0.01)
            for task in tasks[2:8]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert here.provider.served == 4
            async with budget.slot(), budget.slot():
                pass

        here.loop.run_until_complete(go())
        assert here.provider.refused == 0


def test_slots_far_ahead_stem_from_a_wrong_clock_and_are_forgotten() -> None:
    limits = Limits(per_second=2, concurrency=2)
    wish = Wish(owner="a", busy=0, waiting=1)
    how: dict[str, Any] = {"windows": windows_of(limits), "concurrency": 2}
    later = 3600 * SECOND
    state, first = grant(None, wish, now=later, **how)
    assert first.slots == [(later, 1)]
    assert grant(state, wish, now=0, **how)[1].slots == [(0, 1)]
