"""The simulated QuickBooks' gateway: request ids, limits, who may come in, and the shapes of what goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from connectors.testing.quickbooks_quirks import RequestIdMode
from tests.contract.quickbooks_client import Client, until
from tests.contract.simulated import Clock

ADA = {"DisplayName": "Ada Lovelace"}
CUSTOMERS = "select * from Customer"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sim(clock: Clock) -> AsyncIterator[QuickBooksSimulator]:
    async with QuickBooksSimulator() as running:
        running.quirks.clock = clock
        yield running


@pytest.fixture
async def client(sim: QuickBooksSimulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(sim, session)


# ---------------------------------------------------------------- request ids


async def test_a_repeated_request_id_gets_the_first_answer_and_executes_nothing(
    sim: QuickBooksSimulator, client: Client
) -> None:
    first = await client.post("customer", ADA, requestid="r-1")
    again = await client.post("customer", ADA, requestid="r-1")
    other_body = await client.post("customer", {"DisplayName": "Bob"}, requestid="r-1")
    assert first.status == 200
    assert first.text == again.text == other_body.text
    assert first.headers["intuit_tid"] != again.headers["intuit_tid"]
    assert len(sim.customers) == 1
    assert sim.requests.replayed == ["r-1", "r-1"]


async def test_request_ids_are_one_space_for_all_writes_of_a_company(client: Client) -> None:
    first = await client.post("customer", ADA, requestid="r-1")
    assert (await client.post("vendor", {"DisplayName": "Bob"}, requestid="r-1")).text == first.text


async def test_a_lost_answer_is_found_again_by_its_request_id(sim: QuickBooksSimulator, client: Client) -> None:
    sim.faults.add(sim.faults.lost_answer())
    with pytest.raises(aiohttp.ClientError):
        await client.post("customer", ADA, requestid="r-1")
    (key,) = sim.customers
    assert (await client.post("customer", ADA, requestid="r-1")).one("Customer")["Id"] == key
    assert len(sim.customers) == 1


async def test_a_refusal_is_remembered_unless_switched_off(sim: QuickBooksSimulator, client: Client) -> None:
    holder = sim.seed_vendor(**ADA)
    assert (await client.post("customer", ADA, requestid="r-1")).code == 6240
    sim.rename(holder["Id"], "Somebody else", entity="Vendor")
    assert (await client.post("customer", ADA, requestid="r-1")).code == 6240
    sim.requests.forget()
    sim.quirks.requestid_remembers_refusals = False
    sim.rename(holder["Id"], ADA["DisplayName"], entity="Vendor")
    assert (await client.post("customer", ADA, requestid="r-1")).code == 6240
    sim.rename(holder["Id"], "Somebody else", entity="Vendor")
    assert (await client.post("customer", ADA, requestid="r-1")).status == 200


async def test_request_ids_may_be_forgotten_after_a_while(
    sim: QuickBooksSimulator, client: Client, clock: Clock
) -> None:
    sim.quirks.requestid_mode, sim.quirks.requestid_memory = RequestIdMode.FORGET, 60
    body = {"CustomerRef": {"value": sim.seed_customer(**ADA)["Id"]}, "Line": [line()]}
    first = await client.post("invoice", body, requestid="r-1")
    clock.now += 59
    assert (await client.post("invoice", body, requestid="r-1")).text == first.text
    clock.now += 1
    assert (await client.post("invoice", body, requestid="r-1")).text != first.text
    assert len(sim.invoices) == 2


async def test_request_ids_may_be_ignored(sim: QuickBooksSimulator, client: Client) -> None:
    sim.quirks.requestid_mode = "off"
    await client.post("customer", ADA, requestid="r-1")
    assert (await client.post("customer", ADA, requestid="r-1")).code == 6240


@pytest.mark.parametrize("request_id, code", [("r" * 50, None), ("r" * 51, 2130), ("", 2130)])
async def test_a_request_id_has_1_to_50_characters(
    sim: QuickBooksSimulator, client: Client, request_id: str, code: int | None
) -> None:
    reply = await client.post("customer", ADA, requestid=request_id)
    assert (None if reply.status == 200 else reply.code) == code
    assert len(sim.customers) == (code is None)


async def test_a_slow_write_is_finished_although_its_caller_went_away(sim: QuickBooksSimulator, client: Client) -> None:
    gate, waiting = asyncio.Event(), asyncio.Event()

    async def slowly() -> None:
        waiting.set()
        await gate.wait()

    sim.quirks.write_gate = slowly
    caller = asyncio.create_task(client.post("customer", ADA, requestid="r-1"))
    await waiting.wait()
    meanwhile = await client.post("customer", ADA, requestid="r-1")
    assert (meanwhile.status, meanwhile.code) == (400, 600)
    assert not sim.customers
    caller.cancel()
    await until(lambda: sim.limits.running == 0)
    gate.set()
    await until(lambda: sim.customers)
    again = await client.post("customer", ADA, requestid="r-1")
    assert again.one("Customer")["Id"] in sim.customers
    assert len(sim.customers) == 1


def line(amount: int = 1) -> dict[str, Any]:
    detail = {"ItemRef": {"value": "1"}}
    return {"Amount": amount, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("limit, window", [("per_minute", 60), ("per_second", 1)])
async def test_one_call_too_many_gets_a_429_in_xml_until_the_window_has_passed(
    sim: QuickBooksSimulator, client: Client, clock: Clock, limit: str, window: int
) -> None:
    setattr(sim.limits, limit, 2)
    assert [(await client.query(CUSTOMERS)).status for _ in range(2)] == [200, 200]
    refused = await client.post("customer", ADA)
    assert (refused.status, refused.content_type) == (429, "application/xml")
    assert 'code="3001"' in refused.text
    assert "ThrottleExceeded; errorCode=003001; statusCode=429" in refused.text
    assert "Retry-After" not in refused.headers
    assert (sim.limits.throttled, len(sim.customers)) == (1, 0)
    clock.now += window
    assert (await client.post("customer", ADA)).status == 200


async def test_a_429_may_carry_retry_after(sim: QuickBooksSimulator, client: Client) -> None:
    sim.limits.per_second, sim.limits.retry_after = 0, 7
    assert (await client.query(CUSTOMERS)).headers["Retry-After"] == "7"


async def test_a_used_up_month_blocks_reads_and_spares_writes(sim: QuickBooksSimulator, client: Client) -> None:
    sim.limits.month_blocked = True
    assert (await client.query(CUSTOMERS)).status == 429
    assert (await client.get("customer/1")).status == 429
    assert (await client.get("preferences")).status == 429
    assert (await client.post("customer", ADA)).status == 200
    assert sim.limits.throttled == 3


async def test_calls_at_once_are_counted_and_may_be_limited(sim: QuickBooksSimulator, client: Client) -> None:
    gate = asyncio.Event()

    async def wait(*_: object) -> None:
        await gate.wait()

    sim.hook = wait
    calls = [asyncio.create_task(client.query(CUSTOMERS)) for _ in range(3)]
    await until(lambda: len(sim.calls) == 3)
    sim.limits.at_once = 2
    gate.set()
    replies = await asyncio.gather(*calls)
    assert sim.limits.peak == 3
    assert 429 in [reply.status for reply in replies]
    assert sim.limits.running == 0


# ---------------------------------------------------------------- who may come in


@pytest.mark.parametrize("header, code", [("", 3202), ("Bearer ", 3202), ("Basic eA==", 3202), ("Bearer x", 3200)])
async def test_without_a_valid_token_the_gateway_answers_401_in_lower_case(
    sim: QuickBooksSimulator, client: Client, header: str, code: int
) -> None:
    reply = await client.call("POST", "customer", json=ADA, headers={"Authorization": header})
    assert (reply.status, reply.code) == (401, code)
    body = reply.json
    assert body["fault"]["type"] == "AUTHENTICATION"
    assert body["fault"]["error"][0]["message"] == f"message=AuthenticationFailed; errorCode=00{code}; statusCode=401"
    assert (body["warnings"], body["batchItemResponse"], "Fault" in body) == (None, [], False)
    assert not sim.customers


async def test_an_access_token_ends_after_an_hour(sim: QuickBooksSimulator, client: Client, clock: Clock) -> None:
    clock.now += 3599
    assert (await client.query(CUSTOMERS)).status == 200
    clock.now += 1
    reply = await client.query(CUSTOMERS)
    assert (reply.status, reply.error[0]) == (401, "3200")
    assert reply.error[1].startswith("Token expired")


async def test_a_token_of_another_company_is_refused_with_3100(sim: QuickBooksSimulator, client: Client) -> None:
    sim.add_company("999", "Other Ltd")
    token, _ = sim.issue_tokens("999")
    for realm, bearer in ((sim.realm_id, token), ("999", client.access), ("12345", client.access)):
        reply = await client.call("GET", "query", realm=realm, token=bearer, params={"query": CUSTOMERS})
        assert (reply.status, reply.code) == (403, 3100)
        assert "ApplicationAuthorizationFailed" in reply.text
    own = await client.call("GET", "companyinfo/999", realm="999", token=token)
    assert own.one("CompanyInfo")["CompanyName"] == "Other Ltd"
