"""From a finalized invoice to the customer and then the invoice in QuickBooks: once, under its number, told back."""

import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway import keys
from storage.records import DeliveryStatus, MappingStatus
from tests.harness import QUICKBOOKS, Rig
from tests.integration.invoices_in_quickbooks import ADA, CREATE, PLAN, D, bill, booked, configure, ended, failure, made


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await configure(rig)


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


# Lost answers --------------------------------------------------------------------------------------------------------


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


async def test_a_create_that_is_repeated_at_once_looks_for_what_its_first_sending_has_made(rig: Rig) -> None:
    """A gateway that is started again within the second, at an Intuit that shows late and remembers no request id."""
    rig.intuit.quirks.requestid_mode, rig.intuit.quirks.query_lag = "off", 0.5
    await rig.add_quickbooks(invoices=True)
    rig.intuit.faults.add(Fault(kind=FaultKind.HANG_AFTER, route=CREATE, seconds=60))
    await bill(rig)
    await rig.until(lambda: rig.intuit.invoices)
    await rig.gateway.app[keys.WORKER].stop(grace=0)
    await rig.restart()
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.intuit.invoices) == 1


async def test_an_invoice_whose_answer_was_lost_is_known_by_its_mark_under_another_number(rig: Rig) -> None:
    await rig.add_quickbooks(invoices=True, replay_seconds=0)
    rig.intuit.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    await bill(rig)
    await rig.until(lambda: rig.intuit.invoices)
    rig.intuit.company.change("Invoice", made(rig)["Id"], DocNumber="2026-7")
    await rig.finish()
    await rig.check(all_linked=True)
    assert made(rig)["DocNumber"] == "2026-7"


# Numbers -------------------------------------------------------------------------------------------------------------


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


# What is gone, closed, or not there at all ---------------------------------------------------------------------------


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
