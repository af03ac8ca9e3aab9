"""Currencies, discounts, taxes and sums of invoices in QuickBooks: to the cent, or before a person."""

from typing import Any

import pytest

from connectors.testing.quickbooks_entities import INVOICE
from gateway.sandbox.flexprice_bills import Line
from storage.records import DeliveryStatus, MappingStatus
from tests.harness import Rig
from tests.integration.invoices_in_quickbooks import CREATE, PLAN, D, bill, booked, configure, ended, failure, made


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await configure(rig)


async def test_with_several_currencies_the_customers_is_sent_and_no_rate(rig: Rig) -> None:
    rig.intuit.quirks.multicurrency = True
    await bill(rig, currency="eur")
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["CurrencyRef"]["value"] == "EUR"
    sent = [call.body for call in rig.intuit.calls_of(CREATE)]
    assert [b"ExchangeRate" in body for body in sent] == [False]


async def test_a_company_of_one_currency_does_not_take_anothers_amounts_for_its_own(rig: Rig) -> None:
    await bill(rig, currency="eur")
    await rig.finish()
    error = await failure(rig)
    assert error["code"] == "currency_refused"
    assert "EUR" in str(error["detail"])
    assert rig.intuit.calls_of(CREATE) == []


async def test_a_customer_in_another_currency_is_told_apart_from_other_refusals(rig: Rig) -> None:
    rig.intuit.quirks.multicurrency = True
    await bill(rig)
    await rig.finish()
    await bill(rig, currency="eur")
    await rig.finish()
    error = await failure(rig)
    assert (error["code"], error["provider_code"]) == ("currency_refused", "6000")
    assert "in EUR" in str(error["detail"])
    assert "in USD" in str(error["detail"])
    assert len(rig.intuit.invoices) == 1


TAXES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a sum in the United States": ({}, {}, {"TxnTaxDetail": {"TotalTax": D(75)}}),
    "reckoned by QuickBooks itself": ({"sales_tax_rate": D("0.05")}, {}, {"TxnTaxDetail": {"TotalTax": D(75)}}),
    "a line of its own": ({}, {"tax_item": "Sales tax"}, {"TxnTaxDetail": {"TotalTax": D(0)}}),
    "VAT by the code's name": (
        {"country": "GB", "home_currency": "GBP", "tax_codes": {"10": D("0.05"), "11": D(0)}},
        {"tax_code": "tax 10", "untaxed_code": "11"},
        {"GlobalTaxCalculation": "TaxExcluded", "TxnTaxDetail": {"TotalTax": D(75)}},
    ),
}


@pytest.mark.parametrize("name", TAXES)
async def test_the_platforms_tax_is_booked_to_the_cent(rig: Rig, name: str) -> None:
    quirks, settings, expected = TAXES[name]
    for quirk, value in quirks.items():
        setattr(rig.intuit.quirks, quirk, value)
    rig.intuit.seed_item("Sales tax")
    await rig.add_quickbooks(invoices=True, **settings)
    await bill(rig, currency=rig.intuit.quirks.home_currency.lower(), tax="75", lines=PLAN)
    await rig.finish()
    await rig.check(all_linked=True)
    invoice = made(rig)
    assert invoice["TotalAmt"] == D(1575)
    assert {key: invoice.get(key) for key in expected} == expected


DISCOUNTS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "the company's own discount line": ({}, {}, True),
    "tax reckoned by QuickBooks, after the discount": ({"sales_tax_rate": D("0.05")}, {}, True),
    "an item that the settings name": ({}, {"discount_item": "Discounts"}, False),
    "a company without discount lines": ({"allow_discount": False}, {}, False),
    "VAT, where an item's line says how it is taxed": (
        {"country": "GB", "home_currency": "GBP", "tax_codes": {"10": D("0.05"), "11": D(0)}},
        {"tax_code": "10", "untaxed_code": "11"},
        False,
    ),
}


@pytest.mark.parametrize("name", DISCOUNTS)
async def test_a_discount_goes_as_a_line_of_its_own_where_the_company_has_those(rig: Rig, name: str) -> None:
    quirks, settings, as_line = DISCOUNTS[name]
    for quirk, value in {"allow_discount": True, **quirks}.items():
        setattr(rig.intuit.quirks, quirk, value)
    rig.intuit.seed_item("Discounts")
    await rig.add_quickbooks(invoices=True, **settings)
    currency = rig.intuit.quirks.home_currency.lower()
    await bill(rig, currency=currency, lines=PLAN, discount="100", credits_applied="200", tax="60")
    await rig.finish()
    await rig.check(all_linked=True)
    invoice = made(rig)
    assert invoice["TotalAmt"] == D(1260)
    off = [line["Amount"] for line in invoice["Line"] if line["DetailType"] == "DiscountLineDetail"]
    assert off == ([D(100)] if as_line else [])
    below_zero = [amount for _, amount, _ in booked(invoice) if amount < 0]
    assert below_zero == ([D(-200)] if as_line else [D(-100), D(-200)])
    assert invoice["ApplyTaxAfterDiscount"] is as_line


async def test_a_discount_that_is_more_than_the_other_lines_is_no_discount_line(rig: Rig) -> None:
    """Tax is left to pay: QuickBooks refuses such a discount, and takes it as an item's line."""
    rig.intuit.quirks.allow_discount = True
    rig.intuit.seed_item("Sales tax")
    await rig.add_quickbooks(invoices=True, tax_item="Sales tax")
    await bill(rig, lines=PLAN, discount="1510", tax="75")
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["TotalAmt"] == D(65)


async def test_discount_lines_that_were_switched_off_are_noticed_and_the_item_is_taken(rig: Rig) -> None:
    rig.intuit.quirks.allow_discount = True
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"], currency="usd", lines=PLAN, discount="1")
    await rig.finish()
    rig.intuit.quirks.allow_discount = False
    await rig.finalize(ada["id"], currency="usd", lines=PLAN, discount="2")
    await rig.finish()
    await rig.check(all_linked=True)
    assert [each["TotalAmt"] for each in rig.intuit.invoices.values()] == [D(1499), D(1498)]


async def test_a_company_with_vat_needs_its_codes(rig: Rig) -> None:
    rig.intuit.quirks.country, rig.intuit.quirks.home_currency = "GB", "GBP"
    await bill(rig, currency="gbp")
    await rig.finish()
    error = await failure(rig)
    assert (error["code"], "untaxed_code" in str(error["detail"])) == ("tax_code_missing", True)
    assert rig.intuit.calls_of(CREATE) == []


@pytest.mark.parametrize("decision", ["adopt", "create", "ignore"])
async def test_a_total_that_quickbooks_makes_another_is_put_before_a_person(rig: Rig, decision: str) -> None:
    """Automated sales tax reckons ten percent where the platform has five."""
    rig.intuit.quirks.sales_tax_rate = D("0.10")
    delivery = await bill(rig, tax="75")
    await rig.finish()
    review = await rig.open_review()
    assert review.kind == "amount_differs"
    assert "1650.00 USD" in review.reason
    assert "1575.00 USD" in review.reason
    first = made(rig)["Id"]
    rig.intuit.quirks.sales_tax_rate = None
    if decision == "create":  # void the first before, as the question says
        rig.intuit.company.write(INVOICE, {"Id": first, "SyncToken": made(rig)["SyncToken"]}, operation="void")
    await rig.resolve(decision, first if decision == "adopt" else None)
    await rig.finish()
    await rig.check()
    mappings = await rig.mappings(entity_type="invoice", status=MappingStatus.LINKED)
    records = [mapping.provider_entity_id for mapping in mappings]
    others = [key for key in rig.intuit.invoices if key != first]
    assert records == {"adopt": [first], "create": others, "ignore": []}[decision]
    assert len(others) == (decision == "create")
    assert (await ended(rig, delivery)) is not DeliveryStatus.NEEDS_REVIEW


async def test_fractions_that_quickbooks_would_round_away_are_refused(rig: Rig) -> None:
    rig.intuit.quirks.multicurrency = True
    await bill(rig, currency="kwd", lines=(Line("Plan A", "10.005", "1"),))
    await rig.finish()
    assert (await failure(rig))["code"] == "amount_inexact"
