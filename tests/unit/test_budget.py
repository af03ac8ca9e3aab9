"""A provider's limits over several processes: used up, never exceeded, and shared whatever happens to one of them."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from connectors.errors import RateLimitedError
from connectors.models import Limits
from gateway.budget import LONGEST_WAIT, Budget
from gateway.slots import SECOND, Wish, grant, windows_of
from tests.unit.budget_setup import world

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
