"""The simulated Nomod's invoices, links and charges: unit prices, exact money, closed sets of what may be edited."""

import random
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from connectors.testing.nomod import API_KEY, NomodSimulator
from tests.contract.simulated import Clock, ask

ITEM = {"name": "Onboarding day", "amount": "500.00", "quantity": 3}
DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def nomod(clock: Clock, rng: random.Random) -> AsyncIterator[NomodSimulator]:
    async with NomodSimulator(clock=clock, rng=rng) as running:
        yield running


@pytest.fixture
async def client(nomod: NomodSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"X-API-KEY": API_KEY, "User-Agent": "ledgergate-tests/1"}
    async with aiohttp.ClientSession(nomod.url, headers=headers) as session:
        yield session


@pytest.fixture
def jane(nomod: NomodSimulator) -> str:
    return nomod.seed(first_name="Jane", email="jane@acme.example")


async def bill(client: aiohttp.ClientSession, owner: str, **fields: Any) -> tuple[int, Any]:
    body = {"currency": "AED", "customer": owner, "due_date": "2026-12-20", "items": [ITEM], **fields}
    return await ask(
        client, "POST", "/v1/invoices", json={name: value for name, value in body.items() if value is not None}
    )


async def link(client: aiohttp.ClientSession, **fields: Any) -> tuple[int, Any]:
    return await ask(client, "POST", "/v1/links", json={"currency": "AED", "items": [ITEM], **fields})


async def test_the_amount_of_an_item_is_the_unit_price(client: aiohttp.ClientSession, jane: str) -> None:
    status, invoice = await bill(client, jane, invoice_number="INV-1", title="Onboarding", allow_tabby=False)
    assert status == 201
    assert (invoice["amount"], invoice["tax"], invoice["discount"]) == ("1500.000", "0.000", "0.000")
    (item,) = invoice["items"]
    assert (item["amount"], item["total_amount"], item["quantity"], item["sku"]) == ("500.000", "1500.000", 3, None)
    assert (invoice["status"], invoice["invoice_number"]) == ("unpaid", "INV-1")
    assert (invoice["allow_tabby"], invoice["allow_tamara"], invoice["allow_service_fee"]) == (False, True, True)
    assert (invoice["due_date"], invoice["service_date"]) == ("2026-12-20T00:00:00.000000Z", None)
    assert (invoice["customer"]["id"], invoice["email"]) == (jane, "jane@acme.example")
    assert await ask(client, "GET", f"/v1/invoices/{invoice['id']}") == (200, invoice)


@pytest.mark.parametrize(
    "tax,discount,expected",
    [
        ("5", 0, ("1575.000", "75.000", "0.000")),
        ("0", 10, ("1350.000", "0.000", "150.000")),
        ("5", 10, ("1417.500", "67.500", "150.000")),
        ("7.25", 33, ("1077.860", "72.860", "495.000")),
    ],
)
async def test_discount_and_the_accounts_tax_are_exact_and_the_tax_is_added_unasked(
    nomod: NomodSimulator,
    client: aiohttp.ClientSession,
    jane: str,
    *,
    tax: str,
    discount: int,
    expected: tuple[str, str, str],
) -> None:
    nomod.account_tax = Decimal(tax)
    _, invoice = await bill(client, jane, discount_percentage=discount)
    assert (invoice["amount"], invoice["tax"], invoice["discount"]) == expected
    assert [row["value"] for row in invoice["taxes"]] == ([expected[1]] if tax != "0" else [])
    assert invoice["discount_percentage"] == f"{discount}.00"


@pytest.mark.parametrize(
    "fields,code",
    [
        ({"currency": "aed"}, "invalid_currency"),
        ({"currency": "XXX"}, "invalid_currency"),
        ({"currency": None}, "field_required"),
        ({"items": []}, "missing_required_items"),
        ({"items": None}, "missing_required_items"),
        ({"items": [ITEM] * 51}, "exceeds_item_limit"),
        ({"items": [{**ITEM, "amount": 500}]}, "invalid_amount"),
        ({"items": [{**ITEM, "amount": "-1.00"}]}, "invalid_amount"),
        ({"items": [{**ITEM, "amount": "0.00"}]}, "invalid_amount"),
        ({"items": [{**ITEM, "amount": "0.333"}]}, "invalid_amount"),
        ({"items": [{**ITEM, "amount": "12345678"}]}, "invalid_amount"),
        ({"items": [{**ITEM, "amount": "1e3"}]}, "invalid_amount"),
        ({"items": [{"name": "No price"}]}, "field_required"),
        ({"items": [{**ITEM, "name": "x" * 101}]}, "invalid"),
        ({"items": [{**ITEM, "quantity": 51}]}, "invalid"),
        ({"items": [{**ITEM, "quantity": 0}]}, "invalid"),
        ({"items": [{**ITEM, "quantity": True}]}, "invalid"),
        ({"items": ["Onboarding"]}, "invalid"),
        ({"customer": "3f1c0a51-9a1e-4f53-8d2c-111111111111"}, "invalid_customer"),
        ({"customer": "cust_1"}, "invalid_customer"),
        ({"customer": ""}, "field_required"),
        ({"due_date": None}, "field_required"),
        ({"due_date": "2026-11-19"}, "invalid_due_date"),
        ({"due_date": "2026-12-20T00:00:00Z"}, "invalid_due_date"),
        ({"due_date": "2026-02-30"}, "invalid_due_date"),
        ({"due_date": "2026-12-20", "service_date": "2026-12-21"}, "invalid_due_date"),
        ({"discount_percentage": 101}, "invalid"),
        ({"discount_percentage": "10"}, "invalid"),
        ({"discount_percentage": 100}, "invalid_amount"),
        ({"invoice_number": "x" * 31}, "invalid"),
        ({"title": "x" * 51}, "invalid"),
        ({"note": "x" * 281}, "invalid"),
        ({"custom_fields": [{"name": str(n)} for n in range(6)]}, "invalid"),
        ({"allow_tabby": "no"}, "invalid"),
        ({"success_url": "acme.example/ok"}, "invalid"),
    ],
)
async def test_an_invoice_outside_the_limits_is_refused_with_its_code_and_not_kept(
    nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str, fields: dict[str, Any], code: str
) -> None:
    status, body = await bill(client, jane, **fields)
    assert (status, body["error"]["code"]) == (400, code)
    assert not nomod.invoices


@pytest.mark.parametrize("currency,amount", [("KWD", "0.333"), ("JPY", "1000"), ("JPY", "1000.00")])
async def test_amounts_may_have_the_decimals_of_their_currency(
    client: aiohttp.ClientSession, jane: str, currency: str, amount: str
) -> None:
    status, invoice = await bill(client, jane, currency=currency, items=[{"name": "One", "amount": amount}])
    assert (status, invoice["amount"], invoice["items"][0]["quantity"]) == (201, f"{Decimal(amount):.3f}", 1)


async def test_invoice_rows_are_a_smaller_shape_and_are_found_by_number_and_customer(
    nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str
) -> None:
    john = nomod.seed(first_name="John", email="john@acme.example")
    for customer, number in ((jane, "INV-1"), (john, "INV-1"), (jane, "INV-2")):
        await bill(client, customer, invoice_number=number, title=f"Of {number}")
    _, page = await ask(client, "GET", "/v1/invoices", params={"invoice_number": "INV-1", "customer_id": jane})
    (row,) = page["results"]
    assert not {"created", "reference_id", "code", "events"} & row.keys()
    assert row["customer"] == {
        "first_name": "Jane",
        "last_name": "",
        "business_name": "",
        "email": "jane@acme.example",
        "phone_number": "",
    }
    assert (row["discount_percentage"], row["tip_percentage"], row["amount"]) == (0, 0, "1500.000")
    assert nomod.invoices[row["id"]]["customer_id"] == jane
    counts = {}
    for query in ("status=unpaid", "status=paid", "currency=USD", "search=inv-2", "reference_id=x", "note=ignored"):
        counts[query] = (await ask(client, "GET", f"/v1/invoices?{query}"))[1]["count"]
    assert list(counts.values()) == [3, 0, 0, 1, 0, 3]


async def test_invoice_numbers_may_repeat_unless_set_otherwise(
    nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str
) -> None:
    assert [(await bill(client, jane, invoice_number="INV-1"))[0] for _ in range(2)] == [201, 201]
    nomod.unique_invoice_numbers = True
    assert (await bill(client, jane, invoice_number="INV-1"))[0] == 400
    assert (await bill(client, jane, invoice_number="INV-2"))[0] == 201


async def test_only_the_title_and_cancelling_can_be_edited(
    nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str
) -> None:
    _, invoice = await bill(client, jane)
    path = f"/v1/invoices/{invoice['id']}/edit"
    status, renamed = await ask(client, "PATCH", path, json={"title": "New", "note": "not editable"})
    assert (status, renamed["title"], renamed["note"]) == (200, "New", "")
    assert (await ask(client, "PATCH", path, json={}))[1]["error"]["code"] == "missing_status"
    assert (await ask(client, "PATCH", path, json={"status": "paid"}))[1]["error"]["code"] == "invalid_status"
    status, cancelled = await ask(client, "PATCH", path, json={"status": "cancelled"})
    assert (status, cancelled["status"]) == (200, "cancelled")
    assert (await ask(client, "PATCH", path, json={"status": "cancelled"}))[1]["error"]["code"] == "invalid_status"
    assert (await ask(client, "PUT", path, json={"status": "cancelled"}))[0] == 405
    with pytest.raises(ValueError, match="cancelled"):
        nomod.pay_invoice(invoice["id"])


async def test_an_unpaid_invoice_becomes_overdue_and_a_paid_one_does_not(
    nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str, clock: Clock
) -> None:
    _, late = await bill(client, jane)
    _, paid = await bill(client, jane)
    nomod.pay_invoice(paid["id"])
    clock.now += 31 * DAY
    assert (await ask(client, "GET", f"/v1/invoices/{late['id']}"))[1]["status"] == "overdue"
    assert (await ask(client, "GET", f"/v1/invoices/{paid['id']}"))[1]["status"] == "paid"
    assert (await ask(client, "GET", "/v1/invoices?status=overdue"))[1]["count"] == 1


async def test_a_link_has_no_customer_and_lives_through_its_states(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    status, made = await link(client, note=None, custom_fields=None, customer="dropped without a word")
    assert (status, made["amount"], made["status"], made["source"]) == (201, "1500.000", "enabled", "nomod_api")
    assert not {"customer", "metadata", "created", "code", "success_url"} & made.keys()
    path = f"/v1/links/{made['id']}"
    codes = []
    for body in ({"status": "enabled"}, {"status": "paid"}, {}, {"status": "disabled"}, {"status": "disabled"}):
        status, answer = await ask(client, "PATCH", f"{path}/edit", json=body)
        codes.append(answer.get("error", answer).get("code", answer.get("status")))
    assert codes == ["already_enabled", "invalid_status", "missing_status", "disabled", "already_disabled"]
    with pytest.raises(ValueError, match="disabled"):
        nomod.pay_link(made["id"])
    assert (await ask(client, "DELETE", f"{path}/delete"))[0] == 204
    assert (await ask(client, "DELETE", f"{path}/delete"))[1]["error"]["code"] == "already_deleted"
    assert (await ask(client, "GET", path))[0] == 404
    assert (await ask(client, "GET", "/v1/links"))[1]["count"] == 0
    assert nomod.links[made["id"]]["archived"]


@pytest.mark.parametrize(
    "fields,code",
    [
        ({"payment_expiry_limit": 1, "expiry_date": "2026-12-20"}, "invalid"),
        ({"payment_expiry_limit": 0}, "invalid"),
        ({"expiry_date": "20.12.2026"}, "invalid"),
        ({"items": [{**ITEM, "quantity": 999}]}, "invalid"),
        ({"items": []}, "missing_required_items"),
        ({"currency": "DEM"}, "invalid_currency"),
        ({"title": "x" * 51}, "invalid"),
        ({"allow_tip": 1}, "invalid"),
    ],
)
async def test_a_link_outside_the_limits_is_refused_with_its_code(
    nomod: NomodSimulator, client: aiohttp.ClientSession, fields: dict[str, Any], code: str
) -> None:
    status, body = await link(client, **fields)
    assert (status, body["error"]["code"]) == (400, code)
    assert not nomod.links


async def test_a_link_for_one_payment_expires_after_it_and_a_dated_one_after_its_day(
    nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str, clock: Clock
) -> None:
    _, once = await link(client, payment_expiry_limit=1)
    _, dated = await link(client, expiry_date="2026-11-20")
    nomod.pay_link(once["id"], customer_id=jane)
    nomod.pay_link(dated["id"])
    nomod.pay_link(dated["id"])
    with pytest.raises(ValueError, match="expired"):
        nomod.pay_link(once["id"])
    clock.now += DAY
    _, page = await ask(client, "GET", "/v1/links")
    assert [row["status"] for row in page["results"]] == ["expired", "expired"]
    assert (await ask(client, "GET", f"/v1/links?customer_id={jane}"))[1]["results"][0]["id"] == once["id"]


async def test_charges_tell_what_was_paid_and_are_found_by_link_customer_and_type(
    nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str
) -> None:
    nomod.account_tax = Decimal(5)
    _, invoice = await bill(client, jane)
    _, made = await link(client)
    by_invoice, by_link = nomod.pay_invoice(invoice["id"]), nomod.pay_link(made["id"])
    status, charge = await ask(client, "GET", f"/v1/charges/{by_invoice}")
    assert (status, charge["status"], charge["total"], charge["tax"]) == (200, "paid", "1575.000", "75.000")
    assert charge["customer"] == {"id": jane, "first_name": "Jane", "last_name": ""}
    assert "card_data" in charge["source"], "the trap that connectors must not keep"
    for query, expected in {
        f"link_id={made['id']}": [by_link],
        f"customer_id={jane}": [by_invoice],
        "type=invoice": [by_invoice],
        "type=checkout": [],
        "status=paid": [by_link, by_invoice],
    }.items():
        _, page = await ask(client, "GET", f"/v1/charges?{query}")
        assert sorted(row["id"] for row in page["results"]) == sorted(expected)
    assert (await ask(client, "POST", "/v1/charges", json={}))[0] == 405


async def test_refunds_stop_at_what_was_paid(nomod: NomodSimulator, client: aiohttp.ClientSession, jane: str) -> None:
    _, invoice = await bill(client, jane)
    path = f"/v1/charges/{nomod.pay_invoice(invoice['id'])}"
    codes = []
    for amount in ("0.00", "1500.01", "500.00", "1000.01", "1000.00", "0.01"):
        _, answer = await ask(client, "POST", f"{path}/refund", json={"amount": amount})
        codes.append(answer.get("error", answer).get("code", answer.get("message")))
    done = "Succesfully refunded"
    exceeds = "refund_amount_exceeds"
    assert codes == ["invalid_refund_amount", exceeds, done, exceeds, done, "charge_already_refunded"]
    _, charge = await ask(client, "GET", path)
    assert (charge["status"], charge["refund_total"], len(charge["refunds"])) == ("refunded", "1500.000", 2)
