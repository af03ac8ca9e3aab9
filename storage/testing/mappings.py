"""Mappings: a record belongs to one billing customer, unless the connection says that it is shared."""

import asyncio

import pytest

from storage.base import Store
from storage.errors import ConflictError, NotFoundError, StorageError
from storage.records import JobStatus, MappingStatus
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import (
    T0,
    at,
    claim_one,
    make_held,
    make_intent,
    make_key,
    make_link,
    make_seen,
    make_settlement,
    running_job,
)

LONG = "cust_01J9ZKXVQ2M5T8R3W6Y4"
"""An id as long as only ids are."""


class MappingContract(StoreFixtures):
    """What is linked to what."""

    async def test_a_link_by_hand_is_kept_whole(self, store: Store) -> None:
        made = await store.put_mapping(make_link(origin="operator"), now=T0)
        assert made == await store.get_mapping(make_key())
        assert (made.key, made.connector, made.provider_entity_id) == (make_key(), "nomod", "rec_1")
        assert (made.status, made.origin, made.shared, made.epoch) == (MappingStatus.LINKED, "operator", False, 0)
        assert (made.synced_at, made.created_at, made.updated_at, made.written_back_at) == (T0, T0, T0, None)
        assert await store.get_mapping(make_key("nobody")) is None

    async def test_a_record_belongs_to_one_customer(self, store: Store) -> None:
        await store.put_mapping(make_link(), now=T0)
        with pytest.raises(ConflictError):
            await store.put_mapping(make_link(key=make_key("cust_2")), now=T0)
        assert await store.get_mapping(make_key("cust_2")) is None
        await store.put_mapping(make_link(key=make_key("cust_2", "other")), now=T0)
        await store.put_mapping(make_link("rec_2", make_key("cust_2")), now=T0)

    async def test_customers_that_are_linked_to_a_record_at_the_same_time_leave_one(
        self, store: Store, twin: Store
    ) -> None:
        for i in range(8):
            outcomes = await asyncio.gather(
                store.put_mapping(make_link(f"rec_{i}", make_key(f"a{i}")), now=T0),
                twin.put_mapping(make_link(f"rec_{i}", make_key(f"b{i}")), now=T0),
                return_exceptions=True,
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError", "EntityMapping"]

    async def test_a_shared_record_may_belong_to_several(self, store: Store) -> None:
        for name in ("b", "a", "c"):
            await store.put_mapping(make_link(key=make_key(name), shared=True), now=T0)
        holders = await store.holders("nomod", "customer", ["rec_1"])
        assert holders == {"rec_1": make_key("a")}

    async def test_a_shared_record_is_not_taken_by_one_that_does_not_share(self, store: Store) -> None:
        await store.put_mapping(make_link(shared=True), now=T0)
        with pytest.raises(ConflictError):
            await store.put_mapping(make_link(key=make_key("cust_2")), now=T0)
        await store.put_mapping(make_link(), now=at(1))

    async def test_holders_are_those_that_are_linked(self, store: Store) -> None:
        await store.put_mapping(make_link("rec_1", make_key("a")), now=T0)
        await store.put_mapping(make_link("rec_2", make_key("b")), now=T0)
        await store.put_mapping(make_link("rec_3", make_key("c", "qbo")), now=T0)
        claimed = await running_job(store, "b")
        await store.settle(make_settlement(claimed, stale=make_held("rec_2", make_key("b"))))
        asked = ["rec_1", "rec_2", "rec_3", "rec_4"]
        assert await store.holders("nomod", "customer", asked) == {"rec_1": make_key("a")}
        assert await store.holders("qbo", "customer", asked) == {"rec_3": make_key("c", "qbo")}
        assert await store.holders("nomod", "invoice", asked) == {}
        assert await store.holders("nomod", "customer", []) == {}

    async def test_a_link_by_hand_closes_the_open_intent(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.begin_intent(make_intent(guards=("mail:x",)), job_id=claimed.job.job_id, fence=1)
        await store.put_mapping(make_link(), now=at(5))
        again = await claim_one(store, seconds=31)
        assert again.mapping is not None
        assert (again.mapping.status, again.intent) == (MappingStatus.LINKED, None)
        other = await running_job(store, "cust_2")
        new = make_intent(make_key("cust_2"), seconds=60, guards=("mail:x",))
        await store.begin_intent(new, job_id=other.job.job_id, fence=1)

    async def test_a_person_may_move_a_customer_to_another_record(self, store: Store) -> None:
        await store.put_mapping(make_link("rec_1"), now=T0)
        moved = await store.put_mapping(make_link("rec_2", connector="nomod2"), now=at(9))
        assert (moved.provider_entity_id, moved.connector, moved.created_at) == ("rec_2", "nomod2", T0)
        await store.put_mapping(make_link("rec_1", make_key("cust_2")), now=at(10))

    async def test_an_unlinked_record_is_free_again(self, store: Store) -> None:
        await store.put_mapping(make_link(), now=T0)
        gone = await store.delete_mapping(make_key(), now=at(1))
        assert (gone.key, gone.provider_entity_id) == (make_key(), "rec_1")
        assert await store.get_mapping(make_key()) is None
        await store.put_mapping(make_link(key=make_key("cust_2")), now=at(2))
        with pytest.raises(NotFoundError):
            await store.delete_mapping(make_key(), now=at(3))

    async def test_an_unlink_closes_the_open_intent(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.begin_intent(make_intent(), job_id=claimed.job.job_id, fence=1)
        await store.delete_mapping(make_key(), now=at(1))
        again = await claim_one(store, seconds=31)
        assert (again.mapping, again.intent) == (None, None)

    async def test_a_link_without_a_record_is_refused(self, store: Store) -> None:
        with pytest.raises(StorageError):
            await store.put_mapping(make_link(provider_entity_id=None), now=T0)
        assert await store.get_mapping(make_key()) is None

    async def test_mappings_are_found_by_each_filter(self, store: Store) -> None:
        await store.put_mapping(make_link("rec_1", make_key("a")), now=T0)
        await store.put_mapping(make_link("rec_2", make_key("a", "qbo")), now=T0)
        await store.put_mapping(make_link("rec_3", make_key("a", source="tirdad")), now=T0)
        claimed = await running_job(store, "b")
        await store.begin_intent(make_intent(make_key("b")), job_id=claimed.job.job_id, fence=1)

        async def found(**filters: object) -> list[tuple[str, str, str]]:
            page = await store.list_mappings(**filters)  # type: ignore[arg-type]
            return [(made.source, made.entity_id, made.connection) for made in page.items]

        everything = [("flex", "a", "nomod"), ("flex", "a", "qbo"), ("flex", "b", "nomod"), ("tirdad", "a", "nomod")]
        assert await found() == everything
        assert await found(entity_id="a", connection="nomod") == [everything[0], everything[3]]
        assert await found(connection="qbo") == [everything[1]]
        assert await found(source="tirdad") == [everything[3]]
        assert await found(provider_entity_id="rec_2") == [everything[1]]
        assert await found(status=MappingStatus.INTENDED) == [everything[2]]
        assert len(await found(status=MappingStatus.LINKED)) == 3
        assert len(await found(entity_type="customer")) == 4
        assert await found(entity_type="invoice") == []

    async def test_a_customer_keeps_what_is_known_of_it(self, store: Store) -> None:
        claimed = await running_job(store)
        await store.settle(
            make_settlement(claimed, JobStatus.PENDING, customer=make_seen(name="Ada", email="a@b.example"))
        )
        again = await claim_one(store, seconds=2)
        await store.settle(make_settlement(again, customer=make_seen(name="", email="new@b.example")))
        assert [(seen.name, seen.email) for seen in await store.find_customers("cust_1")] == [("Ada", "new@b.example")]

    async def test_customers_are_found_by_id_in_every_source_and_by_a_part_of_what_is_known(self, store: Store) -> None:
        for seen in (
            make_seen("cust_1", name="Ada Lovelace"), make_seen("cust_1", source="tirdad", name="100% Ada_"),
            make_seen("cust_2", email="grace@navy.example"),
            make_seen(LONG), make_seen(f"{LONG}_2"), make_seen("ada", name="Ada"),
        ):  # fmt: skip
            claimed = await running_job(store, seen.customer_id + seen.source)
            await store.settle(make_settlement(claimed, customer=seen))
        assert [seen.source for seen in await store.find_customers("cust_1")] == ["flex", "tirdad"]
        assert list(await store.find_customers("cust_9")) == []

        async def found(text: str) -> list[tuple[str, str]]:
            return [(seen.source, seen.customer_id) for seen in (await store.list_customers(text=text)).items]

        assert await found("lovelace") == [("flex", "cust_1")]
        assert await found("navy") == [("flex", "cust_2")]
        assert await found("0% Ada_") == [("tirdad", "cust_1")]
        assert await found("a%a") == await found("!") == []
        assert await found(LONG) == [("flex", LONG)]
        assert await found(LONG[:-1]) == [("flex", LONG), ("flex", f"{LONG}_2")]
        assert ("flex", "cust_1") in await found("ada")
        assert len(await found("cust")) == len((await store.list_customers()).items) - 1 == 5
