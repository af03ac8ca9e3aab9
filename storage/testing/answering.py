"""Answering: what a link or a voided invoice means for jobs that wait, and for questions that are open."""

import pytest

from storage.base import Store
from storage.records import JobStatus
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    at,
    claim,
    claim_one,
    dispatch_jobs,
    make_job,
    make_key,
    make_link,
    make_review,
    make_settlement,
    running_job,
)


class AnsweringContract(StoreFixtures):
    """Jobs that wait for somebody's link, and questions that answer themselves."""

    @pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.FAILED])
    @pytest.mark.parametrize("how", ["a job", "a person"])
    async def test_a_link_makes_due_what_waits_for_it(self, store: Store, status: JobStatus, how: str) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job("waits"))
        waits = await claim_one(store)
        await store.settle(
            make_settlement(waits, status, waits_for=make_key(), next_attempt_at=at(9999), burn=True)
        )  # fmt: skip
        other = await running_job(store, "other")
        await store.settle(make_settlement(other, status, waits_for=make_key("else"), next_attempt_at=at(9999)))
        assert await claim(store, seconds=50) == []
        if how == "a person":
            await store.put_mapping(make_link(), now=at(60))
        else:
            await store.settle(make_settlement(await running_job(store), seconds=60, link=make_link()))
        assert (await store.get_delivery(delivery_id)).status == "pending"
        woken = await claim_one(store, seconds=60)
        assert (woken.job.job_id, woken.job.failures) == (waits.job.job_id, 0)
        await store.settle(make_settlement(woken, JobStatus.PENDING, seconds=61, next_attempt_at=at(9999)))
        await store.put_mapping(make_link("rec_2"), now=at(70))
        assert await claim(store, seconds=80) == [], "it waits for nobody any more"

    @pytest.mark.parametrize("how", ["a job", "a person"])
    async def test_a_link_answers_the_questions_about_it(self, store: Store, how: str) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        asks = await claim_one(store)
        await store.settle(make_settlement(asks, JobStatus.NEEDS_REVIEW, review=make_review()))
        other = await running_job(store, "cust_2")
        await store.settle(make_settlement(other, JobStatus.NEEDS_REVIEW, review=make_review()))
        if how == "a person":
            await store.put_mapping(make_link(), now=at(60))
        else:
            await store.settle(make_settlement(await running_job(store, lock_key="x"), seconds=60, link=make_link()))
        found = {each.entity_id: (each.status, each.decision) for each in (await store.list_reviews()).items}
        assert found == {"cust_1": ("resolved", "retry"), "cust_2": ("open", None)}
        assert (await store.get_delivery(delivery_id)).status == "pending"
        assert (await claim_one(store, seconds=60)).job.job_id == asks.job.job_id

    async def test_open_questions_say_once_that_their_invoice_was_voided(self, store: Store) -> None:
        asked = await running_job(store)
        await store.settle(make_settlement(asked, JobStatus.NEEDS_REVIEW, review=make_review()))
        unasked = await running_job(store, "cust_2")
        await store.settle(make_settlement(unasked, JobStatus.NEEDS_REVIEW, review=make_review()))
        for seconds in (10, 20):
            about = await running_job(store, lock_key=f"void:{seconds}")
            await store.settle(make_settlement(about, seconds=seconds, voided_at=at(seconds)))
        found = {each.entity_id: each.voided_at for each in (await store.list_reviews()).items}
        assert found == {"cust_1": at(10), "cust_2": None}
        again = await running_job(store, lock_key="asks")
        await store.settle(
            make_settlement(again, JobStatus.NEEDS_REVIEW, seconds=30, review=make_review(), voided_at=at(30))
        )
        assert (await store.list_reviews(job_id=again.job.job_id)).items[0].voided_at == at(30)

    async def test_a_question_that_the_void_s_own_link_answers_says_so_too(self, store: Store) -> None:
        asked = await running_job(store)
        await store.settle(make_settlement(asked, JobStatus.NEEDS_REVIEW, review=make_review()))
        found = await running_job(store, lock_key="void")
        await store.settle(make_settlement(found, seconds=5, link=make_link(), voided_at=at(4)))
        [review] = (await store.list_reviews()).items
        assert (review.status, review.decision, review.voided_at) == ("resolved", "retry", at(4))
        later = await running_job(store, lock_key="later")
        await store.settle(make_settlement(later, seconds=9, voided_at=at(8)))
        assert (await store.list_reviews()).items[0].voided_at == at(4)

    async def test_an_answer_ends_the_question_and_makes_its_job_due(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job("asks"))
        asks = await claim_one(store)
        await store.settle(make_settlement(asks, JobStatus.NEEDS_REVIEW, review=make_review()))
        answers = await running_job(store, "asks", lock_key="answers")
        await store.settle(
            make_settlement(answers, seconds=5, voided_at=at(5), answers=[asks.job.job_id, answers.job.job_id])
        )
        [review] = (await store.list_reviews()).items
        assert (review.status, review.decision, review.voided_at) == ("resolved", "retry", at(5))
        assert (await store.get_delivery(delivery_id)).status == "pending"
        assert (await claim_one(store, seconds=5)).job.job_id == asks.job.job_id
        assert (await store.get_job(answers.job.job_id)).status is JobStatus.SUCCEEDED
