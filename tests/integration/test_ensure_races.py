"""Customers that share an e-mail address or a name, at once and one after the other, on one gateway and on two."""

import asyncio

import pytest

from connectors.testing.simulator import Call, Fault, FaultKind, Moment
from tests.harness import Rig
from tests.waiting import PATIENCE

EMAIL = "office@example.com"
LOOKUP, CREATE = "GET /v1/customers", "POST /v1/customers"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()


async def assert_each_has_its_own(rig: Rig, *customers: str) -> None:
    """Every one of these customers is linked to the record that was made for it."""
    await rig.check(all_linked=True)
    for customer in customers:
        assert rig.nomod.made_for[customer] == [await rig.linked(customer)]


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("name", ["Ada Lovelace", "Charles Babbage"])
async def test_two_customers_with_one_address_at_once_have_a_record_each(rig: Rig, name: str, nodes: int) -> None:
    if nodes == 2:
        await rig.start_node()
    one = rig.flexprice.add_customer(name="Ada Lovelace", email=EMAIL)["id"]
    two = rig.flexprice.add_customer(name=name, email=EMAIL)["id"]
    await asyncio.gather(rig.finalize(one), rig.finalize(two, node=nodes - 1))
    await rig.finish()
    await assert_each_has_its_own(rig, one, two)


async def test_twenty_customers_with_one_address_and_one_name_have_a_record_each(rig: Rig) -> None:
    people = [rig.flexprice.add_customer(name="Front Office", email=EMAIL)["id"] for _ in range(20)]
    await asyncio.gather(*(rig.finalize(one) for one in people))
    await rig.finish()
    await assert_each_has_its_own(rig, *people)


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.FAIL_AFTER, FaultKind.HALF, FaultKind.GARBAGE])
@pytest.mark.parametrize("name", ["Ada Lovelace", "Charles Babbage"])
async def test_a_record_whose_answer_was_lost_is_not_adopted_by_a_namesake(
    rig: Rig, name: str, kind: FaultKind
) -> None:
    """The second customer finds the record of the first before the first does; it is not for him."""
    one = rig.flexprice.add_customer(name="Ada Lovelace", email=EMAIL)["id"]
    two = rig.flexprice.add_customer(name=name, email=EMAIL)["id"]
    rig.nomod.faults.add(Fault(kind=kind, route=CREATE))
    await rig.finalize(one)
    await rig.until(lambda: rig.nomod.creations)
    await rig.finalize(two)
    await rig.finish()
    await assert_each_has_its_own(rig, one, two)


async def test_twenty_customers_named_alike_ask_no_more_than_one_would(rig: Rig) -> None:
    """On one node each looks once, when its turn comes; nobody looks in vain while another is at it."""
    people = [rig.flexprice.add_customer(name="John Smith", email=f"{i}@example.com")["id"] for i in range(20)]
    await asyncio.gather(*(rig.finalize(one) for one in people))
    await rig.finish()
    await assert_each_has_its_own(rig, *people)
    one_probe_and_a_look_each = 4 + len(people)
    assert len(rig.nomod.calls_of(LOOKUP)) <= one_probe_and_a_look_each


async def test_a_record_that_is_being_made_is_not_adopted_by_a_namesake(rig: Rig) -> None:
    """The answer to the create of the first is on its way while the second looks, matches and wants to link.

    On one node the second waits in line and does not even look; so there are two.
    """
    await rig.start_node()
    one = rig.flexprice.add_customer(name="Ada Lovelace", email=EMAIL)["id"]
    two = rig.flexprice.add_customer(name="Charles Babbage", email=EMAIL)["id"]
    made, linked = asyncio.Event(), asyncio.Event()

    async def hold(call: Call, moment: Moment) -> None:
        if call.route == CREATE and moment is Moment.AFTER and not made.is_set():
            made.set()
            async with asyncio.timeout(PATIENCE):
                await linked.wait()

    rig.nomod.hook = hold
    await rig.finalize(one)
    await rig.until(made.is_set)
    await rig.finalize(two)
    await rig.until(lambda: len(rig.nomod.calls_of(LOOKUP)) >= 3)
    await asyncio.sleep(0.1)
    linked.set()
    await rig.finish()
    await assert_each_has_its_own(rig, one, two)


async def test_two_customers_who_could_both_adopt_one_contact_share_it_out(rig: Rig) -> None:
    """The first to link has the contact, the other gets a record of its own; nobody has to be asked."""
    there = rig.nomod.seed(first_name="Office", email=EMAIL)
    people = [rig.flexprice.add_customer(name="Office", email=EMAIL)["id"] for _ in range(6)]
    await asyncio.gather(*(rig.finalize(one) for one in people))
    await rig.finish()
    await rig.check(all_linked=True)
    links = [await rig.linked(one) for one in people]
    assert there in links
    assert len(set(links)) == len(people)
    assert len(rig.nomod.creations) == len(people) - 1


async def test_a_customer_renamed_between_the_create_and_its_recovery_is_found_again(rig: Rig) -> None:
    """What was sent counts for the recovery, not what the platform says by now."""
    one = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"]
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    await rig.finalize(one)
    await rig.until(lambda: rig.nomod.creations)
    rig.flexprice.edit_customer(one, name="Countess of Lovelace", email="countess@example.com")
    await rig.finalize(one)
    await rig.finish()
    await assert_each_has_its_own(rig, one)


async def test_a_customer_renamed_after_a_create_that_was_lost_for_good_is_made_under_the_new_name(rig: Rig) -> None:
    one = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"]
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_BEFORE, route=CREATE))
    await rig.finalize(one)
    await rig.until(lambda: rig.nomod.calls_of(CREATE))
    rig.flexprice.edit_customer(one, name="Countess of Lovelace", email="countess@example.com")
    await rig.finish()
    await assert_each_has_its_own(rig, one)
    assert [record["email"] for record in rig.nomod.creations] == ["countess@example.com"]


@pytest.mark.parametrize("lag", [3.0, 30.0, 300.0])
@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.FAIL_AFTER, FaultKind.GARBAGE, FaultKind.HALF])
async def test_search_that_lags_does_not_double_a_customer_whose_answer_was_lost(
    rig: Rig, kind: FaultKind, lag: float
) -> None:
    """Lists show the record only after a while; the look-ups reach beyond that."""
    rig.nomod.search_lag = lag
    one = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"]
    rig.nomod.faults.add(Fault(kind=kind, route=CREATE))
    await rig.finalize(one)
    await rig.finish()
    await assert_each_has_its_own(rig, one)


async def test_search_that_lags_does_not_double_a_customer_of_two_gateways(rig: Rig) -> None:
    rig.nomod.search_lag = 60.0
    await rig.start_node()
    one = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"]
    await asyncio.gather(*(rig.finalize(one, node=n % 2) for n in range(10)))
    await rig.finish()
    await assert_each_has_its_own(rig, one)


async def test_a_create_sent_by_a_clock_that_was_wrong_is_found_though_the_customer_has_moved_since(rig: Rig) -> None:
    """The record is an hour older than the intent, and has an address by which nobody looks any more."""
    await rig.add_flexprice()
    await rig.add_nomod()
    rig.set_clock(3600.0)
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v1/customers"))
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.live(2)
    rig.set_clock(-3600.0)
    rig.flexprice.edit_customer(ada["id"], email="moved@example.com")
    await rig.finish()
    assert len(rig.nomod.creations) == 1
    await rig.check(all_linked=True)


async def test_a_record_that_is_not_shown_yet_is_waited_for_however_often_the_clock_is_set_forth(rig: Rig) -> None:
    """Hours pass by the gateway's clock, and none at the provider."""
    rig.nomod.search_lag = 400.0
    one = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"]
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    await rig.finalize(one)
    await rig.until(lambda: bool(rig.nomod.creations))
    for _ in range(3):
        rig.set_clock(3600.0)
        await rig.live(1)
    await rig.finish()
    await assert_each_has_its_own(rig, one)
