"""Waking: a commit by any process ends the wait for one, and an idle store ends none."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from storage.base import Store
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    T0,
    at,
    claim_one,
    dispatch_jobs,
    make_delivery,
    make_job,
    make_settlement,
    make_source,
    running_job,
)

LONG = 30.0
"""Seconds, of which none is spent where a wait ends as it should."""


async def _replay(store: Store) -> None:
    await store.replay_delivery((await store.list_deliveries()).items[0].delivery_id)


async def _retry(store: Store) -> None:
    await store.retry_job((await store.list_jobs(entity_id="failed")).items[0].job_id, now=at(5))


async def _settle(store: Store) -> None:
    await store.settle(make_settlement(await claim_one(store, qbo=1)))


async def _hand_back(store: Store) -> None:
    claimed = await claim_one(store, qbo=1)
    await store.release_jobs({claimed.job.job_id: claimed.job.fence}, owner="w1", now=at(1))


WORK: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "a delivery": lambda store: store.add_delivery(make_delivery("new")),
    "a job": lambda store: store.add_job(make_job("new"), now=T0),
    "a dispatch": lambda store: dispatch_jobs(store, "new", make_job("new")),
    "a settlement": _settle,
    "a job handed back": _hand_back,
    "a replay": _replay,
    "a retry": _retry,
    "a change of configuration": lambda store: store.put_source(make_source()),
}
"""What makes work for others, and has to wake them."""


class WakingContract(StoreFixtures):
    """Waiting for a change."""

    @pytest.mark.parametrize("what", WORK)
    @pytest.mark.parametrize("where", ["here", "in another process"])
    async def test_work_wakes_who_waits(self, store: Store, twin: Store, what: str, where: str) -> None:
        await dispatch_jobs(store, "old")
        failed = await running_job(store, "failed")
        await store.settle(make_settlement(failed, "failed"))  # type: ignore[arg-type]
        await store.add_job(make_job("waits", connection="qbo"), now=T0)
        await _until_quiet(store)
        waiting = asyncio.create_task(store.wait_for_change(LONG))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await WORK[what](store if where == "here" else twin)
        assert await waiting is True

    async def test_a_change_between_two_waits_is_not_lost(self, store: Store, twin: Store) -> None:
        await _until_quiet(store)
        await twin.add_delivery(make_delivery("one"))
        assert await store.wait_for_change(LONG) is True
        await _until_quiet(store)
        await store.add_delivery(make_delivery("two"))
        assert await store.wait_for_change(LONG) is True

    async def test_a_wait_can_begin_where_its_caller_has_last_looked(self, store: Store) -> None:
        await _until_quiet(store)
        token = await store.change_token()
        await store.add_delivery(make_delivery())
        assert await store.change_token() != token
        assert await store.wait_for_change(LONG, since=token) is True
        assert await store.wait_for_change(LONG, since=token) is True
        await _until_quiet(store)
        assert await store.wait_for_change(0.01, since=await store.change_token()) is False

    async def test_everybody_who_waits_is_woken(self, store: Store) -> None:
        await _until_quiet(store)
        token = await store.change_token()
        waiting = [asyncio.create_task(store.wait_for_change(LONG, since=token)) for _ in range(5)]
        await asyncio.sleep(0.01)
        await store.add_delivery(make_delivery())
        assert await asyncio.gather(*waiting) == [True] * 5

    async def test_looking_wakes_nobody(self, store: Store, twin: Store) -> None:
        await _until_quiet(store)
        token = await store.change_token()
        await store.claim_jobs({"nomod": 5}, owner="w1", now=T0, lease=at(9) - T0)
        await store.claim_deliveries(now=T0, lease=at(9) - T0, limit=5)
        await twin.list_jobs()
        await store.backlog()
        assert await store.change_token() == token
        assert await store.wait_for_change(0, since=token) is False

    async def test_a_wait_that_was_given_up_disturbs_nobody(self, store: Store) -> None:
        await _until_quiet(store)
        waiting = asyncio.create_task(store.wait_for_change(LONG))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await store.add_delivery(make_delivery())
        assert await store.wait_for_change(LONG) is True

    async def test_a_ping_proves_that_the_store_can_be_written(self, store: Store) -> None:
        await store.ping(now=T0)
        await store.ping(now=at(1))


async def _until_quiet(store: Store) -> None:
    while await store.wait_for_change(0.06):
        pass
