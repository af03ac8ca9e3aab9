"""What goes wrong at the simulated QuickBooks: the shapes of its errors, and what it leaves in every answer."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from connectors.testing.quickbooks_faults import QuickBooksFaults
from connectors.testing.simulator import Fault, FaultKind
from tests.contract.quickbooks_client import Client
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


async def test_every_answer_carries_an_intuit_tid_that_the_ledger_knows(
    sim: QuickBooksSimulator, client: Client
) -> None:
    replies = [await client.post("customer", ADA), await client.get("customer/0"), await client.refresh("x")]
    replies.append(await client.call("GET", "query", token="x", params={"query": CUSTOMERS}))
    sim.faults.add(sim.faults.xml_throttle(), sim.faults.html_unavailable())
    replies += [await client.query(CUSTOMERS), await client.query(CUSTOMERS), await client.get("no/such/path")]
    sim.faults.add(Fault(kind=FaultKind.DRIP, seconds=0))
    replies.append(await client.query(CUSTOMERS))
    assert [reply.status for reply in replies] == [200, 400, 400, 401, 429, 503, 404, 200]
    assert [reply.headers["intuit_tid"] for reply in replies] == list(sim.tids)
    assert next(iter(sim.tids.values())) == f"POST /v3/company/{sim.realm_id}/customer"


async def test_the_minor_version_of_each_call_is_recorded(sim: QuickBooksSimulator, client: Client) -> None:
    await client.query(CUSTOMERS)
    async with client.session.get(f"{sim.base_url}/v3/company/1/customer/1") as answer:
        assert answer.status == 401
    assert sim.minor_versions == ["75", None]


async def test_who_does_not_ask_for_json_gets_xml(sim: QuickBooksSimulator, client: Client) -> None:
    good = await client.call("POST", "customer", json={"DisplayName": "A & B"}, accept="*/*")
    assert good.content_type == "application/xml"
    assert "<Customer><" in good.text
    assert "<DisplayName>A &amp; B</DisplayName>" in good.text
    bad = await client.call("GET", "customer/0", accept="*/*")
    assert (bad.status, "<code>610</code>" in bad.text) == (400, True)


F = QuickBooksFaults()
SHAPES: list[tuple[str, Fault, int, str, str]] = [
    ("XML throttle", F.xml_throttle(), 429, "application/xml", 'code="3001"'),
    ("JSON throttle", F.json_throttle(), 429, "application/json", '"code":"003001"'),
    ("JSON throttle, short", F.json_throttle(leading_zeros=False), 429, "application/json", '"code":"3001"'),
    ("old throttle", F.old_throttle(), 403, "application/xml", 'code="3001"'),
    ("HTML", F.html_unavailable(), 503, "text/html", "<h1>"),
    ("XML 401", F.xml_unauthorized(), 401, "application/xml", 'code="3200"'),
    ("expired", F.token_expired(), 401, "application/json", '"fault":{"error":[{"message":'),
    ("expired, zeros", F.token_expired(leading_zeros=True), 401, "application/json", '"code":"003200"'),
    ("3100", F.not_authorized(), 403, "application/json", "errorCode=003100; statusCode=403"),
    ("service", F.service(6210, "closed"), 400, "application/json", '"Fault":{"Error":[{"Message":"Account Period'),
    ("200 with Fault", F.fault_in_ok(), 200, "application/json", '"code":"6000"'),
    ("100", F.general_authentication(), 401, "application/json", '"type":"AuthenticationFault"'),
    ("120", F.admin_removed(), 401, "application/json", '"code":"120"'),
    ("6190", F.subscription_lapsed(), 400, "application/json", '"code":"6190"'),
    ("150", F.maintenance(), 503, "application/json", '"code":"150"'),
    ("10000", F.system_failure(), 500, "application/json", '"code":"10000"'),
    ("6240", F.duplicate_name("Nom : Id=7"), 400, "application/json", "Nom : Id=7"),
]


@pytest.mark.parametrize("planned, shape", [(row[1], row[2:]) for row in SHAPES], ids=[row[0] for row in SHAPES])
async def test_a_planned_fault_has_intuits_shape_and_creates_nothing(
    sim: QuickBooksSimulator, client: Client, planned: Fault, shape: tuple[int, str, str]
) -> None:
    sim.faults.add(planned)
    reply = await client.post("customer", ADA)
    status, content_type, words = shape
    assert (reply.status, reply.content_type) == (status, content_type)
    assert words in reply.text
    assert not sim.customers
    assert not sim.calls[-1].worked


async def test_a_system_failure_may_come_after_the_work(sim: QuickBooksSimulator, client: Client) -> None:
    sim.faults.add(sim.faults.system_failure(after=True))
    reply = await client.post("customer", ADA)
    assert (reply.status, reply.code, len(sim.customers)) == (500, 10000, 1)


async def test_lost_requests_and_hangs_end_in_a_cut_connection(sim: QuickBooksSimulator, client: Client) -> None:
    sim.faults.add(sim.faults.lost_request(), sim.faults.hang(seconds=0), sim.faults.hang(after=True, seconds=0))
    for done in (0, 0, 1):
        with pytest.raises(aiohttp.ClientError):
            await client.post("customer", ADA)
        assert len(sim.customers) == done
    assert sim.faults.hang().seconds == 120


async def test_faults_of_the_api_spare_oauth_and_the_other_way_round(sim: QuickBooksSimulator, client: Client) -> None:
    sim.faults.add(sim.faults.html_unavailable(), sim.faults.token_server_down())
    assert (await client.refresh(client.refresh_token)).status == 503
    assert (await client.query(CUSTOMERS)).status == 503
    assert (await client.refresh(client.refresh_token)).status == 200
