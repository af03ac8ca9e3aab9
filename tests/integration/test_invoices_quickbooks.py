"""From a finalized invoice to the customer and then the invoice in QuickBooks: once, with the same sum, told back."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from connectors.testing.quickbooks_entities import INVOICE
from connectors.testing.simulator import Fault, FaultKind
from gateway.sandbox.flexprice_bills import Line
from storage.records import DeliveryStatus, JobStatus, MappingStatus
from tests.harness import QUICKBOOKS, Rig

D = Decimal
ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
CREATE, QUERY = "POST /v3/company/*/invoice", "GET /v3/company/*/query"
PLAN = (Line("Plan A", "1000.10", "1"), Line("Overage", "499.90", "3"))


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    rig.intuit.quirks.home_currency = "USD"
    await rig.add_flexprice()
    await rig.add_quickbooks(invoices=True)


async def bill(rig: Rig, **invoice: Any) -> str:
    """Finalize an invoice in dollars for Ada, and return the id of the delivery."""
    known = [customer for customer in rig.flexprice.customers.values() if customer["name"] == ADA["name"]]
    ada = known[0] if known else rig.flexprice.add_customer(**ADA)
    return await rig.finalize(ada["id"], **{"currency": "usd", **invoice})


def made(rig: Rig) -> dict[str, Any]:
    """Return the one invoice that QuickBooks has."""
    [invoice] = rig.intuit.invoices.values()
    return invoice


def booked(invoice: Mapping[str, Any]) -> list[tuple[str, Decimal, str]]:
    """Return description, amount and item of each line."""
    lines = [line for line in invoice["Line"] if line["DetailType"] == "SalesItemLineDetail"]
    return [
        (line.get("Description", ""), line["Amount"], line["SalesItemLineDetail"]["ItemRef"]["name"]) for line in lines
    ]


async def ended(rig: Rig, delivery: str) -> DeliveryStatus:
    return (await rig.delivery(delivery)).status


async def failure(rig: Rig) -> Mapping[str, Any]:
    """Return the error of the one job that has failed."""
    [job] = [job for job in await rig.jobs() if job.status is JobStatus.FAILED]
    assert isinstance(job.error, dict)
    return job.error


async def retry_failed(rig: Rig) -> None:
    """Retry the one job that has failed, as a person does."""
    [job] = [job for job in await rig.jobs() if job.status is JobStatus.FAILED]
    await rig.retry(job.job_id)


async def test_a_finalized_invoice_is_made_for_its_customer_and_told_to_the_platform(rig: Rig) -> None:
    delivery = await bill(rig, lines=PLAN, discount="50.01", credits_applied="0.02", tax="75", metadata={"po": "4711"})
    await rig.finish()
    await rig.check(all_linked=True)
    assert await ended(rig, delivery) is DeliveryStatus.PROCESSED
    [ours] = rig.flexprice.invoices.values()
    invoice = made(rig)
    assert invoice["CustomerRef"]["value"] == await rig.linked(ours["customer_id"], QUICKBOOKS)
    assert invoice["TotalAmt"] == D(ours["total"]) == D("1524.97")
    assert invoice["DocNumber"] == ours["invoice_number"]
    assert invoice["PrivateNote"] == f"[gw:flexprice-prod:{ours['id']}]"
    assert (invoice["TxnDate"], invoice["DueDate"]) == (ours["issue_date"][:10], ours["due_date"][:10])
    assert booked(invoice) == [
        ("Plan A", D("1000.10"), "Services"), ("Overage x 3", D("499.90"), "Services"),
        ("Discount", D("-50.01"), "Services"), ("Prepaid credits", D("-0.02"), "Services"),
    ]  # fmt: skip
    assert "ExchangeRate" not in invoice
    [mapping] = await rig.mappings(entity_type="invoice")
    assert (mapping.entity_id, mapping.provider_entity_id) == (ours["id"], invoice["Id"])
    assert ours["metadata"] == {"po": "4711", "quickbooks_invoice_id": invoice["Id"]}


async def test_fifty_events_about_one_invoice_make_one(rig: Rig) -> None:
    await rig.start_node()
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"], currency="usd")
    for number in range(50):
        await rig.announce(invoice["id"], node=number % 2)
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.intuit.invoices) == len(rig.intuit.customers) == 1


# Lost answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["replay", "off", "forget"])
@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
@pytest.mark.parametrize("replay_seconds", [0, 600])
async def test_a_lost_answer_makes_no_second_invoice(
    rig: Rig, mode: str, kind: FaultKind, replay_seconds: float
) -> None:
    """Whatever Intuit remembers of a request id, and whether the gateway relies on that or only looks."""
    rig.intuit.quirks.requestid_mode = mode
    rig.intuit.quirks.requestid_memory = 0.0
    await rig.add_quickbooks(invoices=True, replay_seconds=replay_seconds)
    rig.intuit.faults.add(Fault(kind=kind, route=CREATE, times=2 if replay_seconds else 1))
    await bill(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.intuit.invoices) == 1
    [mapping] = await rig.mappings(entity_type="invoice", status=MappingStatus.LINKED)
    assert mapping.origin == "created"


async def test_an_invoice_whose_answer_was_lost_is_known_by_its_mark_under_another_number(rig: Rig) -> None:
    await rig.add_quickbooks(invoices=True, replay_seconds=0)
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    await bill(rig)
    await rig.until(lambda: rig.intuit.invoices)
    rig.intuit.company.change("Invoice", made(rig)["Id"], DocNumber="2026-7")
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["DocNumber"] == "2026-7"


# Numbers -----------------------------------------------------------------------------------------------------------


async def test_an_invoice_that_a_bookkeeper_has_typed_in_is_adopted_by_number_customer_and_sum(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    known = rig.intuit.seed_customer(DisplayName=ADA["name"], email=ADA["email"])
    invoice = rig.flexprice.add_invoice(ada["id"], currency="usd", lines=PLAN)
    there = rig.intuit.seed_invoice(known["Id"], number=invoice["invoice_number"], amount=D(1500))
    await rig.announce(invoice["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    [mapping] = await rig.mappings(entity_type="invoice")
    assert (mapping.provider_entity_id, mapping.origin) == (there["Id"], "adopted_number")
    assert len(rig.intuit.invoices) == 1


@pytest.mark.parametrize("warns", [False, True])
async def test_the_number_of_another_customers_invoice(rig: Rig, warns: bool) -> None:
    """A company that does not mind has two with one number; one that does refuses (6140), and a person is asked."""
    rig.intuit.quirks.warn_duplicate_docnum = warns
    grace = rig.intuit.seed_customer(DisplayName="Grace Hopper")
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"], currency="usd", lines=PLAN)
    there = rig.intuit.seed_invoice(grace["Id"], number=invoice["invoice_number"], amount=D(1500))
    await rig.announce(invoice["id"])
    await rig.finish()
    if not warns:
        await rig.check(all_linked=True)
        assert len(rig.intuit.invoices) == 2
        return
    review = await rig.open_review()
    assert (review.kind, [each["provider_entity_id"] for each in review.candidates]) == ("conflict", [there["Id"]])
    rig.intuit.company.change("Invoice", there["Id"], DocNumber="77")
    await rig.resolve("create")
    await rig.finish()
    await rig.check()
    assert [each["DocNumber"] for each in rig.intuit.invoices.values()] == ["77", invoice["invoice_number"]]


async def test_a_long_number_is_cut_and_still_found(rig: Rig) -> None:
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"], currency="usd")
    invoice["invoice_number"] = "O'Connor\\Łódź-2026-11-0000000042"
    await rig.announce(invoice["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    number = made(rig)["DocNumber"]
    assert number.startswith("O'Connor")
    assert len(number) <= 21


# Items -------------------------------------------------------------------------------------------------------------


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


# Currencies, taxes and sums ----------------------------------------------------------------------------------------


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


# What is gone, closed, or not there at all --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["deactivate", "merge"])
async def test_a_customer_that_is_gone_is_asked_about_and_the_invoice_follows(rig: Rig, how: str) -> None:
    await bill(rig)
    await rig.finish()
    [ada] = rig.intuit.customers
    rig.intuit.company.change("Invoice", made(rig)["Id"], DocNumber="1")
    if how == "merge":
        rig.intuit.merge(ada, rig.intuit.seed_customer(DisplayName="The survivor")["Id"])
    else:
        rig.intuit.pay(made(rig)["Id"])
        rig.intuit.deactivate(ada)
    await bill(rig)
    await rig.live(120)
    review = await rig.open_review()
    assert (review.kind, review.entity_type) == ("stale", "customer")
    survivor = rig.intuit.seed_customer(DisplayName="Ada again")["Id"]
    await rig.resolve("adopt", survivor)
    await rig.finish()
    assert [each["CustomerRef"]["value"] for each in rig.intuit.invoices.values()][1:] == [survivor]


async def test_a_closed_period_fails_with_the_reason(rig: Rig) -> None:
    rig.intuit.quirks.closed_until = rig.clock.now().date()
    await bill(rig)
    await rig.finish()
    error = await failure(rig)
    assert (error["code"], error["provider_code"]) == ("rejected", "6210")
    assert "period" in str(error["detail"])


async def test_a_company_without_any_item_costs_the_customer_nothing(rig: Rig) -> None:
    rig.intuit.items.clear()
    delivery = await bill(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    assert await ended(rig, delivery) is DeliveryStatus.PROCESSED
    [warning] = (await rig.api("GET", f"/api/v1/connections/{QUICKBOOKS}"))[1]["warnings"]
    assert "no item at all" in warning


async def test_a_plan_or_a_person_without_invoices_costs_the_customers_nothing(rig: Rig) -> None:
    refused = rig.intuit.faults.service(5030, "The feature is not supported by this plan.", status=403, route=CREATE)
    rig.intuit.faults.add(refused)
    delivery = await bill(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    assert await ended(rig, delivery) is DeliveryStatus.PROCESSED
    told = (await rig.api("GET", f"/api/v1/connections/{QUICKBOOKS}"))[1]
    assert (told["status"], len(told["warnings"])) == ("active", 1)


@pytest.mark.parametrize("answer", ["refused", "gone"])
async def test_items_that_cannot_be_seen_to_fail_the_invoice_and_pause_nothing(rig: Rig, answer: str) -> None:
    await rig.add_quickbooks(invoices=True, create_items=True)
    code, detail = {"refused": (5020, "No permission"), "gone": (2500, "Accounts element id 31 not found")}[answer]
    rig.intuit.faults.add(rig.intuit.faults.service(code, detail, route="POST /v3/company/*/item", times=9))
    await bill(rig, lines=PLAN)
    await rig.finish()
    assert (await failure(rig))["code"] == "item_missing"
    assert (await rig.api("GET", f"/api/v1/connections/{QUICKBOOKS}"))[1]["status"] == "active"


# Voids, mail and links ---------------------------------------------------------------------------------------------


async def void(rig: Rig) -> str:
    """Void the one invoice at the platform, and return the id of the webhook's delivery."""
    [invoice] = rig.flexprice.invoices
    rig.flexprice.void_invoice(invoice)
    return await rig.send({"event_type": "invoice.update.voided", "invoice": rig.flexprice.invoices[invoice]})


async def test_a_void_invoice_is_voided_once_even_while_a_bookkeeper_changes_it(rig: Rig) -> None:
    await bill(rig)
    await rig.finish()
    stale = Fault(kind=FaultKind.REFUSE, route=CREATE, body=b'{"Fault":{"Error":[{"code":"5010"}],"type":"V"}}')
    rig.intuit.faults.add(stale)
    first = await void(rig)
    second = await void(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["TotalAmt"] == 0
    assert {await ended(rig, each) for each in (first, second)} == {DeliveryStatus.PROCESSED}
    voids = [call for call in rig.intuit.calls_of(CREATE) if call.query.get("operation") == "void" and call.worked]
    assert len(voids) == 1


async def test_a_paid_invoice_is_not_voided(rig: Rig) -> None:
    await bill(rig)
    await rig.finish()
    rig.intuit.pay(made(rig)["Id"], D(100))
    await void(rig)
    await rig.finish()
    error = await failure(rig)
    assert (error["code"], made(rig)["TotalAmt"]) == ("invoice_paid", D(1500))


@pytest.mark.parametrize("payments", [True, False])
async def test_the_payment_link_is_told_to_the_platform_where_there_is_one(rig: Rig, payments: bool) -> None:
    rig.intuit.quirks.payments_enabled = payments
    await rig.add_quickbooks(invoices=True, payment_link=True, email_invoices=True)
    await bill(rig)
    await rig.finish()
    await rig.check(all_linked=True)
    invoice = made(rig)
    assert (invoice["EmailStatus"], invoice["BillEmail"]["Address"]) == ("NeedToSend", ADA["email"])
    assert invoice["AllowOnlineCreditCardPayment"] is True
    [ours] = rig.flexprice.invoices.values()
    url = f"https://pay.example/portal/{rig.intuit.realm_id}/{invoice['Id']}" if payments else None
    assert ours["metadata"].get("quickbooks_invoice_url") == url


async def test_a_customer_without_an_address_is_billed_all_the_same(rig: Rig) -> None:
    await rig.add_quickbooks(invoices=True, email_invoices=True)
    await rig.finalize(rig.flexprice.add_customer(name="No Mail", email="")["id"], currency="usd")
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["EmailStatus"] == "NotSet"
    [mapping] = await rig.mappings(entity_type="invoice")
    assert any("no e-mail address" in warning for warning in mapping.details["warnings"])
