"""What QuickBooks tells of payments: in both shapes, signed as Intuit signs; parts of an invoice, each counted once."""

import json
from decimal import Decimal

import aiohttp
import pytest

from connectors.testing.faults import Fault, FaultKind
from gateway.sources.signing import sign_as_intuit
from storage.records import DeliveryStatus
from tests.harness import QUICKBOOKS, Rig
from tests.integration.api_setup import API, callers
from tests.integration.payment_setup import (
    ADA,
    QUICKBOOKS_EVENTS,
    TOKEN,
    add_quickbooks_events,
    payments_event,
    post_as_intuit,
    send_as_intuit,
)


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    rig.intuit.quirks.home_currency = "USD"
    await rig.add_flexprice()
    await rig.add_quickbooks(invoices=True)
    await add_quickbooks_events(rig)


async def billed(rig: Rig) -> tuple[str, str]:
    """Have an invoice over 1500 dollars in QuickBooks; return its id at the platform, and there."""
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"], currency="usd")
    await rig.announce(invoice["id"])
    await rig.finish()
    [record] = rig.intuit.invoices
    return str(invoice["id"]), record


def old(rig: Rig, *payments: str) -> bytes:
    """Return the shape of before."""
    entities = [{"name": "Payment", "id": each, "operation": "Create", "lastUpdated": "x"} for each in payments]
    entities.append({"name": "BillPayment", "id": "77", "operation": "Create", "lastUpdated": "x"})
    told = [{"realmId": rig.intuit.realm_id, "dataChangeEvent": {"entities": entities}}]
    return json.dumps({"eventNotifications": told}).encode()


async def tell(rig: Rig, body: bytes) -> DeliveryStatus:
    """Post, and return how the delivery has ended."""
    delivery = await send_as_intuit(rig, body)
    await rig.finish()
    return (await rig.delivery(delivery)).status


def paid(rig: Rig, invoice: str) -> Decimal:
    """Return how much the platform has counted to its invoice."""
    return Decimal(rig.flexprice.invoices[invoice]["amount_paid"])


async def test_parts_of_an_invoice_are_counted_one_by_one_in_both_shapes(rig: Rig) -> None:
    invoice, record = await billed(rig)
    first = rig.intuit.pay(record, Decimal(500))["Id"]
    assert await tell(rig, payments_event(rig, first)) is DeliveryStatus.PROCESSED
    assert paid(rig, invoice) == Decimal(500)
    second = rig.intuit.pay(record)["Id"]
    assert await tell(rig, old(rig, first, second)) is DeliveryStatus.PROCESSED
    assert (paid(rig, invoice), len(rig.flexprice.payments)) == (Decimal(1500), 2)
    assert rig.flexprice.invoices[invoice]["payment_status"] == "SUCCEEDED"
    [mapping] = await rig.mappings(entity_type="invoice")
    assert [each["id"] for each in mapping.notes["payments"]] == [first, second]
    assert await tell(rig, payments_event(rig, first, second)) is DeliveryStatus.IGNORED
    await rig.check(all_linked=True)


async def paid_together(rig: Rig) -> tuple[str, str, str]:
    """Have two invoices that one payment has paid; return their ids at the platform, and the payment's."""
    invoice, record = await billed(rig)
    customer = rig.flexprice.invoices[invoice]["customer_id"]
    other = str(rig.flexprice.add_invoice(customer, currency="usd")["id"])
    await rig.announce(other)
    await rig.finish()
    [second] = set(rig.intuit.invoices) - {record}
    payment = rig.intuit.pay(record)["Id"]
    line = {"Amount": Decimal(1500), "LinkedTxn": [{"TxnId": second, "TxnType": "Invoice"}]}
    rig.intuit.payments[payment]["Line"].append(line)
    return invoice, other, payment


async def test_a_payment_that_differs_for_two_invoices_is_asked_about_for_each_and_once(rig: Rig) -> None:
    invoice, other, payment = await paid_together(rig)
    for each in (invoice, other):
        rig.flexprice.invoices[each].update(amount_paid="500", amount_remaining="1000")
    assert await tell(rig, payments_event(rig, payment)) is DeliveryStatus.NEEDS_REVIEW
    assert await tell(rig, old(rig, payment)) is DeliveryStatus.IGNORED
    asked = (await rig.store.list_reviews()).items
    assert len({each.reason for each in asked}) == len(asked) == 2
    assert all(any(record in each.reason for each in asked) for record in rig.intuit.invoices)


async def test_of_a_payment_for_two_invoices_one_that_differs_does_not_keep_the_other_from_being_counted(
    rig: Rig,
) -> None:
    invoice, other, payment = await paid_together(rig)
    rig.flexprice.invoices[invoice].update(amount_paid="500", amount_remaining="1000")
    assert await tell(rig, payments_event(rig, payment)) is DeliveryStatus.NEEDS_REVIEW
    assert (paid(rig, invoice), paid(rig, other)) == (Decimal(500), Decimal(1500))
    assert (await rig.open_review()).kind == "payment_differs"


async def test_what_a_payment_was_for_besides_is_not_waited_for(rig: Rig) -> None:
    """The first is a bookkeeper's own invoice, or one whose create is in doubt: nobody can tell for days."""
    invoice, record = await billed(rig)
    [ours] = rig.intuit.invoices.values()
    own = rig.intuit.company.store("Invoice", {**ours, "DocNumber": "OWN-1", "PrivateNote": ""})["Id"]
    create = "POST /v3/company/*/invoice"
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_BEFORE, route=create, times=1000))
    await rig.announce(rig.flexprice.add_invoice(rig.flexprice.invoices[invoice]["customer_id"], currency="usd")["id"])
    await rig.until(lambda: len(rig.intuit.calls_of(create)) > 1)
    payment = rig.intuit.pay(record)["Id"]
    line = {"Amount": Decimal(10), "LinkedTxn": [{"TxnId": own, "TxnType": "Invoice"}]}
    rig.intuit.payments[payment]["Line"].insert(0, line)
    await send_as_intuit(rig, payments_event(rig, payment))
    await rig.live(120)
    assert paid(rig, invoice) == Decimal(1500)


@pytest.mark.parametrize("route", ["POST /v1/payments", "PUT /v1/payments/*"])
@pytest.mark.parametrize("amount", [Decimal(1000), None])
async def test_a_lost_answer_of_the_platform_is_not_taken_for_another_payment(
    rig: Rig, route: str, amount: Decimal | None
) -> None:
    invoice, record = await billed(rig)
    rig.flexprice.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=route))
    payment = rig.intuit.pay(record, amount)["Id"]
    assert await tell(rig, payments_event(rig, payment)) is DeliveryStatus.PROCESSED
    assert (paid(rig, invoice), len(rig.flexprice.payments)) == (amount or Decimal(1500), 1)
    [mapping] = await rig.mappings(entity_type="invoice")
    assert [each["platform"] for each in mapping.notes["payments"]] == ["told"]


async def test_payments_of_one_id_in_two_companies_are_two(rig: Rig) -> None:
    invoice, record = await billed(rig)
    payment = rig.intuit.pay(record)["Id"]
    both = json.loads(payments_event(rig, payment)) + json.loads(payments_event(rig, payment, realm="999"))
    assert await tell(rig, json.dumps(both).encode()) is DeliveryStatus.PROCESSED
    assert paid(rig, invoice) == Decimal(1500)


async def test_a_delivery_that_tells_of_too_many_payments_fails_to_be_seen(rig: Rig) -> None:
    assert await tell(rig, payments_event(rig, *(str(number) for number in range(1, 1002)))) is DeliveryStatus.FAILED
    assert not await rig.jobs()


async def test_a_payment_that_was_changed_after_it_was_counted_is_put_before_a_person(rig: Rig) -> None:
    invoice, record = await billed(rig)
    payment = rig.intuit.pay(record, Decimal(500))["Id"]
    assert await tell(rig, payments_event(rig, payment)) is DeliveryStatus.PROCESSED
    changed = rig.intuit.payments[payment]
    changed["TotalAmt"] = changed["Line"][0]["Amount"] = Decimal(700)
    assert await tell(rig, old(rig, payment)) is DeliveryStatus.NEEDS_REVIEW
    review = await rig.open_review()
    assert review.kind == "payment_differs"
    assert "700.00 USD" in review.reason
    assert "500.00 USD" in review.reason
    assert paid(rig, invoice) == Decimal(500)


async def test_another_companys_payments_other_entities_and_nonsense_change_nothing(rig: Rig) -> None:
    invoice, record = await billed(rig)
    payment = rig.intuit.pay(record)["Id"]
    ended = [
        await tell(rig, body)
        for body in (
            payments_event(rig, payment, realm="999"), payments_event(rig, "424242"),
            b"[]", b'{"eventNotifications": []}', b'{"x": 1}', b"no",
        )
    ]  # fmt: skip
    assert ended == [DeliveryStatus.IGNORED] * 4 + [DeliveryStatus.FAILED] * 2
    assert paid(rig, invoice) == 0


async def test_a_wrong_verifier_token_and_a_changed_body_are_refused(rig: Rig) -> None:
    body = payments_event(rig, "801")
    assert (await post_as_intuit(rig, body, token="another-verifier-token"))[0] == 401
    async with aiohttp.ClientSession() as session:
        headers = sign_as_intuit(TOKEN, body)
        url = f"{rig.gateway.url}/webhooks/{QUICKBOOKS_EVENTS}"
        async with session.post(url, data=body + b" ", headers=headers) as answer:
            assert answer.status == 401
        async with session.post(url, data=body) as answer:
            assert answer.status == 401
    again, repeated = await post_as_intuit(rig, body), await post_as_intuit(rig, body)
    assert (again[0], repeated[0], repeated[1]["duplicate"]) == (202, 200, True)


@pytest.mark.parametrize("lost", [False, True])
async def test_the_invoices_own_page_is_its_payment_link_where_payments_are_on(rig: Rig, *, lost: bool) -> None:
    if lost:
        rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v3/company/*/invoice"))
    rig.intuit.quirks.payments_enabled = True
    await rig.add_quickbooks(invoices=True, payment_link=True)
    invoice, record = await billed(rig)
    async with callers(rig) as who:
        told = {"invoice_id": invoice, "connection": QUICKBOOKS, "wait_seconds": 30}
        answer = await who.operator.ask("POST", f"{API}/payment-links", told)
    assert (answer.status, answer.json["amount"], answer.json["provider_entity_id"]) == (200, "1500.00", record)
    assert answer.json["url"] == f"https://pay.example/portal/{rig.intuit.realm_id}/{record}"
