"""The simulated Flexprice's invoices and payments: exact money, the wrong customer, and a search with its own ideas."""

import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.flexprice import API_KEY, FlexpriceSimulator, Line, TirdadSimulator
from tests.contract.simulated import Clock, ask


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[FlexpriceSimulator, TirdadSimulator])
async def flexprice(
    request: pytest.FixtureRequest, clock: Clock, rng: random.Random
) -> AsyncIterator[FlexpriceSimulator]:
    async with request.param(clock=clock, rng=rng) as running:
        yield running


@pytest.fixture
async def client(flexprice: FlexpriceSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"{flexprice.api_url}/", headers={"x-api-key": API_KEY}) as session:
        yield session


async def test_an_invoice_has_text_money_a_lower_case_currency_and_exact_totals(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    payer = flexprice.add_customer(name="Acme")
    made = flexprice.add_invoice(
        payer["id"],
        lines=[Line("Day", "1500.00", "3"), Line("Calls", "0.333333", "1")],
        currency="AED",
        discount="100.5",
        credits_applied="0.25",
        tax="75",
        metadata={"po": "4711"},
    )
    status, invoice = await ask(client, "GET", f"invoices/{made['id']}")
    assert status == 200
    money = ("subtotal", "total_discount", "total_prepaid_credits_applied", "total_tax", "total", "amount_due")
    assert [invoice[name] for name in money] == ["1500.333333", "100.5", "0.25", "75", "1474.583333", "1474.583333"]
    assert (invoice["amount_paid"], invoice["amount_remaining"]) == ("0", "1474.583333")
    assert (invoice["currency"], invoice["invoice_status"], invoice["payment_status"]) == (
        "aed",
        "FINALIZED",
        "PENDING",
    )
    assert (invoice["invoice_type"], invoice["invoice_number"]) == ("ONE_OFF", "INV-202611-00001")
    assert [(line["amount"], line["quantity"]) for line in invoice["line_items"]] == [("1500", "3"), ("0.333333", "1")]
    assert invoice["customer"]["id"] == invoice["customer_id"] == payer["id"]
    assert not {"subscription_id", "period_start", "voided_at", "paid_at"} & invoice.keys()
    assert (invoice["billing_sequence"], invoice["metadata"]) == (None, {"po": "4711"})


@pytest.mark.parametrize(
    "options,expected",
    [
        ({"discount": "9999"}, ("0", "SUCCEEDED", "FINALIZED")),
        ({"status": "DRAFT"}, ("1500", "PENDING", "DRAFT")),
        ({"status": "SKIPPED", "lines": []}, ("0", "PENDING", "SKIPPED")),
        ({"payment_status": "SUCCEEDED"}, ("1500", "SUCCEEDED", "FINALIZED")),
    ],
)
async def test_totals_never_fall_below_zero_and_nothing_to_pay_is_paid_by_being_final(
    flexprice: FlexpriceSimulator, options: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    invoice = flexprice.add_invoice(flexprice.add_customer()["id"], **options)
    assert (invoice["total"], invoice["payment_status"], invoice["invoice_status"]) == expected
    assert (invoice["invoice_number"] is None) is (expected[2] in {"DRAFT", "SKIPPED"})
    assert (invoice["amount_remaining"] == "0") is (expected[1] == "SUCCEEDED" or expected[0] == "0")


async def test_a_subscriptions_invoice_embeds_its_owner_although_somebody_else_pays(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    owner, payer = flexprice.add_customer(name="Branch"), flexprice.add_customer(name="Head office")
    made = flexprice.add_invoice(payer["id"], subscription_owner_id=owner["id"])
    _, invoice = await ask(client, "GET", f"invoices/{made['id']}")
    assert (invoice["customer_id"], invoice["customer"]["id"]) == (payer["id"], owner["id"])
    assert invoice["subscription_customer_id"] == owner["id"]
    _, page = await ask(client, "POST", "invoices/search", json={"invoice_ids": [made["id"]]})
    assert page["items"][0]["customer"]["id"] == payer["id"], "the search embeds the right one"


async def test_what_becomes_of_an_invoice_is_seen_at_once(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    payer = flexprice.add_customer()["id"]
    draft = flexprice.add_invoice(payer, status="DRAFT")["id"]
    flexprice.finalize_invoice(draft)
    with pytest.raises(ValueError, match="FINALIZED"):
        flexprice.finalize_invoice(draft)
    flexprice.pay_invoice(draft)
    _, paid = await ask(client, "GET", f"invoices/{draft}")
    assert (paid["payment_status"], paid["amount_remaining"], paid["invoice_status"]) == (
        "SUCCEEDED",
        "0",
        "FINALIZED",
    )
    flexprice.void_invoice(draft)
    assert (await ask(client, "GET", f"invoices/{draft}"))[1]["invoice_status"] == "VOIDED"
    with pytest.raises(KeyError):
        flexprice.add_invoice("cust_unknown")
    with pytest.raises(ValueError, match="status"):
        flexprice.add_invoice(payer, status="OPEN")
    with pytest.raises(TypeError, match="notes"):
        flexprice.add_invoice(payer, notes="no such field")


async def test_an_invoices_metadata_is_replaced_while_it_is_open_and_the_change_is_echoed(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    made = flexprice.add_invoice(flexprice.add_customer()["id"], metadata={"po": "4711"})
    url = f"invoices/{made['id']}"
    status, invoice = await ask(client, "PUT", url, json={"metadata": {"nomod_invoice_id": "x"}})
    assert (status, invoice["metadata"]) == (200, {"nomod_invoice_id": "x"})
    assert [echo["event_type"] for echo in flexprice.echoes] == ["invoice.update"]
    assert (await ask(client, "PUT", url, json={"metadata": {"n": 1}}))[0] == 400
    assert (await ask(client, "PUT", url, json={"due_date": "tomorrow"}))[0] == 400
    flexprice.void_invoice(made["id"])
    status, body = await ask(client, "PUT", url, json={"metadata": {}})
    assert (status, body["code"]) == (400, "invalid_operation")
    assert (await ask(client, "PUT", "invoices/inv_1", json={}))[0] == 404


async def numbers(client: aiohttp.ClientSession, **body: Any) -> list[str]:
    status, page = await ask(client, "POST", "invoices/search", json=body)
    assert status == 200
    return [row["invoice_number"] or row["invoice_status"] for row in page["items"]]


async def test_invoices_are_searched_by_state_owner_and_date_of_finalization(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession, clock: Clock
) -> None:
    payer, other = flexprice.add_customer(external_id="acme-42")["id"], flexprice.add_customer()["id"]
    first = flexprice.add_invoice(payer)["invoice_number"]
    clock.now += 3600
    flexprice.add_invoice(payer, status="DRAFT")
    second = flexprice.add_invoice(other, currency="usd", payment_status="SUCCEEDED")["invoice_number"]
    assert await numbers(client, invoice_status=["FINALIZED"]) == [second, first]
    assert await numbers(client, payment_status=["SUCCEEDED"]) == [second]
    assert await numbers(client, external_customer_id="acme-42", invoice_status=["DRAFT"]) == ["DRAFT"]
    assert await numbers(client, external_customer_id="nobody") == []
    assert await numbers(client, currency="usd") == [second]
    assert await numbers(client, amount_remaining_gt="0", invoice_status=["FINALIZED"]) == [first]
    date = {"field": "finalized_at", "operator": "after", "data_type": "date"}
    assert await numbers(client, filters=[{**date, "value": {"date": "2026-11-20T09:00:00Z"}}]) == [second]
    before = {**date, "operator": "before"}
    assert await numbers(client, filters=[{**before, "value": {"date": "2026-11-20T09:00:00Z"}}]) == [first]
    ascending = [{"field": "finalized_at", "direction": "asc"}]
    assert await numbers(client, invoice_status=["FINALIZED"], sort=ascending) == [first, second]


async def test_the_time_range_is_about_the_billing_period_so_that_one_off_invoices_are_in_none(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    payer = flexprice.add_customer()["id"]
    flexprice.add_invoice(payer)
    billed = flexprice.add_invoice(payer, subscription_owner_id=payer)["invoice_number"]
    assert len(await numbers(client)) == 2
    assert await numbers(client, start_time="2026-10-01T00:00:00Z", end_time="2026-12-01T00:00:00Z") == [billed]
    assert await numbers(client, start_time="2026-11-20T00:00:00Z") == [], "its period began a month before"


async def test_invoice_pages_echo_the_requests_offset_and_can_leave_out_lines(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    payer = flexprice.add_customer()["id"]
    for _ in range(5):
        flexprice.add_invoice(payer)
    _, page = await ask(client, "POST", "invoices/search", json={"limit": 2, "offset": 4, "skip_line_items": True})
    assert page["pagination"] == {"total": 5, "limit": 2, "offset": 4}
    assert [len(page["items"]), "line_items" in page["items"][0]] == [1, False]
    _, default = await ask(client, "POST", "invoices/search", json={})
    assert (default["pagination"]["limit"], len(default["items"][0]["line_items"])) == (50, 1)


@pytest.mark.parametrize(
    "body",
    [
        {"invoice_status": ["OPEN"]},
        {"invoice_status": "FINALIZED"},
        {"payment_status": ["PAID"]},
        {"limit": 1001},
        {"start_time": "2026-11-20"},
        {"start_time": "2026-11-20T00:00:00Z", "end_time": "2026-11-19T00:00:00Z"},
        {"filters": [{"field": "secret", "operator": "eq", "data_type": "string", "value": {"string": "x"}}]},
        {"filters": [{"field": "finalized_at", "operator": "gt", "data_type": "date", "value": {"date": "x"}}]},
        {"filters": [{"field": "finalized_at", "operator": "after", "data_type": "date", "value": {"date": "x"}}]},
        {"filters": [{"field": "finalized_at", "operator": "after", "data_type": "date", "value": "x"}]},
        {"sort": [{"field": "finalized_at", "direction": "up"}]},
        {"amount_remaining_gt": "much"},
    ],
)
async def test_a_search_that_is_not_valid_is_refused(client: aiohttp.ClientSession, body: dict[str, Any]) -> None:
    status, answer = await ask(client, "POST", "invoices/search", json=body)
    assert (status, answer["code"]) == (400, "validation_error")


# Payments.


async def test_a_payment_link_is_asked_for_with_upper_case_enums_and_within_what_remains(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    invoice = flexprice.add_invoice(flexprice.add_customer()["id"])
    body = {
        "destination_type": "INVOICE",
        "destination_id": invoice["id"],
        "payment_method_type": "PAYMENT_LINK",
        "payment_gateway": "nomod",
        "amount": "1500",
        "currency": "AED",
        "process_payment": True,
        "idempotency_key": "once",
    }
    for wrong in (
        {"payment_method_type": "payment_link"},
        {"destination_type": "invoice"},
        {"payment_gateway": None},
        {"payment_gateway": "paypal"},
        {"amount": "1500.01"},
        {"amount": "0"},
        {"amount": None},
        {"currency": "usd"},
    ):
        assert (await ask(client, "POST", "payments", json={**body, **wrong}))[0] == 400
    assert (await ask(client, "POST", "payments", json={**body, "destination_id": "inv_1"}))[0] == 404
    status, payment = await ask(client, "POST", "payments", json=body)
    assert (status, payment["payment_status"], payment["amount"], payment["currency"]) == (
        201,
        "INITIATED",
        "1500",
        "aed",
    )
    assert (await ask(client, "POST", "payments", json=body)) == (200, payment)
    url = f"payments/{payment['id']}"
    assert (await ask(client, "PUT", url, json={"payment_status": "PAID"}))[0] == 400
    assert (await ask(client, "PUT", url, json={"payment_status": "SUCCEEDED"}))[1]["succeeded_at"]
    assert (await ask(client, "GET", url))[1]["payment_status"] == "SUCCEEDED"
    assert [echo["event_type"] for echo in flexprice.echoes] == ["payment.created", "payment.updated"]
