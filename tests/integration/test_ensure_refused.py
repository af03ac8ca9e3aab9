"""When Nomod refuses a second customer with the same address: the holder is found, or a person is asked."""

import pytest

from connectors.testing.simulator import Fault, FaultKind
from storage.records import DeliveryStatus
from tests.harness import Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
CREATE = "POST /v1/customers"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    rig.nomod.duplicates = "refuse"


@pytest.mark.parametrize("status", [400, 409, 422])
@pytest.mark.parametrize("lag", [2.0, 15.0, 50.0])
async def test_a_holder_that_look_ups_show_late_is_adopted(rig: Rig, lag: float, status: int) -> None:
    """Somebody has just made the contact in the app; lists do not show it yet."""
    rig.nomod.search_lag, rig.nomod.duplicate_status = lag, status
    there = rig.nomod.seed(first_name="Ada Lovelace", email=ADA["email"], created=rig.clock.now())
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(ada["id"]) == there
    assert rig.nomod.creations == []


async def test_a_holder_that_is_never_seen_is_put_before_a_person(rig: Rig) -> None:
    """An archived contact, perhaps: Nomod knows it and no list shows it."""
    rig.nomod.search_lag = 1e9
    rig.nomod.seed(first_name="Ada Lovelace", email=ADA["email"], created=rig.clock.now())
    delivery = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.live(1)
    waiting = await rig.job(status="pending")
    assert (waiting.error["code"], waiting.reason) == (
        "email_already_exists", "email_already_exists: nobody is seen yet who holds it",
    )  # fmt: skip
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    assert (await rig.open_review()).kind == "conflict"
    assert (await rig.job()).error["code"] == "email_already_exists"


async def test_an_own_record_that_was_lost_and_is_shown_too_late_is_not_doubled(rig: Rig) -> None:
    """Proven absent by look-ups that were too few; the second create is refused, and the record shows up later."""
    rig.nomod.search_lag = 640.0
    ada = rig.flexprice.add_customer(**ADA)
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(ada["id"]) == rig.nomod.creations[0]["id"]
    assert len(rig.nomod.creations) == 1


async def test_a_holder_with_the_same_phone_number_is_shown_to_a_person(rig: Rig) -> None:
    rig.nomod.unique_field = "phone_number"
    there = rig.nomod.seed(first_name="Charles Babbage", email="charles@example.com", phone_number="+971501234567")
    rig.flexprice.add_customer(**ADA)
    ada = rig.flexprice.add_customer(**ADA, contact="+971501234567")
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert review.kind == "conflict"
    assert [found["provider_entity_id"] for found in review.candidates] == [there]
    assert review.customer["name"] == ADA["name"]
    await rig.resolve("adopt", there)
    await rig.finish()
    await rig.check(all_linked=True)


async def test_a_second_customer_with_an_address_that_nomod_has_only_once_is_put_before_a_person(rig: Rig) -> None:
    """The first one's record is not for the second."""
    one, two = (rig.flexprice.add_customer(**ADA)["id"] for _ in range(2))
    await rig.finalize(one)
    await rig.finish()
    delivery = await rig.finalize(two)
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert review.kind == "conflict"
    assert [found["provider_entity_id"] for found in review.candidates] == [await rig.linked(one)]
    assert await rig.linked(two) is None


async def test_a_person_who_insists_on_a_create_that_nomod_refuses_is_asked_again(rig: Rig) -> None:
    one, two = (rig.flexprice.add_customer(**ADA)["id"] for _ in range(2))
    await rig.finalize(one)
    await rig.finish()
    await rig.finalize(two)
    await rig.finish()
    await rig.resolve("create")
    await rig.finish()
    await rig.check()
    assert (await rig.open_review()).kind == "conflict"
    rig.nomod.duplicates = "accept"
    await rig.resolve("create")
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(two) != await rig.linked(one)
