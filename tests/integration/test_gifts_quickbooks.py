"""From a gift through Tithely to its giver and, where a setting says so, a sales receipt in QuickBooks: once, exact."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway.sandbox.sender import Mode, transaction_event
from storage.records import DeliveryStatus, JobStatus
from tests.harness import QUICKBOOKS, TITHELY, Rig

JANE: dict[str, Any] = {"donor_id": "user_7", "first_name": "Jane", "last_name": "Doe", "email": "jane@example.org"}
CREATE = "POST /v3/company/*/salesreceipt"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_tithely()
    await rig.add_quickbooks(invoices=True, gifts="sales_receipt")


def receipts(rig: Rig) -> list[dict[str, Any]]:
    return list(rig.intuit.sales_receipts.values())


async def test_each_gift_becomes_one_receipt_of_its_giver(rig: Rig) -> None:
    rig.intuit.company.seed("Account", Name="Checking", AccountType="Bank")
    rig.intuit.seed_item("Offerings")
    await rig.add_quickbooks(invoices=True, gifts="sales_receipt", gift_item="Offerings", deposit_account="checking")
    first = await rig.give(transaction_id="ch_0001", **JANE)
    again = await rig.give(transaction_id="ch_0001", **JANE)
    await rig.give(transaction_id="ch_0002", amount="1999", **JANE)
    await rig.finish()
    await rig.check(all_linked=True)
    ends = {(await rig.delivery(each)).status for each in (first, again)}
    assert ends <= {DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED}
    booked = {each["DocNumber"]: each["TotalAmt"] for each in receipts(rig)}
    assert booked == {"ch_0001": Decimal("25.00"), "ch_0002": Decimal("19.99")}
    assert len(receipts(rig)) == 2
    for each in receipts(rig):
        assert each["CustomerRef"]["value"] == await rig.linked("user_7", QUICKBOOKS)
        assert each["TxnDate"] == rig.clock.now().date().isoformat()
        assert rig.intuit.company.shelves["Account"].records[each["DepositToAccountRef"]["value"]]["Name"] == "Checking"
        assert each["Line"][0]["SalesItemLineDetail"]["ItemRef"]["name"] == "Offerings"
    assert not rig.intuit.invoices
    mappings = await rig.mappings(entity_type="invoice")
    assert {mapping.entity_id for mapping in mappings} == {"ch_0001", "ch_0002"}
    assert all(str(mapping.provider_entity_id).startswith("receipt:") for mapping in mappings)


@pytest.mark.parametrize("settings", [{"invoices": True}, {"invoices": False, "gifts": "sales_receipt"}])
async def test_nothing_is_booked_unless_a_setting_says_so(rig: Rig, settings: dict[str, Any]) -> None:
    await rig.add_quickbooks(**settings)
    await rig.give(**JANE)
    await rig.finish()
    await rig.check(all_linked=True)
    assert not receipts(rig)
    assert {job.kind for job in await rig.jobs()} == {"ensure_customer"}


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
@pytest.mark.parametrize("mode", ["replay", "off"])
async def test_a_lost_answer_makes_no_second_receipt(rig: Rig, kind: FaultKind, mode: str) -> None:
    rig.intuit.quirks.requestid_mode = mode
    rig.intuit.faults.add(Fault(kind=kind, route=CREATE))
    await rig.give(**JANE)
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(receipts(rig)) == 1


@pytest.mark.parametrize(
    "gift, settings, code",
    [
        ({"amount": "12.5"}, {}, "invoice_unreadable"), ({"amount": -5}, {}, "invoice_unreadable"),
        ({"currency": None}, {}, "invoice_unreadable"), ({"currency": "EUR"}, {}, "currency_refused"),
        ({}, {"deposit_account": "Services"}, "item_missing"), ({}, {"gift_item": "Tithes"}, "item_missing"),
    ],
)  # fmt: skip
async def test_a_gift_that_cannot_be_booked_fails_and_its_giver_is_linked(
    rig: Rig, gift: dict[str, Any], settings: dict[str, Any], code: str
) -> None:
    await rig.add_quickbooks(invoices=True, gifts="sales_receipt", **settings)
    await rig.give(**{**JANE, **gift})
    await rig.finish()
    [job] = await rig.jobs(status=JobStatus.FAILED)
    assert isinstance(job.error, dict)
    assert (job.kind, job.error["code"]) == ("ensure_invoice", code)
    assert await rig.linked("user_7", QUICKBOOKS)
    assert not receipts(rig)


@pytest.mark.parametrize("kind", ["transaction.refunded", "transaction.failed"])
async def test_refunds_and_failed_charges_are_not_booked(rig: Rig, kind: str) -> None:
    gift = {"transaction_id": "ch_1", "amount": "2500", "currency": "USD", **JANE}
    event = transaction_event(gift, timestamp=rig.clock.now().isoformat()) | {"type": kind}
    delivery = await rig.send(event, source=TITHELY, mode=Mode.WEBHOOK)
    await rig.finish()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.IGNORED
    assert not receipts(rig)


async def test_a_gift_over_nothing_is_left_out(rig: Rig) -> None:
    delivery = await rig.give(amount="0", **JANE)
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    assert not receipts(rig)


async def test_fifty_gifts_of_fifty_givers_come_to_the_sum_that_was_given(rig: Rig) -> None:
    for number in range(50):
        await rig.give(transaction_id=f"ch_{number:04}", amount=str(101 + number), email=f"giver{number}@example.org")
    await rig.finish()
    await rig.check(all_linked=True)
    assert sum(each["TotalAmt"] for each in receipts(rig)) == Decimal(sum(101 + n for n in range(50))) / 100
