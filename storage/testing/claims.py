"""Claims: one worker has a job at a time, for as long as its lease; what has ended is fenced off."""

import asyncio
from datetime import timedelta

import pytest

from storage.base import Store
from storage.errors import LeaseLostError
from storage.records import JobStatus
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    LEASE,
    T0,
    at,
    claim,
    claim_one,
    make_connection,
    make_delivery,
    make_intent,
    make_job,
    make_key,
    make_link,
    make_settlement,
    running_job,
    settle_dispatch,
)


class ClaimContract(StoreFixtures):
    """Leases, fences, locks and gates."""

    async def test_a_claimed_job_is_running_under_a_new_fence(self, store: Store) -> None:
        job = make_job(payload={"a": [1, None, "ü"]}, subject="inv_1")
        await store.add_job(job, now=T0)
        claimed = (await claim_one(store)).job
        assert (claimed.job_id, claimed.status, claimed.fence, claimed.attempts) == (job.job_id, "running", 1, 0)
        assert (claimed.kind, claimed.source, claimed.tenant_id) == (job.kind, "flex", "tenant_a")
        assert (claimed.gate, claimed.lock_key, claimed.connection) == ("nomod", "nomod:cust_1", "nomod")
        assert (claimed.entity_type, claimed.entity_id, claimed.subject) == ("customer", "cust_1", "inv_1")
        assert (claimed.payload, claimed.created_at) == ({"a": [1, None, "ü"]}, T0)
        assert await claim(store, seconds=1) == []

    async def test_jobs_are_claimed_when_they_are_due_the_longest_due_first(self, store: Store) -> None:
        for due in (3, 1, 2, 50):
            await store.add_job(make_job(f"cust_{due}", due=due), now=T0)
        assert [found.job.entity_id for found in await claim(store, seconds=2)] == ["cust_1", "cust_2"]
        assert [found.job.entity_id for found in await claim(store, seconds=3)] == ["cust_3"]
        assert await claim(store, seconds=4) == []

    async def test_no_more_is_claimed_than_there_is_room_for_at_each_gate(self, store: Store) -> None:
        for i in range(6):
            await store.add_job(make_job(f"cust_{i}"), now=T0)
            await store.add_job(make_job(f"cust_{i}", connection="qbo"), now=T0)
        first = await claim(store, nomod=2, qbo=3, other=5)
        assert sorted(found.job.gate for found in first) == ["nomod"] * 2 + ["qbo"] * 3
        second = await claim(store, nomod=0, qbo=-1)
        assert second == []
        assert len(await claim(store, nomod=100)) == 4

    async def test_jobs_with_the_same_lock_key_never_run_together(self, store: Store, twin: Store) -> None:
        for i in range(4):
            await store.add_job(make_job("cust_1", due=i - 10), now=T0)
        await store.add_job(make_job("cust_1", lock_key="other"), now=T0)
        first = await claim(store)
        assert [found.job.lock_key for found in first] == ["nomod:cust_1", "other"]
        assert await claim(twin, owner="w2") == []
        await store.settle(make_settlement(first[0]))
        second = await claim_one(twin, owner="w2", seconds=2)
        assert second.job.next_attempt_at == at(-9)

    async def test_a_lock_holds_across_gates(self, store: Store) -> None:
        await store.add_job(make_job("cust_1", lock_key="same"), now=T0)
        await store.add_job(make_job("cust_1", lock_key="same", connection="qbo"), now=T0)
        assert len(await claim(store, nomod=5, qbo=5)) == 1
        assert await claim(store, nomod=5, qbo=5) == []

    async def test_jobs_behind_many_that_are_locked_are_found(self, store: Store) -> None:
        for i in range(60):
            await store.add_job(make_job("busy", due=-100 + i), now=T0)
        await store.add_job(make_job("free"), now=T0)
        found = [*await claim(store, nomod=2), *await claim(store, nomod=2), *await claim(store, nomod=2)]
        assert sorted(claimed.job.entity_id or "" for claimed in found) == ["busy", "free"]

    async def test_jobs_of_one_customer_run_one_after_the_other_in_their_order(self, store: Store) -> None:
        """However many wait, the end of one calls the next: none waits for a lease to end."""
        for i in range(40):
            await store.add_job(make_job("busy", due=-100 + i), now=T0)
        for i in range(40):
            claimed = await claim_one(store)
            assert (claimed.job.next_attempt_at, await claim(store)) == (at(-100 + i), [])
            await store.settle(make_settlement(claimed))
        assert dict((await store.backlog()).jobs) == {}

    async def test_who_waits_for_a_lock_gets_it_when_it_is_handed_back(self, store: Store) -> None:
        await store.add_job(make_job("busy", due=-2), now=T0)
        await store.add_job(make_job("busy", due=-1), now=T0)
        first = await claim_one(store)
        assert await claim(store) == []
        await store.release_jobs({first.job.job_id: first.job.fence}, owner="w1", now=at(5))
        second = await claim_one(store)
        assert second.job.next_attempt_at == at(-1)
        await store.settle(make_settlement(second, JobStatus.PENDING, next_attempt_at=at(99)))
        assert (await claim_one(store, seconds=5)).job.job_id == first.job.job_id

    async def test_who_waits_for_a_worker_that_has_gone_gets_on_when_its_lease_ends(self, store: Store) -> None:
        jobs = [make_job("busy", due=-3 + i) for i in range(3)]
        for job in jobs:
            await store.add_job(job, now=T0)
        await claim_one(store)
        assert await claim(store, seconds=1) == []
        order = []
        for _ in jobs:
            claimed = await claim_one(store, seconds=31, owner="w2")
            order.append(claimed.job.job_id)
            await store.settle(make_settlement(claimed, owner="w2", seconds=32))
        assert order == [jobs[1].job_id, jobs[2].job_id, jobs[0].job_id]

    async def test_one_that_waits_for_a_lock_can_be_cancelled_and_retried(self, store: Store) -> None:
        jobs = [make_job("busy", due=-9 + i) for i in range(4)]
        for job in jobs:
            await store.add_job(job, now=T0)
        first = await claim_one(store)
        assert await claim(store) == []
        await store.cancel_job(jobs[1].job_id, now=at(1), reason="r")
        await store.retry_job(jobs[3].job_id, now=at(1))
        await store.settle(make_settlement(first, seconds=2))
        found = [await claim_one(store, seconds=2)]
        await store.settle(make_settlement(found[0], seconds=3))
        found.append(await claim_one(store, seconds=3))
        await store.settle(make_settlement(found[1], seconds=4))
        assert [each.job.job_id for each in found] == [jobs[2].job_id, jobs[3].job_id]
        assert await claim(store, seconds=99) == []

    async def test_claims_at_the_same_time_are_disjoint(self, store: Store, twin: Store) -> None:
        for i in range(60):
            await store.add_job(make_job(f"cust_{i % 20}"), now=T0)
        batches = await asyncio.gather(
            *[claim(which, owner=f"w{i}", nomod=7) for i, which in enumerate((store, twin) * 4)]
        )
        found = [claimed.job for batch in batches for claimed in batch]
        assert len({job.job_id for job in found}) == len(found) > 0
        assert len({job.lock_key for job in found}) == len(found)

    async def test_a_paused_connection_burns_no_attempts(self, store: Store) -> None:
        await store.put_connection(make_connection("nomod"))
        await store.add_job(make_job(), now=T0)
        await store.set_connection_status("nomod", status="paused", reason="needs_reauth", now=T0)
        assert await claim(store, seconds=100) == []
        job = (await store.list_jobs()).items[0]
        assert (job.status, job.attempts, job.failures, job.next_attempt_at) == (JobStatus.PENDING, 0, 0, T0)
        await store.set_connection_status("nomod", status="active", now=T0)
        assert len(await claim(store, seconds=100)) == 1

    async def test_jobs_of_a_removed_connection_are_not_claimed(self, store: Store) -> None:
        await store.put_connection(make_connection("nomod"))
        await store.add_job(make_job(), now=T0)
        await store.set_connection_status("nomod", status="removed", now=T0)
        assert await claim(store) == []

    async def test_a_lease_that_has_ended_gives_the_job_to_another(self, store: Store, twin: Store) -> None:
        await store.add_job(make_job(), now=T0)
        lost = await claim_one(store)
        assert await claim(twin, seconds=29, owner="w2") == []
        taken = await claim_one(twin, seconds=31, owner="w2")
        assert (taken.job.job_id, taken.job.fence, taken.job.attempts) == (lost.job.job_id, 2, 1)
        attempts = await store.list_attempts(lost.job.job_id)
        assert [(tried.number, tried.outcome, tried.worker) for tried in attempts] == [(1, "lease_expired", "w1")]
        assert (attempts[0].started_at, attempts[0].finished_at) == (T0, at(31))

    async def test_who_has_lost_a_lease_can_write_nothing(self, store: Store) -> None:
        await store.add_job(make_job(), now=T0)
        lost = await claim_one(store)
        taken = await claim_one(store, seconds=31, owner="w2")
        stale = make_settlement(
            lost, seconds=32, link=make_link(), follow_ups=[make_job("x", kind="write_back", gate="g")]
        )
        with pytest.raises(LeaseLostError):
            await store.settle(stale)
        with pytest.raises(LeaseLostError):
            await store.begin_intent(make_intent(), job_id=lost.job.job_id, fence=lost.job.fence)
        await store.release_jobs({lost.job.job_id: lost.job.fence}, owner="w1", now=at(32))
        assert await store.extend_leases({lost.job.job_id: 1}, owner="w1", until=at(99)) == {lost.job.job_id}
        job = await store.get_job(lost.job.job_id)
        assert (job.status, job.fence, job.attempts) == (JobStatus.RUNNING, 2, 1)
        assert (await store.get_mapping(make_key()), len((await store.list_jobs()).items)) == (None, 1)
        await store.settle(make_settlement(taken, owner="w2", seconds=33))

    async def test_a_fence_is_of_one_owner(self, store: Store) -> None:
        claimed = await running_job(store)
        with pytest.raises(LeaseLostError):
            await store.settle(make_settlement(claimed, owner="w2"))

    async def test_a_job_is_settled_once(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.settle(make_settlement(claimed))
        with pytest.raises(LeaseLostError):
            await store.settle(make_settlement(claimed, seconds=2))
        assert len(await store.list_attempts(claimed.job.job_id)) == 1

    async def test_a_lease_that_is_kept_does_not_end(self, store: Store) -> None:
        claimed = await running_job(store)
        held = {claimed.job.job_id: claimed.job.fence}
        assert await store.extend_leases(held, owner="w1", until=at(60)) == set()
        assert await claim(store, seconds=59, owner="w2") == []
        assert await store.extend_leases({**held, "job_none": 1}, owner="w1", until=at(90)) == {"job_none"}
        assert len(await claim(store, seconds=91, owner="w2")) == 1

    async def test_a_late_settlement_counts_while_nobody_else_has_the_job(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.settle(make_settlement(claimed, seconds=300))
        assert (await store.get_job(claimed.job.job_id)).status is JobStatus.SUCCEEDED

    async def test_a_job_that_is_handed_back_is_due_at_once_and_burns_nothing(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.release_jobs({claimed.job.job_id: claimed.job.fence}, owner="w1", now=at(5))
        job = await store.get_job(claimed.job.job_id)
        assert (job.status, job.attempts, job.failures, job.next_attempt_at) == (JobStatus.PENDING, 0, 0, at(5))
        again = await claim_one(store, seconds=5, owner="w2")
        assert again.job.fence == 2
        await store.release_jobs({claimed.job.job_id: 1}, owner="w1", now=at(6))
        assert (await store.get_job(claimed.job.job_id)).status is JobStatus.RUNNING

    async def test_a_claim_knows_the_mapping_and_the_open_intent(self, store: Store) -> None:
        fresh = await running_job(store)
        assert (fresh.mapping, fresh.intent, fresh.done_before) == (None, None, False)
        begun = await store.begin_intent(make_intent(), job_id=fresh.job.job_id, fence=1)
        again = await claim_one(store, seconds=31)
        assert again.mapping is not None
        assert (again.mapping.status, again.intent) == ("intended", begun)
        await store.settle(
            make_settlement(again, JobStatus.PENDING, seconds=32, link=make_link(), close_intent=begun.intent_id)
        )
        linked = await claim_one(store, seconds=33)
        assert linked.mapping is not None
        assert (linked.mapping.provider_entity_id, linked.intent) == ("rec_1", None)

    async def test_a_claim_knows_whether_the_same_was_done_before(self, store: Store) -> None:
        delivery_id, _ = await store.add_delivery(make_delivery())
        done = await running_job(store, subject="inv_1", delivery_id=delivery_id)
        await store.settle(make_settlement(done))
        same = await running_job(store, subject="inv_1")
        assert same.done_before
        others = [
            await running_job(store, subject="inv_2", lock_key="a"),
            await running_job(store, subject="inv_1", lock_key="b", connection="qbo"),
            await running_job(store, subject="inv_1", lock_key="c", kind="write_back"),
            await running_job(store, subject="inv_1", lock_key="d", source="tirdad"),
            await running_job(store, subject=None, lock_key="e"),
        ]
        assert [other.done_before for other in others] == [False] * 5

    async def test_what_was_ignored_or_failed_was_not_done_before(self, store: Store) -> None:
        delivery_id, _ = await store.add_delivery(make_delivery())
        ignored = await running_job(store, subject="inv_1", delivery_id=delivery_id)
        await store.settle(make_settlement(ignored, outcome="ignored"))
        failed = await running_job(store, subject="inv_1", delivery_id=delivery_id)
        await store.settle(make_settlement(failed, JobStatus.FAILED))
        assert not (await running_job(store, subject="inv_1")).done_before

    async def test_what_no_delivery_has_asked_for_does_not_do_the_work_of_one(self, store: Store) -> None:
        asked = await running_job(store, subject="inv_1")
        await store.settle(make_settlement(asked))
        assert not (await running_job(store, subject="inv_1")).done_before

    async def test_next_due_is_the_nearest_time_at_which_something_can_happen(self, store: Store) -> None:
        gates = ["nomod", "qbo"]
        assert await store.next_due(gates, after=T0) is None
        await store.add_job(make_job("cust_1", due=50), now=T0)
        await store.add_job(make_job("cust_2", due=40, connection="qbo"), now=T0)
        await store.add_job(make_job("cust_3", due=30, connection="other"), now=T0)
        assert await store.next_due(gates, after=T0) == at(40)
        assert await store.next_due(gates, after=at(40)) == at(50)
        assert await store.next_due(["nomod"], after=T0) == at(50)
        assert await store.next_due([], after=T0) is None
        await claim(store, seconds=30, other=1)
        assert await store.next_due(gates, after=at(30)) == at(40)
        assert await store.next_due([], after=at(30)) == at(60)

    async def test_the_end_of_a_claim_on_deliveries_is_due_until_somebody_has_them(self, store: Store) -> None:
        await store.add_delivery(make_delivery())
        assert await store.next_due([], after=T0) is None  # whoever adds one wakes the others
        await store.claim_deliveries(now=T0, lease=LEASE, limit=10)
        assert await store.next_due([], after=at(1)) == at(30)
        assert await store.next_due([], after=at(31)) == at(30)
        (taken,) = await store.claim_deliveries(now=at(31), lease=LEASE, limit=10)
        await settle_dispatch(store, taken.delivery_id)
        assert await store.next_due([], after=at(31)) is None

    async def test_a_lease_that_has_ended_is_not_slept_through(self, store: Store) -> None:
        await running_job(store)
        due = await store.next_due(["nomod"], after=at(1000))
        assert due is not None
        assert due <= at(1000)

    async def test_a_drain_by_two_processes_runs_each_job_once(self, store: Store, twin: Store) -> None:
        for i in range(40):
            await store.add_job(make_job(f"cust_{i % 11}"), now=T0)
        ran: list[str] = []

        async def drain(which: Store, owner: str) -> None:
            idle = 0
            while idle < 5:
                found = await which.claim_jobs({"nomod": 3}, owner=owner, now=at(1), lease=timedelta(hours=1))
                idle = 0 if found else idle + 1
                for claimed in found:
                    ran.append(claimed.job.job_id)
                    await which.settle(make_settlement(claimed, owner=owner))
                await asyncio.sleep(0.005 if idle else 0)

        await asyncio.gather(drain(store, "w1"), drain(twin, "w2"))
        assert len(ran) == len(set(ran)) == 40
