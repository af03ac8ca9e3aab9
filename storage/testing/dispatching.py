"""Dispatch: each delivery is decided once, by one worker; a replay begins again; the status follows from the jobs."""

import asyncio
from typing import Any

import pytest

from storage.base import Store
from storage.errors import ConflictError, NotFoundError
from storage.records import Claimed, DeliveryStatus, Dispatched, JobStatus
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    LEASE,
    T0,
    at,
    claim,
    claim_one,
    dispatch_jobs,
    make_delivery,
    make_job,
    make_review,
    make_seen,
    make_settlement,
    settle_dispatch,
)


class DispatchContract(StoreFixtures):
    """From a stored delivery to its end state."""

    async def test_claims_are_oldest_first_whole_and_not_given_twice(self, store: Store, twin: Store) -> None:
        news = [make_delivery(f"msg_{i}", seconds=i) for i in range(5)]
        for new in news:
            await store.add_delivery(new)
        first = await store.claim_deliveries(now=T0, lease=LEASE, limit=3)
        assert [taken.delivery_id for taken in first] == [new.delivery_id for new in news[:3]]
        assert [taken.body for taken in first] == [new.body for new in news[:3]]
        second = await twin.claim_deliveries(now=T0, lease=LEASE, limit=10)
        assert [taken.delivery_id for taken in second] == [new.delivery_id for new in news[3:]]
        assert await store.claim_deliveries(now=at(29), lease=LEASE, limit=10) == []

    async def test_a_claim_that_was_not_settled_is_given_again_when_its_lease_ends(self, store: Store) -> None:
        await store.add_delivery(make_delivery())
        await store.claim_deliveries(now=T0, lease=LEASE, limit=1)
        assert len(await store.claim_deliveries(now=at(30), lease=LEASE, limit=1)) == 1

    async def test_claims_at_the_same_time_are_disjoint(self, store: Store, twin: Store) -> None:
        for i in range(60):
            await store.add_delivery(make_delivery(f"msg_{i}"))
        batches = await asyncio.gather(
            *[which.claim_deliveries(now=T0, lease=LEASE, limit=10) for which in (store, twin) * 4]
        )
        taken = [delivery.delivery_id for batch in batches for delivery in batch]
        assert len(taken) == len(set(taken)) == 60

    async def test_an_end_state_is_written_with_what_the_event_says(self, store: Store) -> None:
        new = make_delivery()
        await store.add_delivery(new)
        await settle_dispatch(
            store, new.delivery_id, event_type="customer.created", entity_id="cust_9", subject="inv_9",
            status=DeliveryStatus.IGNORED, reason="not a trigger", customer=make_seen("cust_9"),
        )  # fmt: skip
        kept = await store.get_delivery(new.delivery_id)
        assert (kept.status, kept.reason) == (DeliveryStatus.IGNORED, "not a trigger")
        assert (kept.event_type, kept.entity_id, kept.subject) == ("customer.created", "cust_9", "inv_9")
        assert await store.claim_deliveries(now=at(100), lease=LEASE, limit=10) == []
        assert [seen.name for seen in await store.find_customers("cust_9")] == ["Name of cust_9"]

    async def test_a_second_decision_about_the_same_delivery_is_left_alone(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        late = Dispatched(
            delivery_id=delivery_id, event_type="late", status=DeliveryStatus.FAILED, jobs=[make_job("cust_2")]
        )
        await store.settle_dispatch([late], now=at(1))
        kept = await store.get_delivery(delivery_id)
        assert (kept.status, kept.event_type) == (DeliveryStatus.PENDING, "invoice.finalized")
        assert [job.entity_id for job in (await store.list_jobs()).items] == ["cust_1"]

    async def test_several_decisions_are_written_together(self, store: Store) -> None:
        news = [make_delivery(f"msg_{i}") for i in range(4)]
        for new in news:
            await store.add_delivery(new)
        results = [
            Dispatched(delivery_id=new.delivery_id, event_type="e", jobs=[make_job(f"cust_{i}"), make_job(f"dup_{i}")])
            for i, new in enumerate(news)
        ]
        results[1] = Dispatched(delivery_id=news[1].delivery_id, event_type="e", status=DeliveryStatus.FAILED)
        await store.settle_dispatch(results, now=T0)
        states = [(await store.get_delivery(new.delivery_id)).status for new in news]
        assert states == ["pending", "failed", "pending", "pending"]
        assert len(await claim(store)) == 6

    async def test_the_subjects_of_a_source_are_known_once_dispatched(self, store: Store) -> None:
        for n, source in enumerate(("flex", "flex", "tirdad")):
            new = make_delivery(f"msg_{n}", source=source)
            await store.add_delivery(new)
            if n != 1:
                await settle_dispatch(store, new.delivery_id, subject=f"inv_{n}", status=DeliveryStatus.IGNORED)
        asked = ["inv_0", "inv_1", "inv_2", "inv_\x00"]
        assert await store.known_subjects("flex", asked) == {"inv_0"}
        assert await store.known_subjects("tirdad", asked) == {"inv_2"}
        assert await store.known_subjects("flex", []) == set()

    async def test_a_decision_without_jobs_leaves_nothing_pending(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1")
        assert (await store.get_delivery(delivery_id)).status is DeliveryStatus.IGNORED

    async def test_roll_up_leaves_alone_what_dispatch_has_ended(self, store: Store) -> None:
        new = make_delivery()
        await store.add_delivery(new)
        await store.roll_up_delivery(new.delivery_id)
        assert (await store.get_delivery(new.delivery_id)).status is DeliveryStatus.PENDING
        await settle_dispatch(store, new.delivery_id, status=DeliveryStatus.FAILED, reason="unreadable")
        await store.roll_up_delivery(new.delivery_id)
        kept = await store.get_delivery(new.delivery_id)
        assert (kept.status, kept.reason) == (DeliveryStatus.FAILED, "unreadable")

    @pytest.mark.parametrize(
        "endings,expected,reason",
        [
            (["done", "done"], "processed", None),
            (["done", "ignored"], "processed", None),
            (["ignored", "ignored"], "ignored", "why 0"),
            (["done", "failed"], "failed", "why 1"),
            (["failed", "review"], "failed", "why 0"),
            (["done", "review"], "needs_review", "why 1"),
            (["failed", "later"], "pending", "why 0"),
            (["done", "cancelled"], "processed", None),
            (["cancelled", "cancelled"], "ignored", "why 0"),
        ],
    )
    async def test_the_status_follows_from_the_jobs(
        self, store: Store, endings: list[str], expected: str, reason: str | None
    ) -> None:
        """What needs a person comes before what is done; pending as long as anything is under way."""
        jobs = [make_job(f"cust_{i}") for i in range(len(endings))]
        delivery_id = await dispatch_jobs(store, "msg_1", *jobs)
        claimed = {found.job.job_id: found for found in await claim(store)}
        for i, (job, ending) in enumerate(zip(jobs, endings, strict=True)):
            await _end(store, claimed[job.job_id], ending, f"why {i}")
        kept = await store.get_delivery(delivery_id)
        assert (kept.status, kept.reason) == (expected, reason)
        await store.roll_up_delivery(delivery_id)
        assert (await store.get_delivery(delivery_id)).status == expected

    async def test_follow_up_jobs_keep_a_delivery_pending(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        follow_up = make_job("cust_1", delivery_id=delivery_id, kind="write_back", gate="source:flex", lock_key="w")
        await store.settle(make_settlement(await claim_one(store), follow_ups=[follow_up]))
        assert (await store.get_delivery(delivery_id)).status is DeliveryStatus.PENDING
        taken = await store.claim_jobs({"source:flex": 1}, owner="w1", now=at(2), lease=LEASE)
        await store.settle(make_settlement(taken[0], seconds=3))
        assert (await store.get_delivery(delivery_id)).status is DeliveryStatus.PROCESSED

    async def test_jobs_that_end_at_two_processes_together_leave_nothing_pending(
        self, store: Store, twin: Store
    ) -> None:
        for i in range(15):
            delivery_id = await dispatch_jobs(store, f"msg_{i}", make_job(f"a_{i}"), make_job(f"b_{i}"))
            here, there = await claim(store)
            await asyncio.gather(store.settle(make_settlement(here)), twin.settle(make_settlement(there)))
            assert (await store.get_delivery(delivery_id)).status is DeliveryStatus.PROCESSED

    async def test_a_replay_is_dispatched_again_and_its_outcome_counts(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        await store.settle(make_settlement(await claim_one(store), JobStatus.FAILED, reason="no such customer"))
        again = await store.replay_delivery(delivery_id)
        assert (again.status, again.replays, again.reason) == (DeliveryStatus.PENDING, 1, None)
        taken = await store.claim_deliveries(now=T0, lease=LEASE, limit=10)
        assert [delivery.delivery_id for delivery in taken] == [delivery_id]
        await store.settle_dispatch(
            [Dispatched(delivery_id=delivery_id, event_type="e", jobs=[make_job(delivery_id=delivery_id)])], now=at(2)
        )
        await store.settle(make_settlement(await claim_one(store, seconds=2), seconds=3))
        assert (await store.get_delivery(delivery_id)).status is DeliveryStatus.PROCESSED
        jobs = (await store.list_jobs(delivery_id=delivery_id)).items
        assert [job.status for job in jobs] == [JobStatus.SUCCEEDED, JobStatus.FAILED]

    async def test_a_replay_is_refused_while_the_delivery_is_worked_on(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        with pytest.raises(ConflictError):
            await store.replay_delivery(delivery_id)

    async def test_a_replay_is_refused_when_the_body_is_gone(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1")
        await store.prune_deliveries(before=at(3600))
        with pytest.raises(ConflictError, match="pruned"):
            await store.replay_delivery(delivery_id)

    async def test_a_replay_of_nothing_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFoundError):
            await store.replay_delivery("dlv_none")


async def _end(store: Store, claimed: Claimed, ending: str, why: str) -> None:
    if ending == "cancelled":
        await store.release_jobs({claimed.job.job_id: claimed.job.fence}, owner="w1", now=at(1))
        await store.cancel_job(claimed.job.job_id, now=at(1), reason=why)
        return
    endings: dict[str, tuple[JobStatus, dict[str, Any]]] = {
        "done": (JobStatus.SUCCEEDED, {}),
        "ignored": (JobStatus.SUCCEEDED, {"outcome": "ignored"}),
        "failed": (JobStatus.FAILED, {}),
        "review": (JobStatus.NEEDS_REVIEW, {"review": make_review()}),
        "later": (JobStatus.PENDING, {"next_attempt_at": at(60)}),
    }
    status, more = endings[ending]
    await store.settle(make_settlement(claimed, status, reason=why, **more))
