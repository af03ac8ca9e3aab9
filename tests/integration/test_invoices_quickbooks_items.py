"""With which items of QuickBooks the lines of an invoice are booked: none is ever left out."""

import pytest

from gateway.sandbox.flexprice_bills import Line
from tests.harness import QUICKBOOKS, Rig
from tests.integration.invoices_in_quickbooks import (
    ADA,
    PLAN,
    QUERY,
    bill,
    booked,
    configure,
    failure,
    made,
    retry_failed,
)


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await configure(rig)


async def test_items_are_taken_from_the_settings_by_name_and_else_from_the_fallback(rig: Rig) -> None:
    await rig.add_quickbooks(
        invoices=True, items={"plan a": "Hosting:Plans"}, fallback_item="Misc", discount_item="Discounts"
    )
    hosting = rig.intuit.seed_item("Hosting", Type="Category")
    plans = rig.intuit.seed_item("Plans", SubItem=True, ParentRef={"value": hosting["Id"]})
    for name in ("Plans", "Misc", "Discounts", "Over Age"):
        rig.intuit.seed_item(name)
    rig.intuit.deactivate(rig.intuit.seed_item("Old")["Id"], entity="Item")
    lines = (Line("Plan A", "10", "1"), Line("Over:Age", "20", "1"), Line("Old", "30", "1"), Line("O'X\\", "40", "1"))
    await bill(rig, lines=lines, discount="1")
    await rig.finish()
    await rig.check(all_linked=True)
    assert [item for _, _, item in booked(made(rig))] == ["Plans", "Over Age", "Misc", "Misc", "Discounts"]
    assert made(rig)["Line"][0]["SalesItemLineDetail"]["ItemRef"]["value"] == plans["Id"]
    [mapping] = await rig.mappings(entity_type="invoice")
    assert mapping.details["warnings"] == ["2 of 4 lines booked with the fallback item: none has their name"]


async def test_items_are_created_once_where_the_setting_says_so(rig: Rig) -> None:
    await rig.add_quickbooks(invoices=True, create_items=True)
    ada = rig.flexprice.add_customer(**ADA)
    for _ in range(5):
        await rig.finalize(ada["id"], currency="usd", lines=(Line("Zażółć", "10", "1"), Line("Plan A", "5", "1")))
    await rig.finish()
    await rig.check(all_linked=True)
    assert sorted(item["Name"] for item in rig.intuit.items.values()) == ["Plan A", "Services", "Zażółć"]
    assert {item["IncomeAccountRef"]["name"] for item in rig.intuit.items.values()} == {"Services"}
    assert len(rig.intuit.invoices) == 5


async def test_of_several_income_accounts_the_setting_must_name_one(rig: Rig) -> None:
    rig.intuit.company.seed("Account", Name="Sales", AccountType="Income")
    await rig.add_quickbooks(invoices=True, create_items=True)
    await bill(rig, lines=PLAN)
    await rig.finish()
    error = await failure(rig)
    assert (error["code"], error["detail"][:17]) == ("item_missing", "2 income accounts")
    await rig.add_quickbooks(invoices=True, create_items=True, income_account="sales")
    await retry_failed(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    assert rig.intuit.items["2"]["IncomeAccountRef"]["name"] == "Sales"


async def test_an_item_that_went_away_is_looked_up_anew(rig: Rig) -> None:
    await rig.add_quickbooks(invoices=True, fallback_item="Misc")
    old = rig.intuit.seed_item("Misc")
    await bill(rig)
    await rig.finish()
    rig.intuit.rename(old["Id"], "Misc of old", entity="Item")
    rig.intuit.deactivate(old["Id"], entity="Item")
    new = rig.intuit.seed_item("Misc")
    await bill(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    refs = [
        line["SalesItemLineDetail"]["ItemRef"]["value"]
        for each in rig.intuit.invoices.values()
        for line in each["Line"][:1]
    ]
    assert refs == [old["Id"], new["Id"]]


async def test_a_fallback_item_that_is_not_there_fails_with_what_to_do_and_the_customer_is_linked(rig: Rig) -> None:
    await rig.add_quickbooks(invoices=True, fallback_item="Subscriptions")
    await bill(rig)
    await rig.finish()
    error = await failure(rig)
    assert (error["code"], "fallback_item" in str(error["detail"])) == ("item_missing", True)
    assert await rig.linked(next(iter(rig.flexprice.customers)), QUICKBOOKS)
    rig.intuit.seed_item("Subscriptions")
    await retry_failed(rig)
    await rig.finish()
    await rig.check(all_linked=True)


async def test_an_item_look_up_that_fails_is_never_taken_for_not_found(rig: Rig) -> None:
    """The line's own item is there: had the failure counted as "not found", the fallback would have been booked."""
    rig.intuit.seed_item("Plan A")
    await rig.pause(QUICKBOOKS)
    await bill(rig, lines=PLAN[:1])
    await rig.finish()
    queries = ["Customer", "Customer", "Preferences", "Invoice"]
    for skip in range(len(queries), len(queries) + 4):
        rig.intuit.faults.add(rig.intuit.faults.html_unavailable(route=QUERY, skip=skip))
    await rig.resume(QUICKBOOKS)
    await rig.finish()
    assert any("from Item" in call.query["query"] and not call.worked for call in rig.intuit.calls_of(QUERY))
    await rig.check(all_linked=True)
    assert [item for _, _, item in booked(made(rig))] == ["Plan A"]
