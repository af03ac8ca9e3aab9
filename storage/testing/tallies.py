"""Tallies: every delivery counted once, in the step in which it was received, under what became of it."""

from datetime import timedelta

from storage.base import Store
from storage.records import DeliveryStatus
from storage.testing.fixtures import StoreFixtures
from storage.testing.making import ELSEWHERE, HERE, OTHER_ENVIRONMENT, at, make_delivery, settle_dispatch

STEP = timedelta(seconds=10)


class TallyContract(StoreFixtures):
    """What charts are drawn from."""

    async def test_deliveries_are_counted_by_step_and_outcome(self, store: Store) -> None:
        for n, seconds in enumerate((0, 9.999999, 10, 25, 25.5)):
            await store.add_delivery(make_delivery(f"msg_{n}", seconds=seconds))
        ignored = make_delivery("msg_x", seconds=26)
        await store.add_delivery(ignored)
        await settle_dispatch(store, ignored.delivery_id, status=DeliveryStatus.IGNORED)
        assert await store.tally_deliveries(HERE, since=at(0), until=at(30), step=STEP) == {
            0: {DeliveryStatus.PENDING: 2},
            1: {DeliveryStatus.PENDING: 1},
            2: {DeliveryStatus.PENDING: 2, DeliveryStatus.IGNORED: 1},
        }

    async def test_what_came_before_or_from_the_end_on_is_not_counted(self, store: Store) -> None:
        for n, seconds in enumerate((0, 10, 29.999999, 30)):
            await store.add_delivery(make_delivery(f"msg_{n}", seconds=seconds))
        counted = await store.tally_deliveries(since=at(10), until=at(30), step=STEP)
        assert counted == {0: {DeliveryStatus.PENDING: 1}, 1: {DeliveryStatus.PENDING: 1}}

    async def test_only_the_tenants_own_are_counted(self, store: Store) -> None:
        await store.add_delivery(make_delivery("msg_1"))
        await store.add_delivery(make_delivery("msg_2", tenant_id="tenant_b"))
        for scope, count in ((HERE, 1), (ELSEWHERE, 1), (OTHER_ENVIRONMENT, 0)):
            tally = await store.tally_deliveries(scope, since=at(0), until=at(10), step=STEP)
            assert sum(each for step in tally.values() for each in step.values()) == count
