"""From a finalized invoice to the customer and then the invoice at Nomod: once, with the same sum, written back."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway.sandbox.flexprice_bills import Line
from storage.records import DeliveryStatus, MappingStatus, ReviewStatus
from tests.harness import NOMOD, Rig
from tests.invariants import every

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
INVOICES, POST = "GET /v1/invoices", "POST /v1/invoices"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)


async def test_a_finalized_invoice_is_made_at_nomod_for_its_customer_and_told_to_the_platform(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(ada["id"], tax="75", metadata={"po": "4711"})
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    [made] = rig.nomod.invoices.values()
    [ours] = rig.flexprice.invoices.values()
    assert made["customer_id"] == await rig.linked(ada["id"])
    assert made["bill"].amount == Decimal(1575)
    assert made["invoice_number"] == ours["invoice_number"]
    [mapping] = await rig.mappings(entity_type="invoice")
    assert (mapping.entity_id, mapping.provider_entity_id) == (ours["id"], made["id"])
    assert ours["metadata"] == {"po": "4711", "nomod_invoice_id": made["id"], "nomod_invoice_url": made["url"]}


async def test_a_second_event_about_the_same_invoice_has_one_effect(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"])
    for _ in range(3):
        await rig.announce(invoice["id"])
    await rig.finish()
    await rig.announce(invoice["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.nomod.invoices) == 1


@pytest.mark.parametrize("bill", [{"lines": ()}, {"lines": (Line(amount="0"),)}])
async def test_an_invoice_without_anything_to_book_brings_its_customer_only(rig: Rig, bill: dict[str, Any]) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(ada["id"], **bill)
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    assert await rig.linked(ada["id"])
    assert {job.kind for job in await rig.jobs()} == {"ensure_customer", "write_back"}
    assert not rig.nomod.invoices


async def test_customer_only_makes_no_invoice(rig: Rig) -> None:
    await rig.add_nomod(invoices=False)
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert not rig.nomod.invoices


async def test_an_account_that_adds_tax_of_its_own_is_noticed_and_a_person_adopts(rig: Rig) -> None:
    rig.nomod.account_tax = Decimal(5)
    ada = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert (review.kind, review.entity_type) == ("amount_differs", "invoice")
    assert "1575.00 AED" in review.reason
    assert "1500.00 AED" in review.reason
    [made] = rig.nomod.invoices
    assert review.candidates[0]["provider_entity_id"] == made
    await rig.resolve("adopt", made)
    await rig.finish()
    await rig.check(all_linked=True)
    [mapping] = await rig.mappings(entity_type="invoice")
    assert (mapping.provider_entity_id, mapping.origin) == (made, "operator")


async def test_another_event_about_an_invoice_that_a_person_is_asked_about_makes_no_second_one(rig: Rig) -> None:
    """The first one is there, over another sum, and no look-up may show it yet."""
    rig.nomod.account_tax, rig.nomod.search_lag = Decimal(5), 3600.0
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.announce(next(iter(rig.flexprice.invoices)))
    await rig.finish()
    assert (await rig.open_review()).kind == "amount_differs"
    assert len(rig.nomod.invoices) == 1


async def test_a_platform_whose_parts_do_not_come_to_its_total_is_put_before_a_person(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"], total="1499.99", amount_due="1499.99")
    await rig.finish()
    review = await rig.open_review()
    assert review.kind == "amount_differs"
    assert "1500.00 AED" in review.reason
    assert "1499.99 AED" in review.reason
    assert not rig.nomod.invoices
    assert await rig.linked(ada["id"])


async def test_a_void_invoice_is_cancelled_at_nomod_once(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"])
    await rig.announce(invoice["id"])
    await rig.finish()
    rig.flexprice.void_invoice(invoice["id"])
    event = {"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice["id"]]}
    first, second = await rig.send(event), await rig.send(event)
    await rig.finish()
    await rig.check(all_linked=True)
    [made] = rig.nomod.invoices.values()
    assert made["status"] == "cancelled"
    assert {(await rig.delivery(each)).status for each in (first, second)} == {DeliveryStatus.PROCESSED}
    assert len([call for call in rig.nomod.calls if call.route.startswith("PATCH")]) == 1


async def test_a_void_invoice_that_was_never_made_is_ignored(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"], status="VOIDED")
    delivery = await rig.send({"event_type": "invoice.update.voided", "invoice": invoice})
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.IGNORED


async def test_a_customer_that_is_gone_is_asked_about_and_the_invoice_follows(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    del rig.nomod.customers[await rig.linked(ada["id"]) or ""]
    rig.nomod.invoices.clear()
    await rig.finalize(ada["id"])
    await rig.live(120)
    review = await rig.open_review()
    assert (review.kind, review.entity_type) == ("stale", "customer")
    await rig.resolve("create")
    await rig.finish()
    [made] = rig.nomod.invoices.values()
    assert made["customer_id"] == await rig.linked(ada["id"])
    assert made["customer_id"] in rig.nomod.customers


async def test_a_lost_answer_makes_no_second_invoice(rig: Rig) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=POST))
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.nomod.invoices) == 1
    [mapping] = await rig.mappings(entity_type="invoice", status=MappingStatus.LINKED)
    assert (mapping.origin, mapping.connection) == ("created", NOMOD)


async def test_an_invoice_that_a_bookkeeper_has_written_already_is_adopted(rig: Rig) -> None:
    there = rig.nomod.seed(first_name="Ada", last_name="Lovelace", email=ADA["email"])
    made = rig.nomod.seed_invoice(there, number="INV-7", amount=Decimal(1500))
    other = rig.nomod.seed(first_name="Somebody", last_name="Else", email="else@example.com")
    rig.nomod.seed_invoice(other, number="INV-7", amount=Decimal(1500))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"], invoice_number="INV-7")
    await rig.finish()
    [mapping] = await rig.mappings(entity_type="invoice")
    assert (mapping.provider_entity_id, mapping.origin) == (made, "adopted_number")
    assert len(rig.nomod.invoices) == 2


async def test_an_invoice_that_the_platform_s_metadata_names_is_verified_and_adopted(rig: Rig) -> None:
    there = rig.nomod.seed(first_name="Ada", last_name="Lovelace", email=ADA["email"])
    made = rig.nomod.seed_invoice(there, number="INV-7", amount=Decimal(1500))
    wrong = rig.nomod.seed_invoice(there, number="INV-6", amount=Decimal(1500))
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"], invoice_number="INV-7", metadata={"nomod_invoice_id": made})
    await rig.finalize(ada["id"], invoice_number="INV-8", metadata={"nomod_invoice_id": wrong})
    await rig.finish()
    origins = {mapping.provider_entity_id: mapping.origin for mapping in await rig.mappings(entity_type="invoice")}
    assert origins.pop(made) == "hint"
    assert wrong not in origins
    assert list(origins.values()) == ["created"]


async def test_another_sum_under_the_same_number_is_never_adopted_and_a_person_may_want_another(rig: Rig) -> None:
    there = rig.nomod.seed(first_name="Ada", last_name="Lovelace", email=ADA["email"])
    rig.nomod.seed_invoice(there, number="INV-7", amount=Decimal("1500.01"))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"], invoice_number="INV-7")
    await rig.finish()
    review = await rig.open_review()
    assert (review.kind, review.candidates[0]["total"]) == ("amount_differs", "1500.01 AED")
    await rig.resolve("create")
    await rig.finish()
    await rig.check(all_linked=True, doubled_on_purpose=["INV-7"])
    assert sorted(one["bill"].amount for one in rig.nomod.invoices.values()) == [Decimal(1500), Decimal("1500.01")]


@pytest.mark.parametrize("lag", [0.0, 120.0])
@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.FAIL_AFTER, FaultKind.DROP_BEFORE])
async def test_whatever_becomes_of_an_answer_there_is_one_invoice(rig: Rig, kind: FaultKind, lag: float) -> None:
    rig.nomod.search_lag = lag
    rig.nomod.faults.add(Fault(kind=kind, route=POST))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.nomod.invoices) == 1


async def test_a_number_that_nomod_refuses_since_another_customer_s_invoice_has_it_goes_to_a_person(rig: Rig) -> None:
    rig.nomod.unique_invoice_numbers = True
    other = rig.nomod.seed(first_name="Somebody", last_name="Else", email="else@example.com")
    rig.nomod.seed_invoice(other, number="INV-7", amount=Decimal(1500))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"], invoice_number="INV-7")
    await rig.finish()
    assert (await rig.open_review()).kind == "conflict"
    assert len(rig.nomod.invoices) == 1


@pytest.mark.parametrize("currency, amount", [("jpy", "1500"), ("kwd", "0.125"), ("usd", "33.33")])
async def test_every_currency_keeps_its_own_decimal_places(rig: Rig, currency: str, amount: str) -> None:
    line = Line("Seat", amount, "0.333333")
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"], currency=currency, lines=(line, line, line))
    await rig.finish()
    await rig.check(all_linked=True)
    [made] = rig.nomod.invoices.values()
    assert made["bill"].amount == 3 * Decimal(amount)
    assert {item.name for item in made["bill"].items} == {"Seat x 0.333333"}


async def test_an_amount_that_its_currency_cannot_express_fails_and_nothing_is_sent(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(ada["id"], currency="jpy", lines=(Line("Seat", "0.5", "1"), Line("Seat", "1.5", "1")))
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.FAILED
    assert (await rig.job(status="failed")).error["code"] == "amount_inexact"
    assert await rig.linked(ada["id"])
    assert not rig.nomod.invoices


async def test_a_platform_without_a_place_for_it_is_not_told_and_nothing_fails(rig: Rig) -> None:
    rig.flexprice.faults.add(Fault(kind=FaultKind.REFUSE, route="PUT /v1/invoices/*", status=405, times=1000))
    delivery = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    [mapping] = await rig.mappings(entity_type="invoice")
    assert mapping.written_back_at is None


@pytest.mark.parametrize("status", [403, 404, 405, 501])
async def test_an_account_without_invoices_costs_the_customer_nothing(rig: Rig, status: int) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=INVOICES, status=status, times=1000))
    delivery = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    assert not rig.nomod.invoices
    warned = (await rig.api("GET", f"/api/v1/connections/{NOMOD}"))[1]["warnings"]
    [warning] = warned
    assert warning.startswith(f"the account has no API for invoices (HTTP {status} for /v1/invoices)")
    rig.nomod.faults.clear()
    await rig.finalize(next(iter(rig.flexprice.customers)))
    await rig.finish()
    assert len(rig.nomod.invoices) == 1
    assert (await rig.api("GET", f"/api/v1/connections/{NOMOD}"))[1]["warnings"] == []


async def test_the_api_shows_invoices_and_their_reviews(rig: Rig) -> None:
    rig.nomod.account_tax = Decimal(5)
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    [review] = (await rig.api("GET", "/api/v1/reviews"))[1]["items"]
    assert (review["kind"], review["entity_type"]) == ("amount_differs", "invoice")
    assert review["customer"]["total"] == "1500.00 AED"
    assert review["candidates"][0]["total"] == "1575.00 AED"
    assert review["candidates"][0]["number"] == review["customer"]["number"]
    made = review["candidates"][0]["provider_entity_id"]
    path = f"/api/v1/reviews/{review['review_id']}/resolve"
    assert (await rig.api("POST", path, {"decision": "adopt", "provider_entity_id": made[::-1]}))[0] == 422
    assert (await rig.api("POST", path, {"decision": "adopt", "provider_entity_id": made}))[0] == 200
    await rig.finish()
    [mapping] = (await rig.api("GET", "/api/v1/mappings?entity_type=invoice"))[1]["items"]
    assert (mapping["provider_entity_id"], mapping["status"], mapping["origin"]) == (made, "linked", "operator")
    assert mapping["details"]["url"] == rig.nomod.invoices[made]["url"]


async def test_another_sum_is_asked_about_once_and_made_once_though_no_list_shows_it_yet(rig: Rig) -> None:
    """The second event finds nothing, and knows what the first has made from the question about it."""
    rig.nomod.account_tax, rig.nomod.search_lag = Decimal(5), 400.0
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = rig.flexprice.add_invoice(ada["id"])
    for _ in range(2):
        await rig.announce(invoice["id"])
        await rig.live(5)
    assert len(rig.nomod.invoices) == 1
    reviews = await every(rig.store.list_reviews, status=ReviewStatus.OPEN)
    assert {each.candidates[0]["provider_entity_id"] for each in reviews} == set(rig.nomod.invoices)
