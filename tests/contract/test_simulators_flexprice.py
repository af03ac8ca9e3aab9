"""The simulated Flexprice answers in the real one's shapes, keeps its traps, and refuses what it would."""

import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway.sandbox.flexprice import API_KEY, FlexpriceSimulator, TirdadSimulator
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


async def test_one_seed_gives_one_history(clock: Clock) -> None:
    ids = []
    for _ in range(2):
        async with FlexpriceSimulator(clock=clock, rng=random.Random(7)) as flexprice:
            ids.append(flexprice.add_invoice(flexprice.add_customer()["id"])["id"])
    assert ids[0] == ids[1]
