"""Payments at the wrong moment: before the link is known, after a void, by hand-made links."""

from decimal import Decimal

import pytest

from connectors.testing.faults import Fault, FaultKind
from connectors.testing.simulator import Call, Moment
from storage.records import DeliveryStatus, JobStatus
from storage.sqlite.store import SqliteStore
from tests.configuring import NOMOD_EVENTS, SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.api_setup import API, callers
from tests.integration.payment_setup import an_invoice, ask, charge_event, tell

MUCH_ELSE = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
INSERT INTO reviews (review_id, created_at, source, tenant_id, environment_id, connection, entity_type, kind, reason,
                     status)
SELECT 'rev_more' || i, created_at + i, source, tenant_id, environment_id, connection, entity_type, kind, reason, status
  FROM n, reviews WHERE review_id = ?"""


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)
    await rig.add_nomod_events()


async def test_a_link_that_was_mapped_by_hand_is_compared_with_what_is_open_in_its_currency(rig: Rig) -> None:
    _, invoice = an_invoice(rig)
    async with callers(rig) as who:
        record = (await ask(who, invoice)).json["provider_entity_id"]
        path = f"{API}/mappings/{SOURCE}/payment_link/{invoice}/{NOMOD}"
        assert (await who.operator.ask("DELETE", path)).status == 204
        assert (await who.operator.ask("PUT", path, {"provider_entity_id": record})).status == 200
    charge = rig.nomod.pay_link(record)
    rig.nomod.charges[charge]["currency"] = "USD"
    assert (await tell(rig, charge)).status is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert review.kind == "payment_differs"
    assert "1500.00 USD" in review.reason
    assert "1500.00 AED" in review.reason
    assert not rig.flexprice.payments


async def test_money_for_an_invoice_that_was_voided_is_put_before_a_person(rig: Rig) -> None:
    _, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    [record] = rig.nomod.invoices
    charge = rig.nomod.pay_invoice(record)
    rig.flexprice.void_invoice(invoice)
    assert (await tell(rig, charge)).status is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert review.kind == "payment_differs"
    assert "VOIDED" in review.reason
    assert "1500.00 AED" in review.reason


async def test_a_payment_that_comes_before_its_invoice_is_linked_waits_for_that(rig: Rig) -> None:
    _, invoice = an_invoice(rig)
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v1/invoices"))
    await rig.announce(invoice)
    await rig.until(lambda: rig.nomod.invoices)
    [record] = rig.nomod.invoices
    delivery = await tell(rig, rig.nomod.pay_invoice(record))
    assert delivery.status is DeliveryStatus.PROCESSED, delivery.reason
    assert rig.flexprice.invoices[invoice]["payment_status"] == "SUCCEEDED"
    assert len(rig.flexprice.payments) == 1
    await rig.check(all_linked=True)


async def test_an_invoice_that_is_paid_elsewhere_just_before_the_platform_is_told_is_left_alone(rig: Rig) -> None:
    _, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    [record] = rig.nomod.invoices

    async def paid_first(call: Call, moment: Moment) -> None:
        if call.route == "POST /v1/payments" and moment is Moment.BEFORE:
            rig.flexprice.invoices[invoice].update(payment_status="SUCCEEDED", amount_remaining="0")

    rig.flexprice.hook = paid_first
    assert (await tell(rig, rig.nomod.pay_invoice(record))).status is DeliveryStatus.PROCESSED
    [mapping] = await rig.mappings(entity_type="invoice")
    assert [each["platform"] for each in mapping.notes["payments"]] == ["not told: the invoice is paid"]
    assert not rig.flexprice.payments


async def test_a_payment_that_the_provider_shows_late_is_looked_for_again(rig: Rig) -> None:
    _, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    [record] = rig.nomod.invoices
    charge = rig.nomod.pay_invoice(record)
    body = charge_event(rig, charge)
    rig.nomod.charges[charge]["status"] = "authorised"
    await rig.send(body, source=NOMOD_EVENTS)
    await rig.live(30)
    assert not rig.flexprice.payments
    rig.nomod.charges[charge]["status"] = "paid"
    await rig.finish()
    assert len(rig.flexprice.payments) == 1


async def test_a_refund_of_what_was_told_shows_with_our_record(rig: Rig) -> None:
    _, invoice = an_invoice(rig)
    await rig.announce(invoice)
    await rig.finish()
    [record] = rig.nomod.invoices
    charge = rig.nomod.pay_invoice(record)
    await tell(rig, charge)
    rig.nomod.charges[charge]["status"] = "partially_refunded"
    for _ in range(2):
        await tell(rig, charge)
    [mapping] = await rig.mappings(entity_type="invoice")
    [kept] = mapping.notes["payments"]
    assert (kept["platform"], kept["status"]) == ("told", "returned")
    assert len(rig.flexprice.payments) == 1


async def test_a_paid_link_that_is_gone_is_not_followed_by_another_while_the_platform_is_being_told(rig: Rig) -> None:
    """Somebody has put the paid link away in Nomod, and the platform takes no payment for hours."""
    rig.flexprice.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="POST /v1/payments", times=6))
    _, invoice = an_invoice(rig)
    async with callers(rig) as who:
        link = (await ask(who, invoice)).json["provider_entity_id"]
        await rig.send(charge_event(rig, rig.nomod.pay_link(link)), source=NOMOD_EVENTS)
        await rig.live(30)
        assert not rig.flexprice.payments
        rig.nomod.links[link]["archived"] = True
        answer = await ask(who, invoice)
        assert (answer.status, answer.code) == (409, "invoice_not_payable")
    await rig.finish()
    assert list(rig.nomod.links) == [link]
    assert len(rig.flexprice.payments) == 1
    assert rig.flexprice.invoices[invoice]["payment_status"] == "SUCCEEDED"


@pytest.mark.parametrize("when", ["before anybody heard of it", "while the platform is being told"])
async def test_a_link_whose_money_was_given_back_untold_keeps_nobody_from_another(rig: Rig, when: str) -> None:
    """A person decides, since the paid one is there, and some of its money may be."""
    rig.flexprice.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="POST /v1/payments", times=3))
    _, invoice = an_invoice(rig)
    async with callers(rig) as who:
        link = (await ask(who, invoice)).json["provider_entity_id"]
        charge = rig.nomod.pay_link(link)
        if when == "while the platform is being told":
            await rig.send(charge_event(rig, charge), source=NOMOD_EVENTS)
            await rig.live(30)
        rig.nomod.charges[charge]["status"] = "refunded"
        await tell(rig, charge)
        [mapping] = await rig.mappings(entity_type="payment_link")
        [kept] = mapping.notes["payments"]
        assert (kept["status"], kept["platform"].startswith("not told")) == ("returned", "heard" in when)
        assert "being told" not in kept["platform"] or "given back" in kept["platform"]
        answer = await ask(who, invoice)
        assert (answer.status, answer.json["status"]) == (202, "needs_review")
        assert (await rig.open_review()).kind == "already_paid"
        await rig.resolve("create")
        await rig.finish()
        answer = await ask(who, invoice)
    assert (answer.status, len(rig.nomod.links)) == (200, 2)
    assert not rig.flexprice.payments


async def test_a_payment_waits_for_the_question_about_its_link_however_much_else_is_asked(rig: Rig) -> None:
    rig.nomod.account_tax = Decimal(5)
    _, invoice = an_invoice(rig)
    async with callers(rig) as who:
        assert (await ask(who, invoice)).json["status"] == "needs_review"
    asked = await rig.open_review()
    assert isinstance(rig.store, SqliteStore)
    await rig.store._db.write(lambda db: db.execute(MUCH_ELSE, (asked.review_id,)))
    [record] = rig.nomod.links
    await rig.send(charge_event(rig, rig.nomod.pay_link(record)), source=NOMOD_EVENTS)
    await rig.live(60)
    [job] = await rig.jobs(kind="record_payment")
    assert job.status is JobStatus.PENDING, job.reason


async def test_a_payment_is_for_whom_the_link_belongs_to_by_now(rig: Rig) -> None:
    """It was switched off with the invoice that was voided; a person has opened it again, for another one."""
    _, first = an_invoice(rig)
    async with callers(rig) as who:
        link = (await ask(who, first)).json["provider_entity_id"]
        rig.flexprice.void_invoice(first)
        await rig.send({"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[first]})
        await rig.finish()
        assert rig.nomod.links[link]["status"] == "disabled"
        rig.nomod.links[link]["status"] = "enabled"
        customer = rig.flexprice.invoices[first]["customer_id"]
        second = str(rig.flexprice.add_invoice(customer)["id"])
        path = f"{API}/mappings/{SOURCE}/payment_link/{second}/{NOMOD}"
        assert (await who.operator.ask("PUT", path, {"provider_entity_id": link})).status == 200
    assert (await tell(rig, rig.nomod.pay_link(link))).status is DeliveryStatus.PROCESSED
    assert [each["destination_id"] for each in rig.flexprice.payments.values()] == [second]
