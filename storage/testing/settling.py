"""Settlements: everything that an attempt changes, or nothing."""

import pytest

from storage.base import Store
from storage.errors import ConflictError
from storage.records import Claimed, JobStatus, MappingStatus, ReviewStatus, Settlement
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    LEASE,
    T0,
    at,
    claim_one,
    dispatch_jobs,
    make_connection,
    make_held,
    make_intent,
    make_job,
    make_key,
    make_link,
    make_review,
    make_seen,
    make_settlement,
    running_job,
)


class SettlingContract(StoreFixtures):
    """The end of an attempt."""

    async def test_a_settlement_writes_all_of_it(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        claimed = await claim_one(store)
        begun = await store.begin_intent(make_intent(), job_id=claimed.job.job_id, fence=1)
        follow_up = make_job(kind="write_back", gate="source:flex", lock_key="w", delivery_id=delivery_id)
        await store.settle(
            make_settlement(
                claimed, link=make_link(), close_intent=begun.intent_id, intent_result="created",
                customer=make_seen(), follow_ups=[follow_up], reason="made", payload={"learned": 1},
            )
        )  # fmt: skip
        job = await store.get_job(claimed.job.job_id)
        assert (job.status, job.outcome, job.reason, job.payload) == ("succeeded", "done", "made", {"learned": 1})
        assert (job.attempts, job.failures, job.next_attempt_at, job.updated_at) == (1, 0, None, at(1))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.provider_entity_id, mapping.origin) == ("linked", "rec_1", "created")
        assert (mapping.why, mapping.details, mapping.synced_at) == ("nobody had it", {"name": "Ünï"}, at(1))
        attempt = (await store.list_attempts(job.job_id))[0]
        assert (attempt.number, attempt.outcome, attempt.worker) == (1, "done", "w1")
        assert (attempt.exchanges, attempt.decision) == ([{"status": 200}], {"decision": "create"})
        assert (attempt.started_at, attempt.finished_at) == (T0, at(1))
        assert (await store.find_customers("cust_1"))[0].email == "cust_1@example.com"
        assert (await store.get_job(follow_up.job_id)).status is JobStatus.PENDING

    async def test_a_link_answers_those_who_ask_about_the_same(self, store: Store) -> None:
        """Those of another customer or connection wait on, and so does what was answered before."""
        asked = []
        for job in (make_job(), make_job(subject="inv_2"), make_job("other"), make_job(connection="qbo", gate="qbo")):
            await store.add_job(job, now=T0)
            claimed = await claim_one(store, nomod=1, qbo=1)
            await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review()))
            asked.append(claimed.job.job_id)
        await store.retry_job(asked[0], now=T0)
        linking = await claim_one(store)
        await store.settle(make_settlement(linking, link=make_link()))
        states = [(await store.get_job(job_id)).status for job_id in asked]
        assert states == ["succeeded", "pending", "needs_review", "needs_review"]
        open_ones = (await store.list_reviews(status=ReviewStatus.OPEN)).items
        assert {review.job_id for review in open_ones} == set(asked[2:])

    async def test_a_retry_waits_until_its_time_and_counts_what_it_burns(self, store: Store) -> None:
        claimed = await running_job(store)
        error = {"code": "provider_unavailable", "detail": "502"}
        await store.settle(
            make_settlement(claimed, JobStatus.PENDING, next_attempt_at=at(60), burn=True, error=error, reason="down")
        )
        job = await store.get_job(claimed.job.job_id)
        assert (job.status, job.attempts, job.failures, job.next_attempt_at) == ("pending", 1, 1, at(60))
        assert (job.error, job.reason) == (error, "down")
        again = await claim_one(store, seconds=60)
        await store.settle(make_settlement(again, JobStatus.PENDING, seconds=61, next_attempt_at=at(70)))
        job = await store.get_job(claimed.job.job_id)
        assert (job.attempts, job.failures, job.error) == (2, 1, None)
        assert [tried.number for tried in await store.list_attempts(job.job_id)] == [1, 2]

    async def test_no_settlement_leaves_a_job_in_nobody_s_hands(self, store: Store) -> None:
        claimed = await running_job(store)
        with pytest.raises(ValueError, match="running"):
            make_settlement(claimed, JobStatus.RUNNING)
        await store.settle(make_settlement(claimed, JobStatus.PENDING, seconds=5, next_attempt_at=None))
        assert (await store.get_job(claimed.job.job_id)).next_attempt_at == at(5)
        again = await claim_one(store, seconds=6)
        await store.settle(make_settlement(again, JobStatus.FAILED, seconds=7, next_attempt_at=at(99)))
        assert (await store.get_job(claimed.job.job_id)).next_attempt_at is None

    async def test_a_job_can_move_to_the_true_customer_and_its_lock(self, store: Store) -> None:
        claimed = await running_job(store, "wrong")
        await store.settle(make_settlement(claimed, JobStatus.PENDING, entity_id="right", lock_key="nomod:right"))
        await store.add_job(make_job("wrong"), now=T0)
        found = await store.claim_jobs({"nomod": 5}, owner="w1", now=at(2), lease=LEASE)
        assert sorted((each.job.entity_id, each.job.lock_key) for each in found) == [
            ("right", "nomod:right"),
            ("wrong", "nomod:wrong"),
        ]

    async def test_a_taken_record_refuses_the_whole_settlement(self, store: Store) -> None:
        await store.put_mapping(make_link("rec_1", make_key("cust_other")), now=T0)
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        claimed = await claim_one(store)
        begun = await store.begin_intent(make_intent(), job_id=claimed.job.job_id, fence=1)
        with pytest.raises(ConflictError):
            await store.settle(_everything(claimed, begun.intent_id, delivery_id))
        await _assert_untouched(store, claimed, delivery_id)
        await store.settle(make_settlement(claimed, link=make_link("rec_2"), close_intent=begun.intent_id))

    async def test_a_follow_up_that_cannot_be_stored_refuses_the_whole_settlement(self, store: Store) -> None:
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        claimed = await claim_one(store)
        begun = await store.begin_intent(make_intent(), job_id=claimed.job.job_id, fence=1)
        whole = _everything(claimed, begun.intent_id, delivery_id)
        twice = [*whole.follow_ups, whole.follow_ups[0]]
        with pytest.raises(ConflictError):
            await store.settle(
                make_settlement(claimed, link=whole.link, follow_ups=twice, close_intent=begun.intent_id)
            )
        await _assert_untouched(store, claimed, delivery_id)

    async def test_a_link_made_by_hand_meanwhile_is_not_overwritten(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.put_mapping(make_link("by_hand", origin="operator"), now=T0)
        with pytest.raises(ConflictError):
            await store.settle(make_settlement(claimed, link=make_link("rec_1")))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.provider_entity_id, mapping.origin) == ("by_hand", "operator")
        await store.settle(make_settlement(claimed, link=make_link("by_hand")))

    async def test_a_dead_record_is_replaced_in_one_settlement(self, store: Store) -> None:
        first = await running_job(store)
        await store.settle(make_settlement(first, link=make_link("dead"), written_back=make_held("dead")))
        second = await running_job(store)
        await store.settle(make_settlement(second, seconds=2, stale=make_held("dead"), link=make_link("alive")))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.provider_entity_id, mapping.epoch) == (MappingStatus.LINKED, "alive", 1)
        assert mapping.written_back_at is None

    async def test_a_dead_record_alone_leaves_a_stale_mapping(self, store: Store) -> None:
        first = await running_job(store)
        await store.settle(make_settlement(first, link=make_link()))
        second = await running_job(store)
        await store.settle(make_settlement(second, JobStatus.NEEDS_REVIEW, stale=make_held(), review=make_review()))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.epoch) == (MappingStatus.STALE, 1)
        assert await store.holders("nomod", "customer", ["rec_1"]) == {}

    async def test_a_link_closes_whatever_intent_is_open(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.begin_intent(make_intent(guards=("mail:a",)), job_id=claimed.job.job_id, fence=1)
        await store.settle(make_settlement(claimed, JobStatus.PENDING, link=make_link()))
        again = await claim_one(store, seconds=2)
        assert again.intent is None
        other = await running_job(store, "cust_2")
        await store.begin_intent(
            make_intent(make_key("cust_2"), seconds=60, guards=("mail:a",)), job_id=other.job.job_id, fence=1
        )

    async def test_of_a_create_that_ended_in_nothing_no_intended_mapping_is_left(self, store: Store) -> None:
        claimed = await running_job(store)
        begun = await store.begin_intent(make_intent(), job_id=claimed.job.job_id, fence=claimed.job.fence)
        await store.settle(make_settlement(claimed, close_intent=begun.intent_id, intent_result="absent"))
        assert await store.get_mapping(make_key()) is None

    async def test_where_nothing_came_in_place_of_a_dead_record_the_mapping_says_that_it_is_dead(
        self, store: Store
    ) -> None:
        await store.put_mapping(make_link(), now=T0)
        claimed = await running_job(store)
        await store.settle(make_settlement(claimed, JobStatus.PENDING, stale=make_held()))
        again = await claim_one(store, seconds=2)
        begun = await store.begin_intent(make_intent(), job_id=again.job.job_id, fence=again.job.fence)
        await store.settle(make_settlement(again, seconds=3, close_intent=begun.intent_id, intent_result="refused"))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.provider_entity_id, mapping.epoch) == ("stale", "rec_1", 1)

    async def test_a_write_back_is_noted_and_forgotten_with_another_record(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.settle(make_settlement(claimed, JobStatus.PENDING, link=make_link(), written_back=make_held()))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert mapping.written_back_at == at(1)
        await store.put_mapping(make_link("rec_1", why="again"), now=at(5))
        same = await store.get_mapping(make_key())
        assert same is not None
        assert (same.written_back_at, same.why) == (at(1), "again")
        other = await store.put_mapping(make_link("rec_9"), now=at(6))
        assert other.written_back_at is None
        late = await claim_one(store, seconds=7)
        await store.settle(make_settlement(late, seconds=8, written_back=make_held()))
        still = await store.get_mapping(make_key())
        assert still is not None
        assert still.written_back_at is None, "the platform was told of the record before"

    async def test_an_error_can_pause_the_connection(self, store: Store) -> None:
        await store.put_connection(make_connection())
        before = await store.config_version()
        claimed = await running_job(store)
        await store.settle(
            make_settlement(
                claimed, JobStatus.PENDING, next_attempt_at=at(2), pause=("nomod", "needs_reauth", "401 from Nomod")
            )
        )
        connection = (await store.list_connections())[0]
        assert (connection.status, connection.pause_reason) == ("paused", "needs_reauth")
        assert connection.pause_detail == "401 from Nomod"
        assert await store.config_version() > before
        assert await store.claim_jobs({"nomod": 5}, owner="w1", now=at(9), lease=LEASE) == []

    async def test_a_pause_does_not_take_the_reason_of_an_earlier_one(self, store: Store) -> None:
        await store.put_connection(make_connection())
        claimed = await running_job(store)
        await store.set_connection_status("nomod", status="paused", reason="by hand", now=T0)
        await store.settle(make_settlement(claimed, JobStatus.PENDING, pause=("nomod", "needs_reauth", "401")))
        assert (await store.list_connections())[0].pause_reason == "by hand"


def _everything(claimed: Claimed, intent_id: str, delivery_id: str) -> Settlement:
    follow_up = make_job(kind="write_back", gate="source:flex", lock_key="w", delivery_id=delivery_id)
    return make_settlement(
        claimed, link=make_link("rec_1"), close_intent=intent_id, customer=make_seen("cust_new"),
        follow_ups=[follow_up], review=make_review(),
    )  # fmt: skip


async def _assert_untouched(store: Store, claimed: Claimed, delivery_id: str) -> None:
    job_id = claimed.job.job_id
    job = await store.get_job(job_id)
    assert (job.status, job.attempts, job.outcome) == (JobStatus.RUNNING, 0, None)
    assert list(await store.list_attempts(job_id)) == []
    assert (await store.get_delivery(delivery_id)).status == "pending"
    mapping = await store.get_mapping(make_key())
    assert mapping is not None
    assert mapping.status is MappingStatus.INTENDED
    assert [len((await store.list_jobs()).items), len((await store.list_reviews()).items)] == [1, 0]
    assert list(await store.find_customers("cust_new")) == []
    with pytest.raises(ConflictError):  # since the intent is still open
        await store.begin_intent(make_intent(), job_id=job_id, fence=claimed.job.fence)
