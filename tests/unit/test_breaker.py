"""The circuit breaker: opens after a run of failures in any process, rests longer each time, closes for all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.breaker import FIRST_REST, LONGEST_REST, OPENS_AFTER, Breaker, Circuit
from storage.records import WELL
from storage.sqlite.store import SqliteStore

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Pair:
    """The breakers of two processes for one connection, with a clock that the test moves."""

    def __init__(self, one: SqliteStore, two: SqliteStore) -> None:
        self.now, self.store = NOW, one
        self.one, self.two = (Breaker("nomod", store=store, now=lambda: self.now) for store in (one, two))

    async def refresh(self) -> None:
        """Have both take up what the store says, as each process does now and then."""
        for breaker in (self.one, self.two):
            breaker.heard((await self.store.list_circuits()).get("nomod", WELL))

    async def open(self) -> None:
        """Have the circuit opened by failures in both."""
        told = [await (self.one, self.two)[n % 2].failed() for n in range(OPENS_AFTER)]
        assert told == [*[False] * (OPENS_AFTER - 1), True]
        await self.refresh()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    stores = [SqliteStore(tmp_path / "store.db") for _ in range(2)]
    for store in stores:
        await store.open()
    yield Pair(*stores)
    for store in stores:
        await store.close()


async def test_a_success_in_between_starts_the_count_again(pair: Pair) -> None:
    for _ in range(OPENS_AFTER - 1):
        await pair.one.failed()
    await pair.refresh()
    assert await pair.two.succeeded() is False
    assert await pair.one.failed() is False
    assert pair.one.state is Circuit.CLOSED


async def test_it_opens_for_all_then_lets_one_probe_then_closes_for_all(pair: Pair) -> None:
    await pair.open()
    assert {pair.one.state, pair.two.state} == {Circuit.OPEN}
    assert pair.two.waits_until == NOW + FIRST_REST
    pair.now += FIRST_REST
    assert {pair.one.state, pair.two.state} == {Circuit.HALF_OPEN}
    assert await pair.two.succeeded() is True
    assert await pair.two.succeeded() is False
    await pair.refresh()
    assert pair.one.state is Circuit.CLOSED
    assert await pair.store.list_circuits() == {}


async def test_only_a_failed_probe_makes_the_rest_longer_up_to_a_bound(pair: Pair) -> None:
    await pair.open()
    assert await pair.one.failed() is False  # under way when it opened
    rests = []
    for _ in range(9):
        pair.now = pair.one.row.open_until or pair.now
        assert await pair.one.failed() is False
        rests.append((pair.one.row.open_until or pair.now) - pair.now)
    assert rests[:3] == [FIRST_REST * 2, FIRST_REST * 4, FIRST_REST * 8]
    assert rests[-1] == LONGEST_REST


async def test_a_probe_that_ends_without_a_word_lets_the_next_begin(pair: Pair) -> None:
    await pair.open()
    await pair.store.change_circuit("nomod", lambda was: replace(was, probe_until=NOW + timedelta(minutes=1)))
    await pair.refresh()
    assert pair.one.waits_until == NOW + timedelta(minutes=1)
    await pair.one.undecided()
    assert pair.one.waits_until == NOW + FIRST_REST


async def test_a_pause_holds_here_at_once_and_in_the_others_once_it_is_stored(pair: Pair) -> None:
    pair.one.hold(60)
    pair.one.hold(10)
    assert pair.one.held_for == 60
    await asyncio.gather(*pair.one._telling)
    await pair.refresh()
    assert pair.two.held_for == 60
    pair.two.hold(10**9)
    assert pair.two.held_for == 86_400
    await asyncio.gather(*pair.two._telling)
    pair.now += timedelta(days=2)
    assert pair.two.held_for == 0
    assert await pair.two.succeeded() is False
    assert await pair.store.list_circuits() == {}
