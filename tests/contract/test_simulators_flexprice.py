"""The simulated Flexprice answers in the real one's shapes, keeps its traps, and refuses what it would."""

import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from connectors.testing.simulator import Fault, FaultKind
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


# Who is let in, and how refusals look.


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "other"}, {"Authorization": f"Bearer {API_KEY}"}])
async def test_without_the_api_key_the_answer_is_401_in_its_own_shape(
    flexprice: FlexpriceSimulator, headers: dict[str, str]
) -> None:
    async with aiohttp.ClientSession(headers=headers) as stranger:
        answer = await ask(stranger, "GET", f"{flexprice.api_url}/customers/cust_1")
    assert answer == (401, {"error": "Unauthorized"})


async def test_every_answer_has_a_request_id_and_the_callers_is_echoed(client: aiohttp.ClientSession) -> None:
    async with client.get("customers/cust_1", headers={"X-Request-ID": "ours-7"}) as answer:
        assert answer.headers["X-Request-ID"] == "ours-7"
    for path in ("customers/cust_1", "nowhere"):
        async with client.get(path) as answer:
            assert answer.headers["X-Request-ID"].startswith("req_")


async def test_a_thing_that_is_not_there_is_a_404_with_code_message_and_status(client: aiohttp.ClientSession) -> None:
    for path in ("customers/cust_1", "customers/external/acme-42", "invoices/inv_1", "payments/pay_1"):
        status, body = await ask(client, "GET", path)
        assert status == 404
        assert (body["code"], body["http_status_code"]) == ("not_found", 404)
        assert body["message"]


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/v1/customers/{id}/integrations"),
        ("GET", "/api/v1/customers/{id}"),
        ("GET", "/customers/{id}"),
        ("PATCH", "/v1/customers/{id}"),
        ("POST", "/v1/customers/{id}"),
        ("GET", "/v1/invoices/search"),
    ],
)
async def test_paths_that_only_the_guides_know_do_not_exist(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession, method: str, path: str
) -> None:
    customer_id = flexprice.add_customer()["id"]
    status, _ = await ask(client, method, flexprice.url + path.format(id=customer_id))
    assert status == 404


async def test_a_role_that_may_only_read_and_a_suspended_tenant_are_refused_writes_in_two_shapes(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    customer_id = flexprice.add_customer()["id"]
    flexprice.writable = False
    status, body = await ask(client, "PUT", f"customers?id={customer_id}", json={"metadata": {}})
    assert (status, body["code"]) == (403, "permission_denied")
    flexprice.suspended = True
    answer = await ask(client, "PUT", f"customers?id={customer_id}", json={"metadata": {}})
    assert answer == (403, {"message": "tenant account is suspended"})
    assert (await ask(client, "GET", f"customers/{customer_id}"))[0] == 200
    assert (await ask(client, "POST", "invoices/search", json={}))[0] == 200
    assert flexprice.echoes == []


async def test_a_key_of_a_configuration_file_needs_its_environment(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    flexprice.environment_required = True
    for headers in ({}, {"X-Environment-ID": "env_other"}):
        status, body = await ask(client, "POST", "invoices/search", json={}, headers=headers)
        assert (status, body["error"]) == (403, "Access denied")
    headers = {"X-Environment-ID": flexprice.environment_id}
    assert (await ask(client, "POST", "invoices/search", json={}, headers=headers))[0] == 200


async def test_throttling_has_flexprices_own_body(flexprice: FlexpriceSimulator, client: aiohttp.ClientSession) -> None:
    flexprice.faults.add(Fault(kind=FaultKind.THROTTLE))
    status, body = await ask(client, "GET", "customers/cust_1")
    assert (status, body["code"], body["http_status_code"]) == (429, "too_many_requests", 429)


# Customers.


async def test_a_customer_has_empty_texts_a_null_map_and_no_contact_where_there_is_none(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    made = flexprice.add_customer(name="Acme", email="ap@acme.example")
    status, row = await ask(client, "GET", f"customers/{made['id']}")
    assert status == 200
    assert row == {name: value for name, value in made.items() if name != "contact"}
    assert (row["address_line1"], row["metadata"], row["status"]) == ("", None, "published")
    assert row["created_at"] == "2026-11-20T08:30:00Z"
    assert row["id"].startswith("cust_")
    assert len(row["id"]) == len("cust_") + 26
    assert (await ask(client, "GET", f"customers/external/{row['external_id']}")) == (200, row)
    flexprice.edit_customer(row["id"], contact="+971501234567")
    assert (await ask(client, "GET", f"customers/{row['id']}"))[1]["contact"] == "+971501234567"


async def test_archived_customers_are_read_by_id_and_not_by_external_id(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    made = flexprice.add_customer(status="archived", external_id="acme-42")
    assert (await ask(client, "GET", f"customers/{made['id']}"))[1]["status"] == "archived"
    assert (await ask(client, "GET", "customers/external/acme-42"))[0] == 404
    assert (await ask(client, "POST", "customers/search", json={}))[1]["items"] == []


async def test_integrations_are_the_only_expansion_and_archived_mappings_are_in_it(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    path = f"customers/{flexprice.add_customer()['id']}"
    assert "integrations" not in (await ask(client, "GET", f"{path}?expand=integrations"))[1]
    mapping = flexprice.add_mapping(path.removeprefix("customers/"), "nomod", "nm_1")
    mapping["status"] = "archived"
    assert (await ask(client, "GET", f"{path}?expand=integrations"))[1]["integrations"] == [mapping]
    assert "integrations" not in (await ask(client, "GET", path))[1]
    for expand in ("subscriptions", "integrations,invoices"):
        status, body = await ask(client, "GET", f"{path}?expand={expand}")
        assert (status, body["code"]) == (400, "validation_error")


@pytest.mark.parametrize("path", ["customers?id={id}", "customers/{id}", "customers?external_customer_id=acme-42"])
async def test_a_put_replaces_the_whole_metadata_and_leaves_what_it_does_not_name(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession, clock: Clock, path: str
) -> None:
    made = flexprice.add_customer(name="Acme", external_id="acme-42", metadata={"crm": "77", "old": "1"})
    clock.now += 1.5
    url = path.format(id=made["id"])
    status, row = await ask(client, "PUT", url, json={"metadata": {"nomod_customer_id": "x"}, "name": None})
    assert (status, row["metadata"], row["name"]) == (200, {"nomod_customer_id": "x"}, "Acme")
    assert (row["created_at"], row["updated_at"]) == ("2026-11-20T08:30:00Z", "2026-11-20T08:30:01.5Z")
    assert (await ask(client, "PUT", url, json={"metadata": None, "email": "ap@acme.example"}))[1]["metadata"]
    assert (await ask(client, "PUT", url, json={"metadata": {}}))[1]["metadata"] == {}
    assert flexprice.customers[made["id"]]["email"] == "ap@acme.example"


async def test_every_put_echoes_customer_updated_even_when_nothing_changed(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    made = flexprice.add_customer(metadata={"crm": "77"})
    for _ in range(2):
        await ask(client, "PUT", f"customers?id={made['id']}", json={"metadata": {"crm": "77"}})
    assert [(echo["event_type"], echo["customer"]["id"]) for echo in flexprice.echoes] == [
        ("customer.updated", made["id"])
    ] * 2


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"synced": True}},
        {"metadata": {"count": 7}},
        {"metadata": {"nothing": None}},
        {"metadata": ["crm"]},
        {"metadata": {"gstin": "not a gstin"}},
        {"metadata": {"pan": "abc"}},
        {"metadata": {"place_of_supply": "Dubai"}},
        {"metadata": {"hsn_sac": "12"}},
        {"metadata": {"shipping_address_country": "India"}},
        {"metadata": {"shipping_address_line1": ""}},
        {"name": "x" * 256},
        {"contact": "x" * 21},
        {"email": "nobody"},
        {"address_country": "ARE"},
        {"name": 7},
        [],
    ],
)
async def test_an_invalid_put_is_refused_and_changes_and_emits_nothing(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession, body: Any
) -> None:
    made = flexprice.add_customer(metadata={"crm": "77"})
    before = dict(made)
    status, answer = await ask(client, "PUT", f"customers?id={made['id']}", json=body)
    assert (status, answer["code"], answer["http_status_code"]) == (400, "validation_error", 400)
    assert flexprice.customers[made["id"]] == before
    assert flexprice.echoes == []


async def test_an_old_value_that_is_not_valid_makes_an_otherwise_fine_write_back_fail(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    made = flexprice.add_customer(metadata={"gstin": "from before the rule"})
    merged = {**made["metadata"], "nomod_customer_id": "x"}
    assert (await ask(client, "PUT", f"customers?id={made['id']}", json={"metadata": merged}))[0] == 400
    merged["gstin"] = "27AAPFU0939F1ZV"
    assert (await ask(client, "PUT", f"customers?id={made['id']}", json={"metadata": merged}))[0] == 200


async def test_system_metadata_may_be_set_to_be_refused_and_then_outlives_a_put_without_it(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    made = flexprice.add_customer(metadata={"_fp_has_standalone_sub": "true", "crm": "77"})
    url = f"customers?id={made['id']}"
    flexprice.refuse_system_metadata = True
    assert (await ask(client, "PUT", url, json={"metadata": {**made["metadata"], "a": "b"}}))[0] == 400
    assert (await ask(client, "PUT", url, json={"metadata": {"a": "b"}}))[1]["metadata"] == {
        "_fp_has_standalone_sub": "true",
        "a": "b",
    }
    flexprice.refuse_system_metadata = False
    assert (await ask(client, "PUT", url, json={"metadata": {"a": "b"}}))[1]["metadata"] == {"a": "b"}


async def test_a_put_without_an_id_or_for_nobody_or_with_a_taken_external_id_is_refused(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    first, second = flexprice.add_customer(), flexprice.add_customer()
    assert (await ask(client, "PUT", "customers", json={}))[0] == 400
    assert (await ask(client, "PUT", "customers?id=cust_1", json={}))[0] == 404
    taken = {"external_id": first["external_id"]}
    status, body = await ask(client, "PUT", f"customers/{second['id']}", json=taken)
    assert (status, body["code"]) == (409, "already_exists")


async def test_customers_are_searched_by_metadata_and_the_pages_offset_is_that_of_the_next(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession, clock: Clock
) -> None:
    for number in range(5):
        clock.now += 1
        flexprice.add_customer(name=f"Customer {number}", metadata={"crm": str(number % 2), "all": "1"})
    _, found = await ask(client, "POST", "customers/search", json={"metadata": {"crm": "1", "all": "1"}})
    assert [row["name"] for row in found["items"]] == ["Customer 3", "Customer 1"]
    by_name = {"limit": 2, "offset": 2, "sort": [{"field": "name", "direction": "asc"}]}
    _, page = await ask(client, "POST", "customers/search", json=by_name)
    assert [row["name"] for row in page["items"]] == ["Customer 2", "Customer 3"]
    assert page["pagination"] == {"total": 5, "limit": 2, "offset": 4}
    for body in ({"limit": 1001}, {"limit": 0}, {"offset": -1}, {"limit": "9"}, {"customer_ids": "cust_1"}):
        assert (await ask(client, "POST", "customers/search", json=body))[0] == 400


async def test_reads_lag_behind_writes_as_long_as_set(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession, clock: Clock
) -> None:
    flexprice.replica_lag = 10
    made = flexprice.add_customer(metadata={"crm": "77"})
    path = f"customers/{made['id']}"
    assert (await ask(client, "GET", path))[0] == 404
    clock.now += 10
    status, fresh = await ask(client, "PUT", path, json={"metadata": {"crm": "78"}})
    assert (status, fresh["metadata"]) == (200, {"crm": "78"})
    assert (await ask(client, "GET", path))[1]["metadata"] == {"crm": "77"}
    clock.now += 10
    assert (await ask(client, "GET", path))[1]["metadata"] == {"crm": "78"}


# Invoices.


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


async def test_one_seed_gives_one_history(clock: Clock) -> None:
    ids = []
    for _ in range(2):
        async with FlexpriceSimulator(clock=clock, rng=random.Random(7)) as flexprice:
            ids.append(flexprice.add_invoice(flexprice.add_customer()["id"])["id"])
    assert ids[0] == ids[1]
