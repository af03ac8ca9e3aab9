"""Deliveries: kept byte for byte, once for each key, and kept for good once `add_delivery` has returned."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from storage.base import Store
from storage.errors import NotFoundError, StoreUnavailableError, UnstorableError
from storage.records import DeliveryStatus
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import LEASE, at, dispatch_jobs, make_delivery, make_job, settle_dispatch


class DeliveryContract(StoreFixtures):
    """The inbox."""

    async def test_a_delivery_is_kept_byte_for_byte(self, store: Store) -> None:
        new = make_delivery(body=bytes(range(256)) * 20, headers=b'[["x","\xc3\xbc"]]', secret_index=2)
        assert await store.add_delivery(new) == (new.delivery_id, False)
        kept = await store.get_delivery(new.delivery_id)
        assert (kept.body, kept.headers, kept.body_bytes) == (new.body, new.headers, 5120)
        assert (kept.source, kept.tenant_id, kept.environment_id) == ("flex", "tenant_a", "prod")
        assert (kept.delivery_key, kept.received_at) == ("msg_1", new.received_at)
        assert (kept.scheme, kept.secret_index) == ("standard-webhooks", 2)
        assert (kept.status, kept.replays, kept.reason, kept.event_type) == (DeliveryStatus.PENDING, 0, None, None)

    async def test_an_empty_body_is_a_body(self, store: Store) -> None:
        new = make_delivery(body=b"", headers=b"")
        await store.add_delivery(new)
        kept = await store.get_delivery(new.delivery_id)
        assert (kept.body, kept.headers) == (b"", b"")

    async def test_what_was_acknowledged_is_seen_by_other_processes_at_once(self, store: Store, twin: Store) -> None:
        new = make_delivery()
        await store.add_delivery(new)
        assert (await twin.get_delivery(new.delivery_id)).body == new.body

    async def test_what_was_acknowledged_is_there_after_a_new_start(
        self, store: Store, new_store: Callable[[], Store]
    ) -> None:
        new = make_delivery()
        await store.add_delivery(new)
        await store.close()
        again = new_store()
        await again.open()
        try:
            assert (await again.get_delivery(new.delivery_id)).body == new.body
            assert await again.add_delivery(make_delivery()) == (new.delivery_id, True)
        finally:
            await again.close()

    async def test_a_repeat_is_absorbed_and_told_the_first_id(self, store: Store) -> None:
        first, repeat = make_delivery(), make_delivery(body=b"another body", seconds=5)
        await store.add_delivery(first)
        assert await store.add_delivery(repeat) == (first.delivery_id, True)
        assert (await store.get_delivery(first.delivery_id)).body == first.body
        with pytest.raises(NotFoundError):
            await store.get_delivery(repeat.delivery_id)

    async def test_a_repeat_in_another_process_is_absorbed(self, store: Store, twin: Store) -> None:
        first = make_delivery()
        await store.add_delivery(first)
        assert await twin.add_delivery(make_delivery()) == (first.delivery_id, True)

    async def test_the_same_key_from_another_source_is_another_delivery(self, store: Store) -> None:
        await store.add_delivery(make_delivery())
        other = make_delivery(source="tirdad")
        assert await store.add_delivery(other) == (other.delivery_id, False)

    async def test_repeats_that_arrive_together_are_stored_once(self, store: Store) -> None:
        news = [make_delivery(f"msg_{i % 7}", seconds=i) for i in range(70)]
        answers = await asyncio.gather(*[store.add_delivery(new) for new in news])
        stored = [answer for answer in answers if not answer[1]]
        assert len(stored) == 7
        kept = {new.delivery_id: new.delivery_key for new in news}
        for new, (told, repeat) in zip(news, answers, strict=True):
            assert kept[told] == new.delivery_key
            assert repeat is (told != new.delivery_id)
            assert (await store.get_delivery(told)).body == new.body

    async def test_repeats_that_arrive_at_two_processes_together_are_stored_once(
        self, store: Store, twin: Store
    ) -> None:
        keys = [f"msg_{i}" for i in range(40)]
        here = [store.add_delivery(make_delivery(key)) for key in keys]
        there = [twin.add_delivery(make_delivery(key)) for key in reversed(keys)]
        answers = await asyncio.gather(*here, *there)
        assert sum(1 for _, repeat in answers if not repeat) == 40
        first = {(await store.get_delivery(told)).delivery_key: told for told, _ in answers}
        assert sorted(first) == sorted(keys)
        assert {told for told, _ in answers} == set(first.values())

    async def test_one_that_cannot_be_stored_does_not_spoil_the_others(self, store: Store) -> None:
        good = [make_delivery(f"msg_{i}") for i in range(20)]
        bad = make_delivery("half a character: \ud800")
        outcomes = await asyncio.gather(
            *[store.add_delivery(new) for new in [*good[:10], bad, *good[10:]]], return_exceptions=True
        )
        assert isinstance(outcomes.pop(10), UnstorableError)
        assert outcomes == [(new.delivery_id, False) for new in good]

    async def test_an_id_used_twice_is_refused_and_spoils_nothing(self, store: Store) -> None:
        first, good = make_delivery("msg_1"), make_delivery("msg_3")
        clash = replace(make_delivery("msg_2"), delivery_id=first.delivery_id)
        outcomes = await asyncio.gather(
            *[store.add_delivery(new) for new in (first, clash, good)], return_exceptions=True
        )
        assert [isinstance(outcome, Exception) for outcome in outcomes] == [False, True, False]
        assert (await store.get_delivery(first.delivery_id)).delivery_key == "msg_1"

    async def test_text_with_a_nul_spoils_nothing_and_is_found_again(self, store: Store) -> None:
        odd = make_delivery("odd \x00 key")
        assert await store.add_delivery(odd) == (odd.delivery_id, False)
        assert await store.add_delivery(make_delivery("odd \x00 key")) == (odd.delivery_id, True)
        await settle_dispatch(store, odd.delivery_id, entity_id="cust\x00", jobs=[make_job("cust\x00")])
        assert len((await store.list_jobs(entity_id="cust\x00")).items) == 1

    async def test_nothing_waits_for_the_disk_once_all_is_answered(self, store: Store) -> None:
        await asyncio.gather(*[store.add_delivery(make_delivery(f"msg_{i}")) for i in range(50)])
        assert store.deliveries_waiting == 0

    async def test_one_that_gave_up_waiting_does_not_count_as_waiting(self, store: Store) -> None:
        tasks = [asyncio.ensure_future(store.add_delivery(make_delivery(f"msg_{i}"))) for i in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.add_delivery(make_delivery("last"))
        assert store.deliveries_waiting == 0

    async def test_a_store_that_is_not_open_says_so(self, store: Store, new_store: Callable[[], Store]) -> None:
        unopened = new_store()
        with pytest.raises(StoreUnavailableError):
            await unopened.add_delivery(make_delivery())
        with pytest.raises(StoreUnavailableError):
            await unopened.get_delivery("dlv_1")
        with pytest.raises(StoreUnavailableError):
            await unopened.add_job(make_job(), now=at(0))
        await unopened.close()
        await store.close()
        with pytest.raises(StoreUnavailableError):
            await store.add_delivery(make_delivery())
        await store.close()

    async def test_bodies_are_pruned_and_keys_are_kept(self, store: Store) -> None:
        old = await dispatch_jobs(store, "old", seconds=0)
        young = await dispatch_jobs(store, "young", seconds=7200)
        assert await store.prune_deliveries(before=at(3600)) == 1
        assert await store.prune_deliveries(before=at(3600)) == 0
        pruned = await store.get_delivery(old)
        assert (pruned.body, pruned.headers, pruned.body_bytes) == (None, None, len(make_delivery().body))
        assert (await store.get_delivery(young)).body is not None
        assert await store.add_delivery(make_delivery("old")) == (old, True)

    async def test_what_is_not_ended_is_not_pruned_and_is_pruned_later(self, store: Store) -> None:
        new = make_delivery()
        await store.add_delivery(new)
        others = [await dispatch_jobs(store, f"msg_{i}", seconds=i) for i in range(2, 8)]
        pruned = [await store.prune_deliveries(before=at(3600), limit=4) for _ in range(3)]
        assert (pruned, len(others)) == ([4, 2, 0], 6)
        assert (await store.get_delivery(new.delivery_id)).body is not None
        await settle_dispatch(store, new.delivery_id, status=DeliveryStatus.FAILED, reason="unreadable")
        assert await store.prune_deliveries(before=at(3600)) == 1

    async def test_a_prune_beside_new_deliveries_takes_only_old_ones(self, store: Store) -> None:
        for i in range(30):
            await dispatch_jobs(store, f"old_{i}", seconds=i)
        adding = [store.add_delivery(make_delivery(f"new_{i}", seconds=90_000 + i)) for i in range(30)]
        pruned, *_ = await asyncio.gather(store.prune_deliveries(before=at(3600)), *adding)
        assert pruned == 30
        assert len(await store.claim_deliveries(now=at(90_100), lease=LEASE, limit=100)) == 30
