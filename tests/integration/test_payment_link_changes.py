"""What becomes of a payment link that is there: adopted by hand, switched off, paid, or overtaken by another amount."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.testing.faults import Fault, FaultKind
from connectors.testing.simulator import Call, Moment
from storage.records import DeliveryStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, Callers, callers
from tests.integration.payment_setup import ADA, a_dearer_link, an_invoice, ask, tell


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    await rig.add_flexprice()
    await rig.add_nomod(outbound=False)
    async with callers(rig) as made:
        yield made


async def decide(rig: Rig, who: Callers, decision: str, **more: Any) -> None:
    """Resolve the one open review, and let its job carry it out."""
    review = await rig.open_review()
    told = {"decision": decision, **more}
    answer = await who.operator.ask("POST", f"{API}/reviews/{review.review_id}/resolve", told)
    assert answer.status == 200, answer.body
    await rig.finish()


async def test_a_link_that_a_person_has_adopted_is_given_as_long_as_the_same_is_open(rig: Rig, who: Callers) -> None:
    invoice, record = await a_dearer_link(rig, who)
    await decide(rig, who, "adopt", provider_entity_id=record)
    for _ in range(2):
        answer = await ask(who, invoice)
        assert (answer.status, answer.json["provider_entity_id"]) == (200, record), answer.body
        assert (answer.json["amount"], answer.json["url"]) == ("1575.00", rig.nomod.links[record]["url"])
    assert list(rig.nomod.links) == [record]
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    answer = await ask(who, invoice)
    assert (answer.status, answer.json["amount"], len(rig.nomod.links)) == (200, "1000.00", 2)
    assert rig.nomod.links[record]["status"] == "disabled"
    await rig.finish()
    await rig.check()


async def test_what_a_person_has_accepted_is_the_sum_that_the_review_showed(rig: Rig, who: Callers) -> None:
    invoice, record = await a_dearer_link(rig, who)
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    await decide(rig, who, "adopt", provider_entity_id=record)
    answer = await ask(who, invoice)
    assert (answer.status, answer.json["amount"]) == (200, "1000.00")
    assert rig.nomod.links[record]["status"] == "disabled"


async def test_a_link_that_a_person_has_mapped_is_given(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]
    path = f"{API}/mappings/{SOURCE}/payment_link/{invoice}/{NOMOD}"
    assert (await who.operator.ask("DELETE", path)).status == 204
    unknown = await who.operator.ask("PUT", path, {"provider_entity_id": "00000000-0000-4000-8000-000000000000"})
    assert (unknown.status, unknown.code) == (422, "record_unknown")
    assert (await who.operator.ask("PUT", path, {"provider_entity_id": record})).status == 200
    for _ in range(2):
        answer = await ask(who, invoice)
        assert (answer.status, answer.json["provider_entity_id"], answer.json["amount"]) == (200, record, "1500.00")
    assert list(rig.nomod.links) == [record]


async def test_a_link_that_was_switched_off_at_the_provider_is_not_given_again(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    first = (await ask(who, invoice)).json
    rig.nomod.links[first["provider_entity_id"]]["status"] = "disabled"
    second = await ask(who, invoice)
    assert (second.status, second.json["amount"]) == (200, "1500.00")
    assert second.json["url"] != first["url"]
    rig.nomod.links[second.json["provider_entity_id"]]["archived"] = True
    third = await ask(who, invoice)
    assert third.status == 200
    assert third.json["url"] not in {first["url"], second.json["url"]}


async def test_a_link_that_was_paid_is_not_given_again(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]
    rig.nomod.pay_link(record)
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")
    assert record in answer.json["detail"]
    assert list(rig.nomod.links) == [record]


async def test_what_is_open_after_a_payment_was_told_gets_a_link_of_its_own(rig: Rig, who: Callers) -> None:
    await rig.add_nomod_events()
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]
    charge = rig.nomod.pay_link(record)
    await tell(rig, charge)
    rig.flexprice.invoices[invoice].update(amount_remaining="200", payment_status="PENDING")
    answer = await ask(who, invoice)
    assert (answer.status, answer.json["amount"], len(rig.nomod.links)) == (200, "200.00", 2)
    assert (await tell(rig, charge)).status is DeliveryStatus.IGNORED
    assert len(rig.flexprice.payments) == 1


async def test_money_by_a_link_that_was_followed_by_another_is_put_before_a_person(rig: Rig, who: Callers) -> None:
    """The customer was at it when the link was switched off, and Nomod lets that come to its end."""
    await rig.add_nomod_events()
    _, invoice = an_invoice(rig)
    first = (await ask(who, invoice)).json["provider_entity_id"]
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    second = (await ask(who, invoice)).json["provider_entity_id"]
    rig.nomod.links[first]["status"] = "enabled"
    charge = rig.nomod.pay_link(first)
    for _ in range(2):
        await tell(rig, charge)
    review = await rig.open_review()
    assert (review.kind, review.entity_id) == ("payment_differs", charge)
    assert all(each in review.reason for each in ("1500.00 AED", first, invoice))
    assert not rig.flexprice.payments
    assert (await ask(who, invoice)).json["provider_entity_id"] == second


async def test_a_provider_that_is_down_keeps_nobody_from_the_link_that_is_known(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    first = (await ask(who, invoice)).json
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/links/*", times=9))
    assert (await ask(who, invoice)).json["url"] == first["url"]
    await rig.pause(NOMOD)
    assert (await ask(who, invoice)).json["url"] == first["url"]


async def test_a_link_that_is_paid_while_it_is_switched_off_is_not_followed_by_another(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]

    async def paid_first(call: Call, moment: Moment) -> None:
        if call.method == "PATCH" and moment is Moment.BEFORE:
            rig.nomod.links[record]["payments"] = 1

    rig.nomod.hook = paid_first
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")
    assert list(rig.nomod.links) == [record]


async def test_an_invoice_that_is_paid_while_its_link_is_made_gets_none(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)

    async def paid_after_the_first_look(call: Call, moment: Moment) -> None:
        if call.route == f"GET /v1/invoices/{invoice}" and moment is Moment.AFTER:
            rig.flexprice.invoices[invoice]["payment_status"] = "SUCCEEDED"

    rig.flexprice.hook = paid_after_the_first_look
    answer = await ask(who, invoice)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")
    assert "paid" in answer.json["detail"]
    assert not rig.nomod.links


async def test_a_link_asked_for_while_the_finalized_invoice_brings_the_customer_comes_at_once(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    _, invoice = an_invoice(rig)
    await rig.pause(NOMOD)
    await rig.announce(invoice)
    async with callers(rig) as who:
        first = await ask(who, invoice, wait_seconds=0)
        assert (first.status, first.json["status"]) == (202, "customer_pending")
        await rig.resume(NOMOD)
        answer = await ask(who, invoice)
    assert (answer.status, answer.json["amount"]) == (200, "1500.00")
    assert len(rig.nomod.creations) == 1


async def test_the_page_of_an_invoice_is_not_given_where_it_asks_for_more_than_is_open(rig: Rig, who: Callers) -> None:
    rig.intuit.quirks.payments_enabled = True
    await rig.add_quickbooks(invoices=True, payment_link=True)
    ada = rig.flexprice.add_customer(**ADA)
    invoice = str(rig.flexprice.add_invoice(ada["id"], currency="usd")["id"])
    await rig.announce(invoice)
    await rig.finish()
    assert (await ask(who, invoice, connection=QUICKBOOKS)).json["amount"] == "1500.00"
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    answer = await ask(who, invoice, connection=QUICKBOOKS)
    assert (answer.status, answer.code) == (409, "invoice_not_payable")
    assert "1500.00 USD" in answer.json["detail"]
    assert "1000.00 USD" in answer.json["detail"]


@pytest.mark.parametrize("left, status", [("0", "SUCCEEDED"), ("1000", "PENDING")])
async def test_a_link_is_switched_off_once_the_platform_tells_of_money_from_elsewhere(
    rig: Rig, who: Callers, left: str, status: str
) -> None:
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]
    told = {"event_type": "invoice.update.payment", "invoice": rig.flexprice.invoices[invoice]}
    await rig.send(told)
    await rig.finish()
    assert rig.nomod.links[record]["status"] == "enabled"
    rig.flexprice.invoices[invoice].update(amount_remaining=left, payment_status=status)
    delivery = await rig.send(told)
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    assert rig.nomod.links[record]["status"] == "disabled"
    assert list(rig.nomod.links) == [record]
    await rig.check()


async def test_money_for_an_invoice_without_a_link_asks_nobody_for_anything(rig: Rig, who: Callers) -> None:
    _, invoice = an_invoice(rig)
    asked = len(rig.nomod.calls), len(rig.flexprice.calls)
    delivery = await rig.send({"event_type": "invoice.update.payment", "invoice": rig.flexprice.invoices[invoice]})
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.IGNORED
    assert (len(rig.nomod.calls), len(rig.flexprice.calls)) == asked


async def test_a_link_over_another_sum_that_a_person_has_mapped_is_shown_with_both_before(
    rig: Rig, who: Callers
) -> None:
    _, invoice = an_invoice(rig)
    record = (await ask(who, invoice)).json["provider_entity_id"]
    path = f"{API}/mappings/{SOURCE}/payment_link/{invoice}/{NOMOD}"
    assert (await who.operator.ask("DELETE", path)).status == 204
    assert (await who.operator.ask("PUT", path, {"provider_entity_id": record})).status == 200
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    assert (await ask(who, invoice)).json["status"] == "needs_review"
    review = await rig.open_review()
    assert (review.kind, "1500.00 AED" in review.reason, "1000.00 AED" in review.reason) == (
        "amount_differs", True, True,
    )  # fmt: skip
    await decide(rig, who, "adopt", provider_entity_id=record)
    answer = await ask(who, invoice)
    assert (answer.status, answer.json["provider_entity_id"], answer.json["amount"]) == (200, record, "1500.00")
