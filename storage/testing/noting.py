"""Notes: what jobs keep with a mapping, each beside what the others have kept, as long as it is about their record."""

from dataclasses import replace

import pytest

from storage.base import Store
from storage.errors import RecordMovedError
from storage.records import JobStatus, Note
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    T0,
    at,
    claim_one,
    make_held,
    make_intent,
    make_key,
    make_link,
    make_settlement,
    running_job,
)


class NotingContract(StoreFixtures):
    """What has happened to a record since it was linked."""

    async def test_a_record_that_another_one_has_replaced_is_not_called_dead_in_its_place(self, store: Store) -> None:
        await store.put_mapping(make_link("dead"), now=T0)
        claimed = await running_job(store)
        await store.put_mapping(make_link("alive"), now=T0)
        with pytest.raises(RecordMovedError):
            await store.settle(make_settlement(claimed, stale=make_held("dead")))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, (await store.get_job(claimed.job.job_id)).status) == ("linked", "running")
        await store.delete_mapping(make_key(), now=T0)
        await store.settle(make_settlement(claimed, stale=make_held("dead")))

    async def test_two_jobs_note_what_they_have_done_and_neither_loses_the_other_s(self, store: Store) -> None:
        """Both have read the mapping before either writes. A note is no link: nothing else of the mapping changes."""
        before = await store.put_mapping(make_link(), now=T0)
        paid, voided = await running_job(store, lock_key="paid"), await running_job(store, lock_key="voided")
        told = {"payments": [{"id": "ch_1", "amount": "5"}], "seen": 1}
        await store.settle(make_settlement(paid, JobStatus.PENDING, note=Note(about=make_held(), notes=told)))
        await store.settle(make_settlement(voided, seconds=2, note=Note(about=make_held(), notes={"voided_at": "t"})))
        again = await claim_one(store, seconds=3)
        told = {"payments": [{"id": "ch_1", "amount": "5", "platform": "told"}]}
        await store.settle(make_settlement(again, seconds=3, note=Note(about=make_held(), notes=told)))
        mapping = await store.get_mapping(make_key())
        assert mapping == replace(before, notes={**told, "seen": 1, "voided_at": "t"}, updated_at=at(3))

    async def test_a_note_says_what_a_record_is_where_nothing_was_known_of_it(self, store: Store) -> None:
        await store.put_mapping(make_link(details=None), now=T0)
        claimed = await running_job(store)
        note = Note(about=make_held(), details={"url": "https://pay.example"})
        await store.settle(make_settlement(claimed, note=note))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.details, mapping.notes) == ({"url": "https://pay.example"}, {})

    @pytest.mark.parametrize("meanwhile", ["moved", "unlinked"])
    async def test_a_note_about_a_record_that_is_linked_no_more_refuses_the_settlement(
        self, store: Store, meanwhile: str
    ) -> None:
        await store.put_mapping(make_link(), now=T0)
        claimed = await running_job(store)
        await store.delete_mapping(make_key(), now=T0)
        if meanwhile == "moved":
            await store.put_mapping(make_link("other"), now=T0)
        with pytest.raises(RecordMovedError):
            await store.settle(make_settlement(claimed, note=Note(about=make_held(), notes={"voided_at": "t"})))
        assert (await store.get_job(claimed.job.job_id)).status is JobStatus.RUNNING
        mapping = await store.get_mapping(make_key())
        assert mapping is None if meanwhile == "unlinked" else mapping is not None and not mapping.notes

    async def test_a_note_leaves_the_create_of_another_record_alone(self, store: Store) -> None:
        """The record has died, and its successor is on its way: the mapping names the old one until then."""
        first = await running_job(store)
        await store.settle(make_settlement(first, link=make_link(), stale=None))
        second = await running_job(store)
        await store.settle(make_settlement(second, JobStatus.PENDING, stale=make_held(), next_attempt_at=at(2)))
        making = await claim_one(store, seconds=2)
        begun = await store.begin_intent(make_intent(seconds=2), job_id=making.job.job_id, fence=making.job.fence)
        noting = await running_job(store, lock_key="other")
        await store.settle(make_settlement(noting, seconds=3, note=Note(about=make_held(), notes={"paid": True})))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.provider_entity_id) == ("intended", "rec_1")
        made = make_settlement(making, seconds=4, link=make_link("rec_2"), close_intent=begun.intent_id)
        await store.settle(made)
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.provider_entity_id, mapping.notes) == ("linked", "rec_2", {})

    async def test_what_was_noted_stays_with_the_record_however_it_is_linked_again(self, store: Store) -> None:
        await store.put_mapping(make_link(), now=T0)
        claimed = await running_job(store)
        await store.settle(make_settlement(claimed, note=Note(about=make_held(), notes={"paid": True})))
        assert (await store.put_mapping(make_link(details=None), now=T0)).notes == {"paid": True}
        again = await running_job(store)
        await store.settle(make_settlement(again, link=make_link(), stale=make_held()))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.notes) == ("linked", {"paid": True})
        assert (await store.put_mapping(make_link("rec_2"), now=T0)).notes == {}

    async def test_who_waits_for_a_link_is_due_once_it_is_seen_to_stand(self, store: Store) -> None:
        waiting = await running_job(store, "inv_1", entity_type="invoice", lock_key="i")
        await store.settle(make_settlement(waiting, JobStatus.FAILED, waits_for=make_key()))
        looking = await running_job(store)
        await store.settle(make_settlement(looking, wakes=make_key()))
        assert (await store.get_job(waiting.job.job_id)).status is JobStatus.PENDING
