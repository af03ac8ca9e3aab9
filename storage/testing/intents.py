"""Intents: no create is sent that is not written down first, and no two creates share a key."""

import asyncio
from dataclasses import replace

import pytest

from storage.base import Store
from storage.errors import ConflictError, GuardBusyError, LeaseLostError
from storage.records import Claimed, Intent, JobStatus, NewIntent
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    at,
    claim_one,
    make_held,
    make_intent,
    make_key,
    make_link,
    make_settlement,
    running_job,
)


class IntentContract(StoreFixtures):
    """Creates under way."""

    async def test_an_intent_is_kept_whole_and_the_mapping_is_intended(self, store: Store) -> None:
        claimed = await running_job(store)
        new = make_intent(variant=2, snapshot={"name": "Ünï", "n": [1]}, guards=("mail:b", "mail:a"))
        begun = await _begin(store, claimed, new)
        assert (begun.intent_id, begun.key, begun.epoch, begun.variant, begun.attempt) == (
            new.intent_id, make_key(), 0, 2, 1,
        )  # fmt: skip
        assert (begun.snapshot, begun.digest, begun.guards) == ({"name": "Ünï", "n": [1]}, "d1", ("mail:b", "mail:a"))
        assert (begun.started_at, begun.looked_at, begun.refused_at, begun.lost_before) == (at(0), None, None, 0)
        assert len(begun.idempotency_key) == 36
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.provider_entity_id, mapping.connector) == ("intended", None, "nomod")
        assert (mapping.tenant_id, mapping.environment_id) == ("tenant_a", "prod")

    async def test_an_intent_is_there_after_a_crash_with_the_same_key(self, store: Store, twin: Store) -> None:
        begun = await _begin(store, await running_job(store), make_intent())
        again = await claim_one(twin, seconds=31, owner="w2")
        assert again.intent == begun

    async def test_a_mapping_has_one_open_intent(self, store: Store) -> None:
        claimed = await running_job(store)
        begun = await _begin(store, claimed, make_intent())
        with pytest.raises(ConflictError):
            await _begin(store, claimed, make_intent(seconds=1))
        replaced = await _begin(store, claimed, make_intent(seconds=2, replaces=begun.intent_id))
        assert replaced.intent_id != begun.intent_id
        assert (await claim_one(store, seconds=31)).intent == replaced

    async def test_a_customer_that_was_linked_meanwhile_is_not_created(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.put_mapping(make_link("by_hand"), now=at(0))
        with pytest.raises(ConflictError):
            await _begin(store, claimed, make_intent(guards=("mail:a",)))
        mapping = await store.get_mapping(make_key())
        assert mapping is not None
        assert (mapping.status, mapping.provider_entity_id) == ("linked", "by_hand")
        other = await running_job(store, "cust_2")
        await _begin(store, other, make_intent(make_key("cust_2"), guards=("mail:a",)))

    async def test_an_intent_needs_the_job(self, store: Store) -> None:
        claimed = await running_job(store)
        with pytest.raises(LeaseLostError):
            await store.begin_intent(make_intent(), job_id=claimed.job.job_id, fence=claimed.job.fence + 1)
        await store.settle(make_settlement(claimed))
        with pytest.raises(LeaseLostError):
            await _begin(store, claimed, make_intent())
        assert await store.get_mapping(make_key()) is None

    async def test_no_two_creates_share_an_idempotency_key(self, store: Store) -> None:
        """Whatever ends the create before: unknown, absent, refused, another variant, a new epoch, an unlink."""
        claimed = await running_job(store)
        begun = [await _begin(store, claimed, make_intent())]
        for second, variant in enumerate((0, 1, 1), start=1):
            new = make_intent(seconds=second, variant=variant, replaces=begun[-1].intent_id, replaces_result="absent")
            begun.append(await _begin(store, claimed, new))
        assert [(made.epoch, made.variant, made.attempt) for made in begun] == [
            (0, 0, 1),
            (0, 0, 2),
            (0, 1, 1),
            (0, 1, 2),
        ]
        await store.settle(
            make_settlement(
                claimed, link=make_link(), close_intent=begun[-1].intent_id, intent_result="created", stale=None
            )
        )
        following = await running_job(store)
        await store.settle(make_settlement(following, JobStatus.PENDING, stale=make_held()))
        begun.append(await _begin(store, await claim_one(store, seconds=2), make_intent(seconds=5)))
        assert begun[-1].epoch == 1
        await store.delete_mapping(make_key(), now=at(6))
        begun.append(await _begin(store, await claim_one(store, seconds=40), make_intent(seconds=7)))
        assert begun[-1].epoch == 2
        keys = [made.idempotency_key for made in begun]
        assert len(set(keys)) == len(keys) == 6

    async def test_an_adopted_link_that_was_removed_gives_another_key_too(self, store: Store) -> None:
        first = await running_job(store)
        begun = await _begin(store, first, make_intent())
        await store.settle(
            make_settlement(first, link=make_link(), close_intent=begun.intent_id, intent_result="created")
        )
        second = await running_job(store)
        await store.settle(make_settlement(second, stale=make_held(), link=make_link("adopted"), seconds=2))
        await store.delete_mapping(make_key(), now=at(3))
        again = await _begin(store, await running_job(store), make_intent(seconds=4))
        assert again.idempotency_key != begun.idempotency_key

    async def test_the_key_of_a_create_depends_on_the_seed(self, store: Store) -> None:
        one = await _begin(store, await running_job(store, "a"), make_intent(make_key("a"), seed="one"))
        two = await _begin(store, await running_job(store, "b"), make_intent(make_key("b"), seed="two"))
        assert one.idempotency_key != two.idempotency_key

    async def test_creates_that_were_lost_are_counted_within_their_epoch(self, store: Store) -> None:
        claimed = await running_job(store)
        begun = await _begin(store, claimed, make_intent())
        for second, result in ((1, "absent"), (2, "replaced"), (3, "absent")):
            new = make_intent(seconds=second, replaces=begun.intent_id, replaces_result=result)
            begun = await _begin(store, claimed, new)
        assert begun.lost_before == 2
        assert (await claim_one(store, seconds=31)).intent == begun

    async def test_a_closed_intent_holds_no_personal_data(self, store: Store) -> None:
        claimed = await running_job(store)
        begun = await _begin(store, claimed, make_intent(snapshot={"name": "Ada Lovelace"}))
        await store.settle(make_settlement(claimed, JobStatus.FAILED, close_intent=begun.intent_id))
        following = await running_job(store)
        assert following.intent is None
        again = await _begin(store, following, make_intent(seconds=3, snapshot={"name": "Ada King"}))
        assert (again.snapshot, again.attempt) == ({"name": "Ada King"}, 2)

    async def test_looks_and_refusals_are_noted_on_the_open_intent(self, store: Store) -> None:
        claimed = await running_job(store)
        begun = await _begin(store, claimed, make_intent())
        await store.settle(make_settlement(claimed, JobStatus.PENDING, looked=begun.intent_id, seconds=7))
        looked = await claim_one(store, seconds=8)
        assert looked.intent == replace(begun, looked_at=at(7))
        await store.refuse_intent(begun.intent_id, now=at(9))
        await store.release_jobs({looked.job.job_id: looked.job.fence}, owner="w1", now=at(9))
        refused = await claim_one(store, seconds=9)
        assert refused.intent == replace(begun, refused_at=at(9))

    async def test_two_equal_customers_are_not_created_together(self, store: Store, twin: Store) -> None:
        one, two = await running_job(store, "a"), await running_job(store, "b")
        begun = await _begin(store, one, make_intent(make_key("a"), guards=("mail:x", "name:y")))
        for guard in ("mail:x", "name:y"):
            with pytest.raises(GuardBusyError):
                await _begin(twin, two, make_intent(make_key("b"), seconds=60, guards=("free", guard)))
        assert await store.get_mapping(make_key("b")) is None
        await store.settle(
            make_settlement(one, seconds=100, link=make_link(key=make_key("a")), close_intent=begun.intent_id)
        )
        stale = make_intent(make_key("b"), seconds=101, searched_since=at(99), guards=("mail:x",))
        with pytest.raises(GuardBusyError):
            await _begin(store, two, stale)
        fresh = make_intent(make_key("b"), seconds=203, searched_since=at(200), guards=("mail:x",))
        assert (await _begin(store, two, fresh)).guards == ("mail:x",)

    async def test_a_record_that_an_open_create_may_have_made_is_not_linked_to_an_equal_customer(
        self, store: Store
    ) -> None:
        one, two = await running_job(store, "a"), await running_job(store, "b")
        begun = await _begin(store, one, make_intent(make_key("a"), guards=("mail:x",)))
        link = make_link(key=make_key("b"), guards=("name:z", "mail:x"), searched_since=at(50))
        with pytest.raises(GuardBusyError):
            await store.settle(make_settlement(two, seconds=51, link=link))
        await store.settle(make_settlement(one, JobStatus.FAILED, seconds=60, close_intent=begun.intent_id))
        with pytest.raises(GuardBusyError):
            await store.settle(make_settlement(two, seconds=100, link=link))
        assert await store.get_mapping(make_key("b")) is None
        await store.settle(make_settlement(two, seconds=101, link=replace(link, searched_since=at(90))))
        linked = await store.get_mapping(make_key("b"))
        assert linked is not None
        assert linked.status == "linked"

    async def test_a_guard_does_not_hold_back_its_own_customer_nor_other_connections(self, store: Store) -> None:
        one = await running_job(store, "a")
        begun = await _begin(store, one, make_intent(make_key("a"), guards=("mail:x",)))
        again = make_intent(make_key("a"), seconds=1, guards=("mail:x",), replaces=begun.intent_id)
        await _begin(store, one, again)
        other = await running_job(store, "b", connection="qbo")
        await _begin(store, other, make_intent(make_key("b", "qbo"), guards=("mail:x",)))

    async def test_equal_customers_that_begin_at_the_same_time_leave_one(self, store: Store, twin: Store) -> None:
        for i in range(8):
            one = await running_job(store, f"a{i}", lock_key=f"a{i}")
            two = await running_job(store, f"b{i}", lock_key=f"b{i}")
            guards = (f"mail:{i}", f"name:{i}")
            outcomes = await asyncio.gather(
                _begin(store, one, make_intent(make_key(f"a{i}"), guards=guards)),
                _begin(twin, two, make_intent(make_key(f"b{i}"), guards=guards[::-1])),
                return_exceptions=True,
            )
            kinds = sorted(type(outcome).__name__ for outcome in outcomes)
            assert kinds == ["GuardBusyError", "Intent"]

    async def test_a_guard_of_a_create_that_failed_is_free_for_who_looks_again(self, store: Store) -> None:
        one, two = await running_job(store, "a"), await running_job(store, "b")
        begun = await _begin(store, one, make_intent(make_key("a"), guards=("mail:x",)))
        await store.settle(make_settlement(one, JobStatus.FAILED, seconds=5, close_intent=begun.intent_id))
        await _begin(store, two, make_intent(make_key("b"), seconds=60, guards=("mail:x",)))


async def _begin(store: Store, claimed: Claimed, new: NewIntent) -> Intent:
    return await store.begin_intent(new, job_id=claimed.job.job_id, fence=claimed.job.fence)
