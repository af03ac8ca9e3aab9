"""The simulated Nomod's look-ups: doubtful filters, pages, lists that lag, and the ledger that tells the truth."""

import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from connectors.testing.nomod import API_KEY, NomodSimulator
from connectors.testing.simulator import Fault, FaultKind
from tests.contract.simulated import START, Clock, ask

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


async def found(client: aiohttp.ClientSession, **query: str) -> list[str]:
    status, page = await ask(client, "GET", "/v1/customers", params=query)
    assert status == 200
    assert page["count"] == len(page["results"])
    return [row["email"] for row in page["results"]]


async def test_the_filter_is_the_one_that_is_set_and_every_other_parameter_is_ignored(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    for name in ("jane", "john"):
        nomod.seed(first_name=name.title(), email=f"{name}@acme.example")
    both = ["john@acme.example", "jane@acme.example"]
    assert await found(client, email="JANE@acme.example") == ["jane@acme.example"]
    assert await found(client, email="nobody@acme.example") == []
    assert await found(client, search="jane") == both
    nomod.filter_ignores_case = False
    assert await found(client, email="JANE@acme.example") == []
    nomod.filter_mode = "search"
    assert await found(client, search="JANE") == ["jane@acme.example"]
    assert await found(client, search="acme") == both
    assert await found(client, email="jane@acme.example") == both
    nomod.filter_mode = "ignored"
    assert await found(client, email="nobody@acme.example") == both
    assert await found(client, search="nobody", ordering="email") == both


async def test_pages_follow_the_envelope_and_a_page_past_the_end_is_a_404(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    for number in range(45):
        nomod.seed(first_name=str(number))
    nomod.newest_first = False
    status, first = await ask(client, "GET", "/v1/customers")
    assert (status, first["count"], len(first["results"]), first["previous"]) == (200, 45, 20, None)
    assert first["next"] == f"{nomod.url}/v1/customers?page=2"
    _, last = await ask(client, "GET", "/v1/customers?page=3")
    assert (len(last["results"]), last["next"]) == (5, None)
    assert last["previous"] == f"{nomod.url}/v1/customers?page=2"
    seen = [row["first_name"] for row in first["results"] + last["results"]]
    assert seen == [str(number) for number in [*range(20), *range(40, 45)]]
    for page in ("4", "0", "-1", "x"):
        status, body = await ask(client, "GET", f"/v1/customers?page={page}")
        assert (status, body["error"]["code"]) == (404, "not_found")
    assert len((await ask(client, "GET", "/v1/customers?page_size=1000"))[1]["results"]) == 45
    nomod.max_page_size = 30
    assert len((await ask(client, "GET", "/v1/customers?page_size=1000"))[1]["results"]) == 30
    assert len((await ask(client, "GET", "/v1/customers?page_size=none"))[1]["results"]) == 20


async def test_an_empty_list_has_one_empty_page(client: aiohttp.ClientSession) -> None:
    empty: dict[str, object] = {"count": 0, "next": None, "previous": None, "results": []}
    assert await ask(client, "GET", "/v1/customers?page=1") == (200, empty)


async def test_the_lists_lag_behind_while_reading_by_id_does_not(
    nomod: NomodSimulator, client: aiohttp.ClientSession, clock: Clock
) -> None:
    nomod.search_lag = 30
    old = nomod.seed(first_name="Old", email="old@acme.example")
    _, jane = await create(client)
    assert await found(client, email=JANE["email"]) == []
    assert await found(client) == ["old@acme.example"]
    assert (await ask(client, "GET", f"/v1/customers/{jane['id']}"))[0] == 200
    nomod.duplicates = "refuse"
    assert (await create(client))[0] == 400, "uniqueness does not lag"
    clock.now += 30
    assert await found(client, email=JANE["email"]) == [JANE["email"]]
    assert list(nomod.customers) == [old, jane["id"]]


@pytest.mark.parametrize("customer_id", ["7a0b7c1e-0000-4000-8000-000000000000", "cust_1"])
async def test_an_unknown_id_is_a_404_in_the_envelope(client: aiohttp.ClientSession, customer_id: str) -> None:
    status, body = await ask(client, "GET", f"/v1/customers/{customer_id}")
    assert (status, body["error"]["code"]) == (404, "not_found")


async def test_people_change_and_remove_customers_behind_the_apis_back(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    _, jane = await create(client)
    nomod.edit(jane["id"], email="new@acme.example", job_title="CFO")
    assert await found(client, email=JANE["email"]) == []
    assert (await ask(client, "GET", f"/v1/customers/{jane['id']}"))[1]["job_title"] == "CFO"
    nomod.remove(jane["id"])
    assert (await ask(client, "GET", f"/v1/customers/{jane['id']}"))[0] == 404
    assert await found(client) == []
    assert nomod.created_count(JANE["email"]) == 1, "what was made stays in the ledger"
    with pytest.raises(KeyError):
        nomod.edit(jane["id"], email="x@acme.example")


async def test_seeded_customers_are_a_day_old_and_are_no_creations(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    key = str(uuid.uuid4())
    assert nomod.seed(first_name="Jane", email=JANE["email"], customer_id=key, created=START) == key
    other = nomod.seed(first_name="Jane", email=JANE["email"], last_name="Doe")
    assert nomod.customers[other]["created"] == "2026-11-19T08:30:00.000000Z"
    assert [row["id"] for row in nomod.with_email(JANE["email"])] == [key, other]
    assert nomod.created_count(JANE["email"]) == 0
    with pytest.raises(TypeError, match="notes"):
        nomod.seed(first_name="Jane", notes="no such field")
    assert await found(client) == [JANE["email"]] * 2


async def test_answers_are_dated_by_the_services_own_clock(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/customers") as answer:
        assert answer.headers["Date"] == "Fri, 20 Nov 2026 08:30:00 GMT"


async def test_one_seed_gives_one_history() -> None:
    ids = []
    for _ in range(2):
        async with NomodSimulator(rng=random.Random(7)) as nomod:
            ids.append([nomod.seed(first_name="A"), nomod.seed(first_name="B")])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


async def test_places_and_currencies_are_looked_up_by_the_ids_of_the_lists(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    _, countries = await ask(client, "GET", "/v1/countries")
    assert len(countries) == 249
    assert [row["name"] for row in countries] == sorted(row["name"] for row in countries)
    emirates = next(row for row in countries if row["code"] == "AE")
    _, provinces = await ask(client, "GET", f"/v1/countries/{emirates['id']}/provinces")
    dubai = next(row for row in provinces if row["name"] == "Dubai")
    assert (await create(client, country="AE", province=dubai["id"]))[0] == 201
    assert (await ask(client, "GET", "/v1/countries/AE/provinces"))[0] == 404
    assert (await ask(client, "GET", "/v1/currencies"))[1][0] == {"code": "AED", "decimals": 2}
    nomod.lookups_paged = True
    assert (await ask(client, "GET", "/v1/countries?page_size=100&page=3"))[1]["count"] == 249


async def test_a_lost_answer_to_a_create_leaves_one_customer_that_the_caller_knows_nothing_of(
    nomod: NomodSimulator, client: aiohttp.ClientSession
) -> None:
    nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v1/customers"))
    with pytest.raises(aiohttp.ClientError):
        await create(client)
    assert nomod.created_count(JANE["email"]) == 1
    assert await found(client, email=JANE["email"]) == [JANE["email"]]
    nomod.faults.add(Fault(kind=FaultKind.THROTTLE))
    status, body = await create(client)
    assert (status, body["error"]["code"]) == (429, "throttled")
    assert nomod.created_count(JANE["email"]) == 1
