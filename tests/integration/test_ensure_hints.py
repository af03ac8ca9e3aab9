"""An id in the platform's metadata is a hint: it is verified at the provider before anything is linked to it."""

import pytest

from gateway import keys
from gateway.pipeline.drift import DriftScan
from storage.records import DeliveryStatus, ReviewStatus
from tests.harness import Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
READ, CREATE = "GET /v1/customers/*", "POST /v1/customers"
DEAD = "0b7c7f0e-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    rig.nomod.seed(first_name="Somebody", email="somebody@example.com")


async def ensured(rig: Rig, hint: str, **fields: str) -> str:
    """Ensure a customer whose metadata has a hint, and return its id."""
    customer = rig.flexprice.add_customer(**{**ADA, **fields}, metadata={"nomod_customer_id": hint, "plan": "gold"})
    await rig.finalize(customer["id"])
    await rig.finish()
    await rig.check()
    return str(customer["id"])


async def test_a_good_hint_is_adopted_after_one_look_at_nomod(rig: Rig) -> None:
    there = rig.nomod.seed(first_name="Ada Lovelace", email="ada@example.com")
    customer = await ensured(rig, there)
    assert await rig.linked(customer) == there
    assert [call.route for call in rig.nomod.calls] == [f"GET /v1/customers/{there}"]
    assert (await rig.mappings())[0].origin == "hint"


@pytest.mark.parametrize(
    "fields",
    [
        {"first_name": "Ada Lovelace", "email": "old@example.com"},
        {"first_name": "Countess", "email": "ada@example.com"},
        {"first_name": "Ada", "last_name": "Lovelace", "email": ""},
    ],
)
async def test_a_hint_is_good_where_name_or_address_agrees(rig: Rig, fields: dict[str, str]) -> None:
    last_name = fields.get("last_name", "")
    there = rig.nomod.seed(first_name=fields["first_name"], last_name=last_name, email=fields["email"])
    assert await rig.linked(await ensured(rig, there)) == there


async def test_a_hint_to_a_record_of_somebody_else_is_put_before_a_person(rig: Rig) -> None:
    """Neither name nor address agrees: copied metadata, or a customer who has changed both."""
    there = rig.nomod.seed(first_name="Charles Babbage", email="charles@example.com")
    customer = await ensured(rig, there)
    review = await rig.open_review()
    assert [found["provider_entity_id"] for found in review.candidates] == [there]
    await rig.resolve("create")
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(customer) == rig.nomod.creations[0]["id"]


async def test_a_hint_that_was_copied_from_a_linked_customer_is_worth_nothing(rig: Rig) -> None:
    """Somebody has copied a customer at the platform, metadata and all."""
    original = await ensured(rig, DEAD)
    record = await rig.linked(original)
    assert record is not None
    copy = await ensured(rig, record, name="Ada Lovelace", email="ada.two@example.com")
    await rig.check(all_linked=True)
    assert await rig.linked(copy) != record
    assert len(rig.nomod.creations) == 2
    assert rig.flexprice.customers[copy]["metadata"]["nomod_customer_id"] == await rig.linked(copy)


async def test_a_hint_to_a_dead_record_is_worth_nothing(rig: Rig) -> None:
    customer = await ensured(rig, DEAD)
    await rig.check(all_linked=True)
    assert len(rig.nomod.calls_of(READ)) == 1
    assert await rig.linked(customer) == rig.nomod.creations[0]["id"]
    assert rig.flexprice.customers[customer]["metadata"]["nomod_customer_id"] == rig.nomod.creations[0]["id"]


async def test_a_hint_that_looks_unlike_an_id_of_nomod_is_asked_for(rig: Rig) -> None:
    customer = await ensured(rig, "cust_nomod123abc")
    await rig.check(all_linked=True)
    assert len(rig.nomod.calls_of(READ)) == 1
    assert await rig.linked(customer) == rig.nomod.creations[0]["id"]


@pytest.mark.parametrize("hint", ["../../v1/invoices", "0b7c7f0e%2F", "' or 1=1", "x" * 255])
async def test_a_hint_that_can_be_nobodys_id_is_not_even_asked_for(rig: Rig, hint: str) -> None:
    customer = await ensured(rig, hint)
    await rig.check(all_linked=True)
    assert rig.nomod.calls_of(READ) == []
    assert await rig.linked(customer) == rig.nomod.creations[0]["id"]


async def test_a_hint_in_capitals_is_the_same_record(rig: Rig) -> None:
    """Nomod answers with its own spelling; the link has that one, so that no second customer can take the record."""
    there = rig.nomod.seed(first_name="Ada Lovelace", email="ada@example.com")
    assert await rig.linked(await ensured(rig, there.upper())) == there


async def test_a_record_that_died_is_never_made_again_without_a_person(rig: Rig) -> None:
    """The bookkeeper has deleted it on purpose, perhaps; the next invoice asks."""
    customer = await ensured(rig, DEAD)
    record = await rig.linked(customer)
    assert record is not None
    rig.nomod.remove(record)
    await mark_stale(rig, customer)
    delivery = await rig.finalize(customer)
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    assert len(rig.nomod.creations) == 1
    asked = (await rig.store.list_reviews(status=ReviewStatus.OPEN)).items
    assert {(review.kind, review.entity_id) for review in asked} == {("stale", customer)}
    await rig.store.resolve_review(
        asked[0].review_id, decision="create", provider_entity_id=None, by="tests", now=rig.now()
    )
    await rig.refresh()
    await rig.finish()
    await rig.check(all_linked=True, doubled_on_purpose=[customer])
    assert len(rig.nomod.creations) == 2


async def mark_stale(rig: Rig, customer: str) -> None:
    """Have the gateway find out that a customer's record is gone, as its daily scan does."""
    live = rig.gateway.app[keys.REGISTRY].connections["nomod-prod"]
    report = await DriftScan(store=rig.store, now=rig.now).run(live)
    assert report.counts["gone"] == 1
    await rig.refresh()
    await rig.finish()
    assert (await rig.mappings(entity_id=customer))[0].status == "stale"
