"""The simulated Nomod refuses what the real one would, answers in its shapes, and keeps a true ledger."""

import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from connectors.testing.nomod import API_KEY, NomodSimulator
from connectors.testing.nomod_places import COUNTRIES
from tests.contract.simulated import Clock, ask

JANE = {"first_name": "Jane", "email": "jane@acme.example"}


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


async def create(client: aiohttp.ClientSession, **fields: Any) -> tuple[int, Any]:
    return await ask(client, "POST", "/v1/customers", json={**JANE, **fields})


# Who is let in.


@pytest.mark.parametrize("agent", ["", "Python/3.11 aiohttp/3.14.5", "Python-urllib/3.11", "python-requests/2.34"])
async def test_a_missing_or_default_user_agent_is_blocked_at_the_edge_with_html(
    nomod: NomodSimulator, client: aiohttp.ClientSession, agent: str
) -> None:
    status, page = await ask(client, "GET", "/v1/customers", headers={"User-Agent": agent})
    assert status == 403
    assert page.startswith("<!DOCTYPE html>")
    async with aiohttp.ClientSession(nomod.url, headers={"X-API-KEY": API_KEY}) as careless:
        assert (await ask(careless, "POST", "/v1/customers", json=JANE))[0] == 403
    assert not nomod.customers


@pytest.mark.parametrize("headers", [{"X-API-KEY": "sk_test_other"}, {"Authorization": f"Bearer {API_KEY}"}])
async def test_a_missing_or_wrong_key_is_answered_401_in_the_envelope(
    nomod: NomodSimulator, headers: dict[str, str]
) -> None:
    async with aiohttp.ClientSession(nomod.url, headers={"User-Agent": "ledgergate-tests/1", **headers}) as stranger:
        status, body = await ask(stranger, "POST", "/v1/customers", json=JANE)
    assert (status, body["error"]["code"]) == (401, "not_authenticated")
    assert set(body["error"]) == {"message", "code"}
    assert not nomod.customers


async def test_another_key_can_be_set(nomod: NomodSimulator, client: aiohttp.ClientSession) -> None:
    nomod.api_key = "sk_live_other"
    assert (await create(client))[0] == 401
    assert (await ask(client, "GET", "/v1/customers", headers={"X-API-KEY": "sk_live_other"}))[0] == 200


async def test_there_is_no_update_no_delete_and_no_other_path(client: aiohttp.ClientSession) -> None:
    _, jane = await create(client)
    for method in ("PUT", "PATCH", "DELETE"):
        status, body = await ask(client, method, f"/v1/customers/{jane['id']}", json={"first_name": "Janet"})
        assert (status, body["error"]["code"]) == (405, "method_not_allowed")
    for path in ("/customers", "/v1/customers/", "/v2/customers", "/v1/customers/search", "/"):
        assert (await ask(client, "GET", path))[0] == 404


# Creating.


async def test_a_created_customer_has_every_field_and_a_gmt_time_with_microseconds(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    status, jane = await create(client)
    assert status == 201
    assert jane == {
        "id": str(uuid.UUID(jane["id"])),
        "created": "2026-11-20T08:30:00.000000Z",
        "first_name": "Jane",
        "last_name": "",
        "business_name": "",
        "job_title": "",
        "province": 0,
        "city": "",
        "street": "",
        "zip_code": "",
        "country": "",
        "email": "jane@acme.example",
        "phone_number": "",
    }
    assert await ask(client, "GET", f"/v1/customers/{jane['id']}") == (200, jane)
    assert nomod.customers[jane["id"]]["created"] == jane["created"]


async def test_a_whole_customer_keeps_every_field_and_its_province_comes_back_as_a_number(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    country = COUNTRIES["AE"]
    fields = {
        "last_name": "Doe",
        "phone_number": "+971501234567",
        "business_name": "Acme",
        "job_title": "fp:cust_1",
        "country": "AE",
        "province": country.provinces[2].id,
        "street": "Bay Square 12",
        "city": "Dubai",
        "zip_code": "00000",
    }
    _, jane = await create(client, **fields)
    assert jane == {**jane, **fields, "province": country.provinces[2].number}
    assert isinstance(jane["province"], int)
    assert nomod.customers[jane["id"]]["province"] == country.provinces[2].id


@pytest.mark.parametrize(
    "fields,code",
    [
        ({"first_name": ""}, "field_required"),
        ({"first_name": "  "}, "field_required"),
        ({"first_name": None}, "field_required"),
        ({"email": ""}, "field_required"),
        ({"last_name": None}, "field_required"),
        ({"first_name": "x" * 151}, "invalid"),
        ({"last_name": "x" * 151}, "invalid"),
        ({"business_name": "x" * 51}, "invalid"),
        ({"job_title": "x" * 51}, "invalid"),
        ({"street": "x" * 101}, "invalid"),
        ({"city": "x" * 101}, "invalid"),
        ({"zip_code": "x" * 17}, "invalid"),
        ({"first_name": 7}, "invalid"),
        ({"first_name": "a\x00b"}, "invalid"),
        ({"phone_number": "+1234567890123456"}, "invalid"),
        ({"phone_number": "0501234567"}, "invalid"),
        ({"phone_number": "+971 50 123 4567"}, "invalid"),
        ({"email": "jane"}, "invalid_email"),
        ({"email": "jane@acme"}, "invalid_email"),
        ({"email": "jane@ácme.example"}, "invalid_email"),
        ({"email": "ja..ne@acme.example"}, "invalid_email"),
        ({"country": "ae"}, "invalid_country_code"),
        ({"country": "ARE"}, "invalid_country_code"),
        ({"country": "XX"}, "invalid_country_code"),
        ({"country": "US", "province": COUNTRIES["AE"].provinces[0].id}, "invalid_province_code"),
        ({"province": COUNTRIES["AE"].provinces[0].id}, "invalid_province_code"),
        ({"country": "AE", "province": "Dubai"}, "invalid_province_code"),
    ],
)
async def test_a_field_outside_its_limits_is_refused_with_its_code_and_nothing_is_made(
    nomod: NomodSimulator, client: aiohttp.ClientSession, fields: dict[str, Any], code: str
) -> None:
    status, body = await create(client, **fields)
    assert (status, body["error"]["code"]) == (400, code)
    assert not nomod.customers
    assert not nomod.creations


@pytest.mark.parametrize(
    "fields",
    [
        {"first_name": "x" * 150},
        {"first_name": "شركة الأمل"},
        {"email": "o'brien+ap@mail.acme.example"},
        {"phone_number": "+12345678901234"},
        {"country": "GB", "zip_code": "x" * 16},
    ],
)
async def test_a_field_at_its_limit_is_taken(client: aiohttp.ClientSession, fields: dict[str, Any]) -> None:
    status, row = await create(client, **fields)
    assert status == 201
    assert row == {**row, **fields}


async def test_which_fields_are_required_can_be_set(nomod: NomodSimulator, client: aiohttp.ClientSession) -> None:
    nomod.required = frozenset({"first_name"})
    assert (await create(client, email=""))[0] == 201
    nomod.required = frozenset({"phone_number"})
    assert (await create(client, first_name=""))[1]["error"]["code"] == "field_required"


@pytest.mark.parametrize(
    "body,content_type,refusal",
    [
        (b"{", "application/json", (400, "parse_error")),
        (b'{"first_name": NaN}', "application/json", (400, "parse_error")),
        (b"[]", "application/json", (400, "invalid")),
        (b"", "application/json", (400, "field_required")),
        (b"first_name=Jane", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    nomod: NomodSimulator, client: aiohttp.ClientSession, body: bytes, content_type: str, refusal: tuple[int, str]
) -> None:
    answer = await ask(client, "POST", "/v1/customers", data=body, headers={"Content-Type": content_type})
    assert (answer[0], answer[1]["error"]["code"]) == refusal
    assert not nomod.customers


async def test_metadata_is_dropped_without_a_word_unless_it_is_set_to_be_refused(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    status, row = await create(client, metadata={"flexprice_customer_id": "cust_1"})
    assert status == 201
    assert "metadata" not in row
    assert "metadata" not in nomod.customers[row["id"]]
    nomod.refuse_metadata = True
    assert (await create(client, metadata={}))[0] == 400
    assert len(nomod.customers) == 1


async def test_duplicates_are_accepted_or_refused_as_set(nomod: NomodSimulator, client: aiohttp.ClientSession) -> None:
    await create(client)
    assert (await create(client))[0] == 201
    assert nomod.created_count("JANE@acme.example ") == 2
    nomod.duplicates = "refuse"
    status, body = await create(client, email="Jane@ACME.example")
    assert (status, body["error"]["code"]) == (400, "customer_already_exists")
    nomod.duplicate_status = 409
    assert (await create(client))[0] == 409
    assert (await create(client, email="john@acme.example"))[0] == 201
    assert nomod.created_count("jane@acme.example") == 2


async def test_duplicates_can_be_refused_by_phone_instead(nomod: NomodSimulator, client: aiohttp.ClientSession) -> None:
    nomod.duplicates, nomod.unique_field = "refuse", "phone_number"
    await create(client, phone_number="+971501234567")
    assert (await create(client, email="john@acme.example", phone_number="+971501234567"))[0] == 400
    assert (await create(client))[0] == 201


@pytest.mark.parametrize("unset,last_name,province", [("empty", "", 0), ("null", None, None), ("absent", "?", "?")])
async def test_unset_fields_are_empty_null_or_absent(
    nomod: NomodSimulator, client: aiohttp.ClientSession, unset: Any, last_name: str | None, province: object
) -> None:
    nomod.unset = unset
    _, row = await create(client)
    assert (row.get("last_name", "?"), row.get("province", "?")) == (last_name, province)
    assert row["first_name"] == "Jane"
