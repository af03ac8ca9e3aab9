"""From a signed webhook to one customer in Nomod: what is adopted, what is created, what is put before a person."""

import asyncio

import pytest

from connectors.testing.nomod import FilterMode
from gateway.sandbox.sender import Mode, Shape, invoice_event
from storage.records import DeliveryStatus
from tests.harness import NOMOD, Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
LOOKUP, CREATE, READ = "GET /v1/customers", "POST /v1/customers", "GET /v1/customers/*"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()


async def status(rig: Rig, delivery: str) -> DeliveryStatus:
    return (await rig.delivery(delivery)).status


async def test_a_finalized_invoice_makes_its_customer_exist_and_linked_on_both_sides(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA, metadata={"plan": "gold"})
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await status(rig, delivery) is DeliveryStatus.PROCESSED
    assert [record["email"] for record in rig.nomod.creations] == ["ada@example.com"]
    metadata = rig.flexprice.customers[ada["id"]]["metadata"]
    assert metadata["nomod_customer_id"] == await rig.linked(ada["id"])
    assert metadata["plan"] == "gold"


@pytest.mark.parametrize("shape", [shape for shape in Shape if shape is not Shape.COMMUNICATION])
@pytest.mark.parametrize("mode", [Mode.SVIX, Mode.WEBHOOK])
async def test_every_version_of_the_webhook_and_both_header_families_lead_to_the_customer(
    rig: Rig, shape: Shape, mode: Mode
) -> None:
    invoice = rig.flexprice.add_invoice(rig.flexprice.add_customer(**ADA)["id"])
    body = invoice_event(rig.flexprice.shown_invoice(invoice, lag=0), shape=shape)
    await rig.send(body, mode=mode)
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.nomod.creations) == 1


async def test_a_second_invoice_of_a_linked_customer_asks_nomod_nothing(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    calls = len(rig.nomod.calls)
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await status(rig, delivery) is DeliveryStatus.PROCESSED
    assert len(rig.nomod.calls) == calls


@pytest.mark.parametrize("mode", ["email", "search", "ignored"])
async def test_an_existing_contact_is_adopted_whatever_filter_nomod_has(rig: Rig, mode: FilterMode) -> None:
    rig.nomod.filter_mode = mode
    for number in range(130):
        rig.nomod.seed(first_name=f"Guest {number}", email=f"guest{number}@example.com")
    there = rig.nomod.seed(first_name="Ada", last_name="Lovelace", email="ADA@Example.com")
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(ada["id"]) == there
    assert rig.nomod.creations == []


async def test_two_contacts_with_the_address_are_put_before_a_person_who_adopts_one(rig: Rig) -> None:
    first, second = (rig.nomod.seed(first_name=name, email=ADA["email"]) for name in ("Ada L.", "Countess"))
    ada = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    assert await status(rig, delivery) is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert review.kind == "ambiguous"
    assert {found["provider_entity_id"] for found in review.candidates} == {first, second}
    await rig.resolve("adopt", second)
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(ada["id"]) == second
    assert rig.nomod.creations == []


async def test_two_contacts_with_the_address_and_a_person_who_wants_a_third(rig: Rig) -> None:
    for name in ("Ada L.", "Countess"):
        rig.nomod.seed(first_name=name, email=ADA["email"])
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.resolve("create")
    await rig.finish()
    await rig.check(all_linked=True)
    assert [await rig.linked(ada["id"])] == [record["id"] for record in rig.nomod.creations]


async def test_two_contacts_with_the_address_and_a_person_who_wants_nothing(rig: Rig) -> None:
    for name in ("Ada L.", "Countess"):
        rig.nomod.seed(first_name=name, email=ADA["email"])
    delivery = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.resolve("ignore")
    await rig.finish()
    await rig.check()
    assert await status(rig, delivery) is DeliveryStatus.IGNORED
    assert rig.nomod.creations == []
    assert await rig.mappings() == []


async def test_of_two_contacts_with_the_address_the_one_with_the_name_is_adopted(rig: Rig) -> None:
    rig.nomod.seed(first_name="Countess", email=ADA["email"])
    there = rig.nomod.seed(first_name="ada", last_name="LOVELACE", email=ADA["email"])
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(ada["id"]) == there


async def test_one_decision_settles_all_invoices_of_the_customer(rig: Rig) -> None:
    """Five invoices have asked the same question; nobody should have to answer it five times."""
    first, _ = (rig.nomod.seed(first_name=name, email=ADA["email"]) for name in ("Ada L.", "Countess"))
    ada = rig.flexprice.add_customer(**ADA)
    deliveries = [await rig.finalize(ada["id"]) for _ in range(5)]
    await rig.finish()
    assert {await status(rig, delivery) for delivery in deliveries} == {DeliveryStatus.NEEDS_REVIEW}
    reviews = (await rig.store.list_reviews()).items
    await rig.store.resolve_review(
        reviews[2].review_id, decision="adopt", provider_entity_id=first, by="tests", now=rig.now()
    )
    await rig.refresh()
    await rig.finish()
    await rig.check(all_linked=True)
    assert {await status(rig, delivery) for delivery in deliveries} == {DeliveryStatus.PROCESSED}


async def test_a_person_who_adopts_a_record_that_is_gone_by_now_is_asked_again(rig: Rig) -> None:
    first, second = (rig.nomod.seed(first_name=name, email=ADA["email"]) for name in ("Ada L.", "Countess"))
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    rig.nomod.remove(first)
    await rig.resolve("adopt", first)
    await rig.finish()
    await rig.check()
    assert first in (await rig.open_review()).reason
    await rig.resolve("adopt", second)
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(ada["id"]) == second


async def test_fifty_invoices_of_one_customer_at_once_make_one_record(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    deliveries = await asyncio.gather(*(rig.finalize(ada["id"]) for _ in range(50)))
    await rig.finish()
    await rig.check(all_linked=True)
    assert {await status(rig, delivery) for delivery in deliveries} == {DeliveryStatus.PROCESSED}
    assert len(rig.nomod.calls_of(CREATE)) == 1


async def test_fifty_customers_at_once_on_two_gateways_make_fifty_records(rig: Rig) -> None:
    await rig.start_node()
    people = [rig.flexprice.add_customer(name=f"Guest {n}", email=f"guest{n}@example.com") for n in range(50)]
    await asyncio.gather(*(rig.finalize(one["id"], node=n % 2) for n, one in enumerate(people + people)))
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.nomod.creations) == 50


@pytest.mark.parametrize("first", [0, 1])
async def test_one_business_event_under_two_delivery_ids_has_one_effect_in_any_order(rig: Rig, first: int) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"])["id"]
    ids = ["msg_a", "msg_b"] if first == 0 else ["msg_b", "msg_a"]
    deliveries = [await rig.announce(invoice, message_id=message) for message in ids]
    again = await rig.announce(invoice, message_id=ids[0])
    await rig.finish()
    await rig.check(all_linked=True)
    assert again == deliveries[0]
    ends = {await status(rig, delivery) for delivery in deliveries}
    assert ends == {DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED}
    assert len(rig.nomod.creations) == 1
    assert len(rig.flexprice.calls_of("PUT *")) == 1


async def test_the_customer_embedded_in_an_invoice_is_not_trusted(rig: Rig) -> None:
    """Flexprice embeds the subscription's owner, who is not the one that pays."""
    payer = rig.flexprice.add_customer(**ADA)
    owner = rig.flexprice.add_customer(name="Charles Babbage", email="charles@example.com")
    invoice = rig.flexprice.add_invoice(payer["id"], subscription_owner_id=owner["id"])
    await rig.announce(invoice["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert [record["email"] for record in rig.nomod.creations] == [ADA["email"]]
    assert await rig.linked(payer["id"], NOMOD)


async def test_the_customer_in_the_webhook_is_not_trusted_either(rig: Rig) -> None:
    """A body that names another customer than the invoice at the platform is a hint that was wrong."""
    payer = rig.flexprice.add_customer(**ADA)
    other = rig.flexprice.add_customer(name="Charles Babbage", email="charles@example.com")
    invoice = rig.flexprice.add_invoice(payer["id"])
    body = invoice_event(rig.flexprice.shown_invoice(invoice, lag=0)) | {}
    body["invoice"] = {**body["invoice"], "customer_id": other["id"]}
    await rig.send(body)
    await rig.finish()
    await rig.check(all_linked=True)
    assert [record["email"] for record in rig.nomod.creations] == [ADA["email"]]


@pytest.mark.parametrize("late", ["VOIDED", "SKIPPED", "DRAFT"])
async def test_an_invoice_that_is_no_longer_final_is_ignored_with_the_reason(rig: Rig, late: str) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"])
    rig.flexprice.invoices[invoice["id"]]["invoice_status"] = late
    delivery = await rig.announce(invoice["id"])
    await rig.finish()
    await rig.check()
    found = await rig.delivery(delivery)
    assert found.status is DeliveryStatus.IGNORED
    assert late in (found.reason or "")
    assert rig.nomod.calls == []
