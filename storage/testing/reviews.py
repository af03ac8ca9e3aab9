"""Reviews: asked once for each job, decided once, and carried out by the job."""

import asyncio
from typing import Any

import pytest

from storage.base import Store
from storage.errors import ConflictError, NotFoundError
from storage.records import Claimed, JobStatus, Review
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import at, claim, claim_one, dispatch_jobs, make_job, make_review, make_settlement


class ReviewContract(StoreFixtures):
    """Questions to people."""

    async def test_a_review_says_what_it_is_about(self, store: Store) -> None:
        claimed, review = await _ask(store)
        assert await store.get_review(review.review_id) == review
        assert (review.job_id, review.source, review.connection) == (claimed.job.job_id, "flex", "nomod")
        assert (review.tenant_id, review.environment_id) == ("tenant_a", "prod")
        assert (review.entity_type, review.entity_id, review.kind) == ("customer", "cust_1", "ambiguous")
        assert (review.reason, review.customer) == ("two candidates", {"name": "Ada"})
        assert [candidate["provider_entity_id"] for candidate in review.candidates] == ["rec_1", "rec_2"]
        assert (review.status, review.decision, review.created_at) == ("open", None, at(1))
        job = await store.get_job(claimed.job.job_id)
        assert (job.status, job.next_attempt_at) == (JobStatus.NEEDS_REVIEW, None)
        assert await claim(store, seconds=9999) == []
        with pytest.raises(NotFoundError):
            await store.get_review("rev_none")

    async def test_a_review_is_about_the_customer_that_the_job_has_moved_to(self, store: Store) -> None:
        await store.add_job(make_job("wrong"), now=at(0))
        claimed = await claim_one(store)
        await store.settle(
            make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review(), entity_id="right", lock_key="x")
        )
        assert (await store.list_reviews()).items[0].entity_id == "right"

    @pytest.mark.parametrize("decision,record", [("adopt", "rec_2"), ("create", None)])
    async def test_a_decision_makes_the_job_due_with_it(self, store: Store, decision: str, record: str | None) -> None:
        claimed, review = await _ask(store, burn=True)
        resolved = await store.resolve_review(
            review.review_id, decision=decision, provider_entity_id=record, by="ada", now=at(50)
        )
        assert (resolved.status, resolved.decision, resolved.provider_entity_id) == ("resolved", decision, record)
        assert (resolved.resolved_at, resolved.resolved_by) == (at(50), "ada")
        assert (await store.get_delivery(claimed.job.delivery_id or "")).status == "pending"
        again = await claim_one(store, seconds=50)
        assert (again.job.job_id, again.job.failures) == (claimed.job.job_id, 0)
        assert again.job.payload == {
            "trigger": "invoice_finalized", "decision": {"decision": decision, "record": record},
        }  # fmt: skip

    async def test_an_ignored_review_ends_the_job(self, store: Store) -> None:
        claimed, review = await _ask(store)
        await store.resolve_review(review.review_id, decision="ignore", provider_entity_id=None, by="ada", now=at(50))
        job = await store.get_job(claimed.job.job_id)
        assert (job.status, job.outcome, job.next_attempt_at) == ("cancelled", "ignored", None)
        assert (await store.get_delivery(job.delivery_id or "")).status == "ignored"
        assert await claim(store, seconds=9999) == []

    async def test_a_review_is_decided_once(self, store: Store, twin: Store) -> None:
        claimed, review = await _ask(store)
        outcomes = await asyncio.gather(
            *[
                which.resolve_review(
                    review.review_id, decision=decision, provider_entity_id=None, by=decision, now=at(50)
                )
                for which, decision in ((store, "create"), (twin, "ignore"))
            ],
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError", "Review"]
        with pytest.raises(ConflictError):
            await store.resolve_review(
                review.review_id, decision="adopt", provider_entity_id="rec_1", by="late", now=at(60)
            )
        kept = await store.get_review(review.review_id)
        assert kept.resolved_by == kept.decision
        job = await store.get_job(claimed.job.job_id)
        assert job.status == ("pending" if kept.decision == "create" else "cancelled")

    async def test_a_review_of_a_job_that_has_gone_on_changes_only_the_review(self, store: Store) -> None:
        claimed, review = await _ask(store)
        await store.retry_job(claimed.job.job_id, now=at(2))
        assert (await store.get_review(review.review_id)).status == "resolved"
        running = await claim_one(store, seconds=2)
        await store.settle(make_settlement(running, JobStatus.NEEDS_REVIEW, review=make_review(), seconds=3))
        latest = (await store.list_reviews()).items[0]
        await store.retry_job(claimed.job.job_id, now=at(4))
        with pytest.raises(ConflictError):
            await store.resolve_review(
                latest.review_id, decision="ignore", provider_entity_id=None, by="ada", now=at(5)
            )
        assert (await store.get_job(claimed.job.job_id)).status is JobStatus.PENDING

    async def test_a_job_that_asks_again_after_a_decision_opens_a_new_review(self, store: Store) -> None:
        _, review = await _ask(store)
        await store.resolve_review(review.review_id, decision="create", provider_entity_id=None, by="a", now=at(5))
        again = await claim_one(store, seconds=6)
        await store.settle(
            make_settlement(again, JobStatus.NEEDS_REVIEW, review=make_review(reason="three"), seconds=7)
        )
        reviews = (await store.list_reviews()).items
        assert sorted((each.reason, each.status) for each in reviews) == [
            ("three", "open"), ("two candidates", "resolved"),
        ]  # fmt: skip

    async def test_reviews_are_found_by_each_filter(self, store: Store) -> None:
        claimed, review = await _ask(store)
        other, _ = await _ask(store, entity="cust_2", kind="stale")
        await store.resolve_review(review.review_id, decision="ignore", provider_entity_id=None, by="a", now=at(5))

        async def found(**filters: object) -> list[str | None]:
            return [each.entity_id for each in (await store.list_reviews(**filters)).items]  # type: ignore[arg-type]

        assert sorted(str(name) for name in await found()) == ["cust_1", "cust_2"]
        assert (
            await found(status="open")
            == await found(kind="stale")
            == await found(job_id=other.job.job_id)
            == ["cust_2"]
        )
        assert await found(status="resolved") == await found(entity_id="cust_1") == ["cust_1"]
        assert await found(job_id=claimed.job.job_id, entity_id="cust_2") == await found(connection="qbo") == []


async def _ask(store: Store, *, entity: str = "cust_1", kind: str = "ambiguous", **more: Any) -> tuple[Claimed, Review]:
    await dispatch_jobs(store, f"about {entity}", make_job(entity))
    claimed = await claim_one(store)
    await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review(kind=kind), **more))
    return claimed, (await store.list_reviews(job_id=claimed.job.job_id)).items[0]
