"""Odd invoices: paid before they are made, changed after, in money that is none, gone to another customer, long."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from connectors.testing.nomod_api import gmt
from connectors.testing.simulator import Fault, FaultKind
from gateway.sandbox.flexprice_bills import Line
from storage.records import DeliveryStatus, JobStatus, ReviewStatus
from tests.harness import NOMOD, QUICKBOOKS, Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
BOTH = pytest.mark.parametrize("connection", [NOMOD, QUICKBOOKS])


async def connect(rig: Rig, connection: str, **config: Any) -> None:
    await rig.add_flexprice()
    await (rig.add_nomod if connection == NOMOD else rig.add_quickbooks)(invoices=True, **config)


async def bill(rig: Rig, **invoice: Any) -> str:
    """Finalize an invoice in dollars for Ada, and return the id of the delivery."""
    return await rig.finalize(rig.flexprice.add_customer(**ADA)["id"], **{"currency": "usd", **invoice})


def totals(rig: Rig, connection: str) -> list[Decimal]:
    if connection == NOMOD:
        return [each["bill"].amount for each in rig.nomod.invoices.values()]
    return [each["TotalAmt"] for each in rig.intuit.invoices.values()]


@BOTH
async def test_an_invoice_that_is_paid_already_is_booked_and_never_asked_for(rig: Rig, connection: str) -> None:
    """Found late, or paid offline: Nomod would ask for the money again; QuickBooks keeps the books."""
    await connect(rig, connection)
    delivery = await bill(rig, payment_status="SUCCEEDED")
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED
    assert totals(rig, connection) == ([] if connection == NOMOD else [Decimal(1500)])


async def test_an_invoice_that_is_paid_in_part_is_put_before_a_person_with_both_sums(rig: Rig) -> None:
    await connect(rig, NOMOD)
    await bill(rig, amount_paid="400", amount_remaining="1100")
    await rig.finish()
    review = await rig.open_review()
    assert review.kind == "amount_differs"
    assert "of 1500.00 USD 400.00 USD were paid" in review.reason
    assert totals(rig, NOMOD) == []
    await rig.resolve("create")
    await rig.finish()
    await rig.check(all_linked=True)
    assert totals(rig, NOMOD) == [Decimal(1500)]


@BOTH
@pytest.mark.parametrize("decision", ["adopt", "create", "ignore"])
async def test_an_invoice_that_is_finalized_again_with_other_lines_is_put_before_a_person(
    rig: Rig, connection: str, decision: str
) -> None:
    await connect(rig, connection)
    await bill(rig)
    await rig.finish()
    [ours] = rig.flexprice.invoices.values()
    ours["line_items"][0]["amount"] = ours["total"] = ours["amount_due"] = ours["amount_remaining"] = "1700"
    await rig.announce(ours["id"])
    await rig.finish()
    review = await rig.open_review()
    assert (review.kind, "1500.00 USD" in review.reason, "1700.00 USD" in review.reason) == ("changed", True, True)
    [mapping] = await rig.mappings(entity_type="invoice")
    body = {"decision": decision, "provider_entity_id": mapping.provider_entity_id}
    if decision != "adopt":
        del body["provider_entity_id"]
    assert (await rig.api("POST", f"/api/v1/reviews/{review.review_id}/resolve", body))[0] == 200
    await rig.finish()
    assert totals(rig, connection) == [Decimal(1500)]
    assert [each.provider_entity_id for each in await rig.mappings(entity_type="invoice")] == [
        mapping.provider_entity_id
    ]
    assert [each.status for each in (await rig.store.list_reviews()).items] == [ReviewStatus.RESOLVED], "asked once"


async def test_an_invoice_that_is_announced_again_and_again_with_one_other_sum_is_asked_about_once(rig: Rig) -> None:
    await connect(rig, NOMOD)
    await bill(rig)
    await rig.finish()
    [ours] = rig.flexprice.invoices.values()
    for total, asked in (("1700", 1), ("1700", 1), ("1800", 2)):
        ours["line_items"][0]["amount"] = ours["total"] = ours["amount_due"] = ours["amount_remaining"] = total
        await rig.announce(ours["id"])
        await rig.finish()
        assert len((await rig.store.list_reviews()).items) == asked
    assert len(await rig.jobs(kind="ensure_invoice", status=JobStatus.NEEDS_REVIEW)) == 2


async def test_one_by_hand_is_not_adopted_beside_the_one_that_was_made_and_that_no_list_shows_yet(rig: Rig) -> None:
    """A person has left it where it is, and made the right one by hand: that one comes before a person all the same."""
    await connect(rig, NOMOD)
    rig.nomod.account_tax, rig.nomod.search_lag = Decimal(5), 400.0
    await bill(rig, invoice_number="INV-7")
    await rig.live(5)
    [made] = rig.nomod.invoices
    await rig.resolve("ignore")
    rig.nomod.account_tax = Decimal(0)
    payer = rig.nomod.invoices[made]["customer_id"]
    by_hand = rig.nomod.seed_invoice(payer, number="INV-7", amount=Decimal(1500), currency="USD")
    rig.nomod.invoices[by_hand]["created"] = gmt(rig.nomod.now() - dt.timedelta(hours=1))
    await rig.announce(next(iter(rig.flexprice.invoices)))
    await rig.live(5)
    assert await rig.mappings(entity_type="invoice") == []
    review = await rig.open_review()
    assert review.kind == "ambiguous"
    assert {each["provider_entity_id"] for each in review.candidates} == {made, by_hand}


@BOTH
async def test_money_that_is_none_is_not_taken_for_money_that_begins_like_it(rig: Rig, connection: str) -> None:
    await connect(rig, connection)
    await bill(rig, currency="usdt")
    await rig.finish()
    [job] = await rig.jobs(status=JobStatus.FAILED)
    assert job.error["code"] == "amount_inexact"
    assert totals(rig, connection) == []


async def test_an_invoice_in_doubt_that_went_over_to_another_customer_is_not_made_again(rig: Rig) -> None:
    """Two customers were merged in QuickBooks: the invoice carries our mark, and is the survivor's."""
    await connect(rig, QUICKBOOKS, replay_seconds=0)
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v3/company/*/invoice"))
    await bill(rig)
    await rig.until(lambda: rig.intuit.invoices)
    [made] = rig.intuit.invoices
    survivor = rig.intuit.seed_customer(DisplayName="The survivor")
    rig.intuit.company.change("Invoice", made, CustomerRef={"value": survivor["Id"]})
    await rig.finish()
    review = await rig.open_review()
    assert (review.kind, [each["provider_entity_id"] for each in review.candidates]) == ("conflict", [made])
    await rig.resolve("adopt", made)
    await rig.finish()
    assert list(rig.intuit.invoices) == [made]


async def test_many_lines_with_odd_names_are_all_booked_to_the_cent(rig: Rig) -> None:
    await connect(rig, QUICKBOOKS, create_items=True)
    rig.intuit.seed_item("Plans", Type="Category")
    rig.intuit.deactivate(rig.intuit.seed_item("Old")["Id"], entity="Item")
    names = ("A & B", 'He said "so"', "O'Connor\\", "🌍 Zażółć", "x" * 500, "Plans", "Old", "a:b\tc", "名前", "<b>")
    lines = [Line(names[n % len(names)], f"{n}.{n % 100:02}", f"{n % 3}") for n in range(200)]
    await bill(rig, lines=lines, discount="0.01", credits_applied="0.02", invoice_number="N" * 200)
    await rig.finish()
    await rig.check(all_linked=True)
    assert totals(rig, QUICKBOOKS) == [sum(Decimal(line.amount) for line in lines) - Decimal("0.03")]
    [made] = rig.intuit.invoices.values()
    assert len([line for line in made["Line"] if line["DetailType"] == "SalesItemLineDetail"]) == 202
