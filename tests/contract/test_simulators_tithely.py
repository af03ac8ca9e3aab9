"""The simulated Tithely: thin rows, whole charges, text for numbers, and failures that come as HTTP 200."""

import base64
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.tithely import PRIVATE_KEY, PUBLIC_KEY, TithelySimulator
from tests.contract.simulated import START, Clock, ask

NOW = int(START.timestamp())
JANE: dict[str, Any] = {"first_name": "Jane", "last_name": "Doe", "email": "jane@example.com"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tithely(clock: Clock, rng: random.Random) -> AsyncIterator[TithelySimulator]:
    async with TithelySimulator(clock=clock, rng=rng) as running:
        yield running


@pytest.fixture
async def client(tithely: TithelySimulator) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": aiohttp.encode_basic_auth(PUBLIC_KEY, PRIVATE_KEY)}
    async with aiohttp.ClientSession(f"{tithely.api_url}/", headers=headers) as session:
        yield session


async def listed(client: aiohttp.ClientSession, tithely: TithelySimulator, **query: Any) -> list[str]:
    params = {"organization_id": tithely.organization_id, **{name: str(value) for name, value in query.items()}}
    status, body = await ask(client, "GET", "charges-list", params=params)
    assert (status, body["status"]) == (200, "success")
    return [row["charge_id"] for row in body["data"]]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        f"Bearer {PRIVATE_KEY}",
        "Basic !!",
        "Basic " + base64.b64encode(f"{PRIVATE_KEY}:{PUBLIC_KEY}".encode()).decode(),
        "Basic " + base64.b64encode(f"{PUBLIC_KEY}:".encode()).decode(),
    ],
)
async def test_without_the_key_pair_the_answer_is_a_failure_with_status_200(
    tithely: TithelySimulator, authorization: str
) -> None:
    charge_id = tithely.add_gift(**JANE)
    async with aiohttp.ClientSession(headers={"Authorization": authorization}) as stranger:
        answer = await ask(stranger, "GET", f"{tithely.api_url}/charges/{charge_id}")
    assert answer == (200, {"status": "fail", "reason": "Invalid API credentials"})


async def test_a_row_of_the_list_is_thin_and_the_charge_behind_it_is_whole(
    tithely: TithelySimulator, client: aiohttp.ClientSession
) -> None:
    charge_id = tithely.add_gift(**JANE, amount=2500, fees=103, giving_type="Offering")
    _, body = await ask(client, "GET", f"charges-list?organization_id={tithely.organization_id}")
    (row,) = body["data"]
    assert (row["charge_id"], row["organization"]) == (charge_id, tithely.organization_id)
    assert row["donor_account"].startswith("user_")
    assert row["payment_method"].startswith("pm_")
    assert "Jane" not in str(row)
    status, charge = await ask(client, "GET", f"charges/{charge_id}")
    assert (status, charge["status"], charge["charge_id"], charge["type"]) == (200, "success", charge_id, "Charge")
    gift = charge["object"]
    assert (gift["amount"], gift["fees"], gift["net_amount"]) == ("2500", "103", "2397")
    assert (gift["charge_date"], gift["deposit_date"]) == (str(NOW), "pending")
    assert (gift["charge_status"], gift["currency"], gift["giving_type"]) == ("charged", "USD", "Offering")
    donor = gift["donor_account"]
    assert (donor["account_id"], donor["email"]) == (row["donor_account"], "jane@example.com")
    assert (donor["first_name"], donor["last_name"]) == ("Jane", "Doe")
    assert (gift["organization"]["name"], gift["payment_method"]["last_4_digits"]) == ("Hope Church", "4242")
    _, account = await ask(client, "GET", f"accounts/{row['donor_account']}")
    assert account["object"] == donor


async def test_amounts_are_sometimes_numbers(tithely: TithelySimulator, client: aiohttp.ClientSession) -> None:
    charge_id = tithely.add_gift(**JANE, amount=2500)
    tithely.amounts_as = "number"
    assert (await ask(client, "GET", f"charges/{charge_id}"))[1]["object"]["amount"] == 2500


async def test_several_gifts_of_one_donor_share_an_account(
    tithely: TithelySimulator, client: aiohttp.ClientSession
) -> None:
    donor = tithely.add_donor(**JANE, street_address="1 Main St", country="US")
    other = tithely.add_gift(first_name="John")
    gifts = [tithely.add_gift(donor_id=donor) for _ in range(2)]
    status, body = await ask(client, "GET", "charges-list", params={"account_id": donor})
    assert (status, {row["charge_id"] for row in body["data"]}) == (200, set(gifts))
    assert tithely.accounts[donor]["address"]["street_address"] == "1 Main St"
    assert other in await listed(client, tithely)
    with pytest.raises(KeyError):
        tithely.add_gift(donor_id="user_unknown")


async def test_a_page_has_ten_rows_unless_asked_and_the_next_one_starts_after_a_row(
    tithely: TithelySimulator, client: aiohttp.ClientSession
) -> None:
    gifts = [tithely.add_gift(**JANE, created=NOW + number) for number in range(25)]
    newest = gifts[::-1]
    first = await listed(client, tithely)
    assert first == newest[:10]
    assert await listed(client, tithely, starting_after=first[-1]) == newest[10:20]
    assert await listed(client, tithely, starting_after=newest[-1]) == []
    assert await listed(client, tithely, ending_before=newest[15], limit=5) == newest[10:15]
    assert await listed(client, tithely, limit=100) == newest
    assert await listed(client, tithely, order_by="ASC", limit=3) == gifts[:3]
    assert await listed(client, tithely, order_by="ASC", limit=3, starting_after=gifts[2]) == gifts[3:6]


async def test_the_bounds_of_time_are_outside_the_range(
    tithely: TithelySimulator, client: aiohttp.ClientSession
) -> None:
    gifts = [tithely.add_gift(**JANE, created=NOW + number) for number in range(4)]
    assert await listed(client, tithely, created_after=NOW, order_by="ASC") == gifts[1:]
    assert await listed(client, tithely, created_after=NOW, created_before=NOW + 2) == [gifts[1]]


@pytest.mark.parametrize(
    "query,reason",
    [
        ("limit=10", "organization_id or account_id"),
        ("organization_id=org_other", "Organization not found"),
        ("organization_id={org}&limit=101", "limit"),
        ("organization_id={org}&limit=0", "limit"),
        ("organization_id={org}&created_after=2026-11-20", "created_after"),
        ("organization_id={org}&order_by=up", "order_by"),
        ("organization_id={org}&starting_after=ch_unknown", "No such charge"),
    ],
)
async def test_a_list_that_is_not_valid_fails_with_status_200_and_a_reason(
    tithely: TithelySimulator, client: aiohttp.ClientSession, query: str, reason: str
) -> None:
    status, body = await ask(client, "GET", f"charges-list?{query.format(org=tithely.organization_id)}")
    assert (status, body["status"]) == (200, "fail")
    assert reason in body["reason"]


async def test_what_is_not_there_fails_with_status_200(
    tithely: TithelySimulator, client: aiohttp.ClientSession
) -> None:
    for path in ("charges/ch_unknown", "accounts/user_unknown", "organizations/org_unknown"):
        status, body = await ask(client, "GET", path)
        assert (status, body["status"]) == (200, "fail")
    _, body = await ask(client, "GET", f"organizations/{tithely.organization_id}")
    assert body["object"]["organization_id"] == tithely.organization_id
    assert (await ask(client, "POST", "charges-list", json={}))[0] == 405
    assert (await ask(client, "GET", f"{tithely.url}/api/v2/charges-list"))[0] == 404


async def test_one_seed_gives_one_history() -> None:
    ids = []
    for _ in range(2):
        async with TithelySimulator(rng=random.Random(7)) as tithely:
            ids.append([tithely.add_gift(**JANE), tithely.add_gift(**JANE)])
    assert ids[0] == ids[1]
