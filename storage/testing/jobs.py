"""Jobs as people see and steer them: retry, cancel, lists, and how much waits."""

import pytest

from storage.base import Store
from storage.errors import ConflictError, NotFoundError
from storage.records import JobStatus
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    T0,
    at,
    claim,
    claim_one,
    dispatch_jobs,
    make_delivery,
    make_intent,
    make_job,
    make_key,
    make_review,
    make_settlement,
    running_job,
)


class JobContract(StoreFixtures):
    """Looking at jobs, and stepping in."""

    async def test_a_job_id_is_used_once(self, store: Store) -> None:
        job = make_job()
        await store.add_job(job, now=T0)
        with pytest.raises(ConflictError):
            await store.add_job(job, now=T0)
        assert len((await store.list_jobs()).items) == 1

    async def test_what_does_not_exist_is_not_found(self, store: Store) -> None:
        for asked in (store.get_job("job_none"), store.retry_job("job_none", now=T0), store.list_attempts("job_none")):
            with pytest.raises(NotFoundError):
                await asked
        with pytest.raises(NotFoundError):
            await store.cancel_job("job_none", now=T0, reason="r")

    async def test_jobs_are_found_by_each_filter(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job("a"))
        await store.add_job(make_job("b", connection="qbo"), now=T0)
        await store.add_job(make_job("c", kind="write_back"), now=T0)
        await store.add_job(make_job("d", source="tirdad"), now=T0)
        failed = await running_job(store, "e")
        error = {"code": "customer_not_found"}
        await store.settle(make_settlement(failed, JobStatus.FAILED, error=error))
        await store.release_jobs({f.job.job_id: 1 for f in await claim(store, seconds=99)}, owner="w1", now=T0)

        async def found(**filters: object) -> list[str | None]:
            return [job.entity_id for job in (await store.list_jobs(**filters)).items]  # type: ignore[arg-type]

        assert await found() == ["e", "d", "c", "b", "a"]
        assert await found(delivery_id=delivery_id) == ["a"]
        assert await found(connection="qbo") == ["b"]
        assert await found(kind="write_back") == ["c"]
        assert await found(source="tirdad") == ["d"]
        assert await found(status=JobStatus.FAILED) == await found(error_code="customer_not_found") == ["e"]
        assert await found(entity_id="d", source="tirdad", kind="ensure_customer") == ["d"]
        assert await found(entity_id="d", source="flex") == await found(error_code="other") == []
        assert await found(error_code="customer_not_found", status=JobStatus.SUCCEEDED) == []

    async def test_a_job_that_has_failed_can_be_retried_with_a_whole_schedule(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        claimed = await claim_one(store)
        await store.settle(make_settlement(claimed, JobStatus.FAILED, burn=True))
        assert (await store.get_delivery(delivery_id)).status == "failed"
        job = await store.retry_job(claimed.job.job_id, now=at(500))
        assert (job.status, job.failures, job.attempts, job.next_attempt_at) == ("pending", 0, 1, at(500))
        assert (await store.get_delivery(delivery_id)).status == "pending"
        assert len(await claim(store, seconds=500)) == 1

    async def test_a_job_that_waits_can_be_had_at_once(self, store: Store) -> None:
        job = make_job(due=9000)
        await store.add_job(job, now=T0)
        await store.retry_job(job.job_id, now=at(1))
        assert len(await claim(store, seconds=1)) == 1

    async def test_a_running_or_done_job_is_not_retried_nor_cancelled(self, store: Store) -> None:
        claimed = await running_job(store)
        for _ in range(2):
            with pytest.raises(ConflictError):
                await store.retry_job(claimed.job.job_id, now=at(1))
            with pytest.raises(ConflictError):
                await store.cancel_job(claimed.job.job_id, now=at(1), reason="r")
            if (await store.get_job(claimed.job.job_id)).status is JobStatus.RUNNING:
                await store.settle(make_settlement(claimed))
        assert (await store.get_job(claimed.job.job_id)).status is JobStatus.SUCCEEDED

    async def test_a_retry_answers_the_open_review(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review()))
        await store.retry_job(claimed.job.job_id, now=at(5))
        review = (await store.list_reviews()).items[0]
        assert (review.status, review.decision, review.resolved_at) == ("resolved", "retry", at(5))

    async def test_a_cancelled_job_is_not_claimed_and_ends_its_delivery(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        job_id = (await store.list_jobs()).items[0].job_id
        job = await store.cancel_job(job_id, now=at(2), reason="not wanted")
        assert (job.status, job.outcome, job.reason, job.next_attempt_at) == (
            "cancelled",
            "cancelled",
            "not wanted",
            None,
        )
        assert await claim(store, seconds=100) == []
        kept = await store.get_delivery(delivery_id)
        assert (kept.status, kept.reason) == ("ignored", "not wanted")
        with pytest.raises(ConflictError):
            await store.cancel_job(job_id, now=at(3), reason="again")

    async def test_a_cancelled_job_can_be_taken_up_again(self, store: Store) -> None:
        job = make_job()
        await store.add_job(job, now=T0)
        await store.cancel_job(job.job_id, now=T0, reason="r")
        await store.retry_job(job.job_id, now=at(1))
        assert len(await claim(store, seconds=1)) == 1

    async def test_a_cancelled_job_with_an_open_intent_leaves_the_mapping_intended(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.begin_intent(make_intent(), job_id=claimed.job.job_id, fence=1)
        await store.settle(make_settlement(claimed, JobStatus.FAILED))
        await store.cancel_job(claimed.job.job_id, now=at(9), reason="r")
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert mapping.status == "intended"
        following = await running_job(store)
        assert following.intent is not None

    async def test_a_cancelled_review_is_resolved(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review()))
        await store.cancel_job(claimed.job.job_id, now=at(5), reason="r")
        assert [review.decision for review in (await store.list_reviews()).items] == ["ignore"]

    async def test_the_backlog_counts_what_waits(self, store: Store) -> None:
        empty = await store.backlog()
        assert (empty.deliveries, dict(empty.jobs), empty.reviews, empty.oldest_due_at) == (0, {}, 0, None)
        for i in range(3):
            await store.add_delivery(make_delivery(f"msg_{i}"))
        await dispatch_jobs(store, "dispatched", make_job("a", due=-50))
        await store.add_job(make_job("b", due=-90, connection="qbo"), now=T0)
        await store.add_job(make_job("c", due=-10, connection="zzz"), now=T0)
        done, failed, asked = [await running_job(store, name, connection=name) for name in ("x", "y", "z")]
        await store.settle(make_settlement(done))
        await store.settle(make_settlement(failed, JobStatus.FAILED))
        await store.settle(make_settlement(asked, JobStatus.NEEDS_REVIEW, review=make_review()))
        backlog = await store.backlog()
        assert (backlog.deliveries, backlog.reviews, backlog.oldest_due_at) == (3, 1, at(-90))
        assert dict(backlog.jobs) == {"pending": 3, "failed": 1, "needs_review": 1}

    async def test_a_job_is_returned_as_it_is(self, store: Store) -> None:
        claimed = await running_job(store)
        assert await store.get_job(claimed.job.job_id) == claimed.job
