"""What Nomod tells of money: the charge read again, compared, told to the platform once, and kept with our record."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.testing.faults import Fault, FaultKind
from storage.records import DeliveryStatus
from tests.configuring import NOMOD_EVENTS
from tests.harness import NOMOD, Rig
from tests.integration.api_setup import API, callers
from tests.integration.payment_setup import charge_event, tell

CARD = "4242424242424242"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod(invoices=True)
    await rig.add_nomod_events()


async def an_invoice(rig: Rig) -> tuple[str, str]:
    """Have an invoice at Nomod; return its id at the platform, and there."""
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = rig.flexprice.add_invoice(ada["id"])
    await rig.announce(invoice["id"])
    await rig.finish()
    [record] = rig.nomod.invoices
    return str(invoice["id"]), record


async def a_link(rig: Rig) -> tuple[str, str]:
    """Have a payment link; return the invoice's id at the platform, and the link's."""
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = str(rig.flexprice.add_invoice(ada["id"])["id"])
    async with callers(rig) as who:
        answer = await who.operator.ask(
            "POST", f"{API}/payment-links", {"invoice_id": invoice, "connection": NOMOD, "wait_seconds": 30}
        )
    return invoice, str(answer.json["provider_entity_id"])


async def test_a_paid_invoice_is_told_to_the_platform_once_and_kept_with_our_record(rig: Rig) -> None:
    invoice, record = await an_invoice(rig)
    charge = rig.nomod.pay_invoice(record)
    delivery = await tell(rig, charge)
    assert delivery.status is DeliveryStatus.PROCESSED, delivery.reason
    [payment] = rig.flexprice.payments.values()
    assert (payment["destination_id"], payment["amount"], payment["payment_status"]) == (invoice, "1500", "SUCCEEDED")
    assert payment["metadata"]["nomod_payment_id"] == charge
    assert rig.flexprice.invoices[invoice]["payment_status"] == "SUCCEEDED"
    [mapping] = await rig.mappings(entity_type="invoice")
    [kept] = mapping.notes["payments"]
    assert (kept["id"], kept["currency"], kept["platform"]) == (charge, "AED", "told")
    assert Decimal(kept["amount"]) == Decimal(1500)
    again = await tell(rig, charge)
    assert (again.status, len(rig.flexprice.payments)) == (DeliveryStatus.IGNORED, 1)
    await rig.check(all_linked=True)


async def test_card_data_is_never_stored(rig: Rig) -> None:
    _, record = await an_invoice(rig)
    charge = rig.nomod.pay_invoice(record)
    delivery = await tell(rig, charge)
    assert json.loads(delivery.body or b"") == {
        "type": "charge.completed", "eventId": f"evt_{charge}", "objectId": charge, "data": {"id": charge},
    }  # fmt: skip
    await rig.stop_nodes()
    database = Path(rig.settings.database_url.removeprefix("sqlite:///"))
    files = list(database.parent.glob(f"{database.name}*"))
    assert files
    assert not [file for file in files if CARD.encode() in file.read_bytes()]
    await rig.start_node()


async def test_a_paid_link_pays_the_invoice_and_is_given_to_nobody_any_more(rig: Rig) -> None:
    invoice, link = await a_link(rig)
    await tell(rig, rig.nomod.pay_link(link))
    assert rig.flexprice.invoices[invoice]["payment_status"] == "SUCCEEDED"
    assert len(rig.flexprice.payments) == 1
    async with callers(rig) as who:
        answer = await who.operator.ask(
            "POST", f"{API}/payment-links", {"invoice_id": invoice, "connection": NOMOD, "wait_seconds": 30}
        )
    assert (answer.status, answer.code) == (409, "invoice_not_payable")


@pytest.mark.parametrize("route", ["POST /v1/payments", "PUT /v1/payments/*"])
@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.FAIL_BEFORE])
async def test_whatever_answer_is_lost_the_platform_counts_it_once(rig: Rig, route: str, kind: FaultKind) -> None:
    invoice, record = await an_invoice(rig)
    rig.flexprice.faults.add(Fault(kind=kind, route=route))
    await tell(rig, rig.nomod.pay_invoice(record))
    assert len(rig.flexprice.payments) == 1
    assert Decimal(rig.flexprice.invoices[invoice]["amount_paid"]) == 1500


async def test_the_same_charge_in_ten_events_at_once_counts_once(rig: Rig) -> None:
    invoice, record = await an_invoice(rig)
    charge = rig.nomod.pay_invoice(record)
    kinds = [f"charge.{word}" for word in ("created", "authorised", "completed", "completed", "completed")] * 2
    await asyncio.gather(*[rig.send(charge_event(rig, charge, kind), source=NOMOD_EVENTS) for kind in kinds])
    await rig.finish()
    assert len(rig.flexprice.payments) == 1
    assert Decimal(rig.flexprice.invoices[invoice]["amount_paid"]) == 1500


@pytest.mark.parametrize("changed", [{"total": "1400.000"}, {"currency": "USD"}, {"total": "1600.000"}])
async def test_a_link_that_was_paid_with_another_sum_is_put_before_a_person(rig: Rig, changed: dict[str, str]) -> None:
    invoice, link = await a_link(rig)
    charge = rig.nomod.pay_link(link)
    rig.nomod.charges[charge] |= changed
    delivery = await tell(rig, charge)
    assert delivery.status is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert (review.kind, review.entity_id) == ("payment_differs", charge)
    assert "1500.00 AED" in review.reason
    assert not rig.flexprice.payments
    assert rig.flexprice.invoices[invoice]["payment_status"] != "SUCCEEDED"


async def test_a_payment_that_is_told_of_again_and_again_is_asked_about_once(rig: Rig) -> None:
    _, record = await an_invoice(rig)
    charge = rig.nomod.pay_invoice(record)
    rig.nomod.charges[charge]["total"] = "1600.000"
    told = [await tell(rig, charge) for _ in range(3)]
    assert [each.status for each in told] == [DeliveryStatus.NEEDS_REVIEW, *[DeliveryStatus.IGNORED] * 2]
    review = await rig.open_review()
    rig.nomod.charges[charge]["total"] = "1700.000"
    assert (await tell(rig, charge)).status is DeliveryStatus.NEEDS_REVIEW
    asked = (await rig.store.list_reviews()).items
    assert [each.entity_id for each in asked] == [review.entity_id] * 2


@pytest.mark.parametrize("status", ["authorised", "failed", "refunded", "disputed", "something new"])
async def test_only_settled_money_counts(rig: Rig, status: str) -> None:
    _, record = await an_invoice(rig)
    charge = rig.nomod.pay_invoice(record)
    rig.nomod.charges[charge]["status"] = status
    assert (await tell(rig, charge)).status is DeliveryStatus.IGNORED
    assert not rig.flexprice.payments


async def test_money_for_something_else_and_other_events_are_nobodys_business(rig: Rig) -> None:
    delivery = await rig.send({"type": "charge.completed", "data": {"id": "ch_unknown"}}, source=NOMOD_EVENTS)
    odd = [
        await rig.send(body, source=NOMOD_EVENTS) for body in ({"type": "link.created"}, b"not json", b"[]", {"x": 1})
    ]
    await rig.finish()
    assert "no such payment" in str((await rig.delivery(delivery)).reason or (await rig.jobs())[0].reason)
    ended = [(await rig.delivery(each)).status for each in odd]
    assert ended == [DeliveryStatus.IGNORED, *[DeliveryStatus.FAILED] * 3]


async def test_without_report_the_platform_is_not_told(rig: Rig) -> None:
    await rig.add_nomod_events(report=False)
    _, record = await an_invoice(rig)
    await tell(rig, rig.nomod.pay_invoice(record))
    assert not rig.flexprice.payments
    [mapping] = await rig.mappings(entity_type="invoice")
    assert mapping.notes["payments"][0]["platform"].startswith("not told")
