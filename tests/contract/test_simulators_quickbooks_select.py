"""The simulated QuickBooks' queries over HTTP: what may be asked of an entity, and which rows come."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from tests.contract.quickbooks_client import Client
from tests.contract.simulated import Clock

ALL = "select * from Customer"


@pytest.fixture
async def sim() -> AsyncIterator[QuickBooksSimulator]:
    async with QuickBooksSimulator() as running:
        running.quirks.clock = Clock()
        yield running


@pytest.fixture
async def client(sim: QuickBooksSimulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(sim, session)


@pytest.mark.parametrize(
    "statement",
    [
        f"{ALL} where Notes = 'x'",
        f"{ALL} where Nothing = 'x'",
        f"{ALL} where PrimaryPhone = '1'",
        f"{ALL} where BillAddr.City = 'x'",
        f"{ALL} where PrimaryEmailAddr.Address = 'a@b.co'",
        f"{ALL} where CurrencyRef = 'USD'",
        f"{ALL} where Id > '1'",
        f"{ALL} where Id like '1%'",
        f"{ALL} where Active like 'true'",
        f"{ALL} where Active = 'true'",
        f"{ALL} where DisplayName = 5",
        f"{ALL} where DisplayName = true",
        f"{ALL} where Balance = 'much'",
        f"{ALL} where Balance = 'NaN'",
        f"{ALL} where MetaData.CreateTime > 'yesterday'",
        f"{ALL} orderby Notes",
        "select Notes from Customer",
        "select BillAddr from Customer",
        "select Id, PrimaryEmailAddr from Customer",
        "select * from Unicorn",
        "select * from Invoice where TxnDate = '5 May'",
        "select * from Invoice where Line = 'x'",
    ],
)
async def test_what_an_entity_does_not_offer_is_refused_with_4001(client: Client, statement: str) -> None:
    reply = await client.query(statement)
    assert (reply.status, reply.code) == (400, 4001)
    assert reply.error[1].startswith("QueryValidationError: ")


async def test_a_lexical_error_comes_as_a_400_validation_fault(client: Client) -> None:
    reply = await client.query(f"{ALL} where DisplayName = 'Łukasz'")
    assert (reply.status, reply.error[0], reply.json["Fault"]["type"]) == (400, "4000", "ValidationFault")
    assert reply.json["Fault"]["Error"][0]["Message"] == "Error parsing query"


async def test_nothing_found_is_an_empty_object_and_not_an_empty_list(client: Client) -> None:
    reply = await client.query(f"{ALL} where DisplayName = 'Nobody'")
    assert reply.one("QueryResponse") == {}
    assert set(reply.json) == {"QueryResponse", "time"}


async def test_values_compare_whatever_their_case(sim: QuickBooksSimulator, client: Client) -> None:
    sim.seed_customer(DisplayName="Ada Lovelace", email="Ada@Example.com")
    for condition in (
        "DisplayName = 'ADA lovelace'", "displayname = 'ada lovelace'", "DisplayName like 'ada%'",
        "PrimaryEmailAddr = 'ada@example.COM'", "PRIMARYEMAILADDR like '%EXAMPLE%'",
    ):  # fmt: skip
        assert await client.names(f"{ALL} where {condition}") == ["Ada Lovelace"], condition


async def test_like_knows_percent_and_nothing_else(sim: QuickBooksSimulator, client: Client) -> None:
    for name in ("a.c", "abc", "a_c", "a%c"):
        sim.seed_customer(DisplayName=name)
    assert await client.names(f"{ALL} where DisplayName like 'a.c'") == ["a.c"]
    assert await client.names(f"{ALL} where DisplayName like 'a_c'") == ["a_c"]
    assert await client.names(f"{ALL} where DisplayName = 'a%c'") == ["a%c"]
    assert sorted(await client.names(f"{ALL} where DisplayName like 'a%c'")) == ["a%c", "a.c", "a_c", "abc"]
    assert await client.names(f"{ALL} where DisplayName like 'a'") == []


async def test_inactive_records_are_hidden_unless_a_condition_names_active(
    sim: QuickBooksSimulator, client: Client
) -> None:
    gone = sim.seed_customer(DisplayName="Gone")
    sim.seed_customer(DisplayName="Here")
    sim.deactivate(gone["Id"])
    assert await client.names(ALL) == ["Here"]
    assert await client.names(f"{ALL} where DisplayName = 'Gone'") == []
    assert await client.names(f"{ALL} where Active = false") == ["Gone"]
    assert sorted(await client.names(f"{ALL} where Active in (true, false)")) == ["Gone", "Here"]
    assert (await client.query("select count(*) from Customer")).one("QueryResponse") == {"totalCount": 1}


async def test_pages_are_100_rows_unless_asked_and_1000_at_most(sim: QuickBooksSimulator, client: Client) -> None:
    for number in range(120):
        sim.seed_customer(DisplayName=f"C{number:03}")
    first = (await client.query(f"{ALL} orderby DisplayName")).one("QueryResponse")
    assert [row["DisplayName"] for row in first["Customer"]] == [f"C{number:03}" for number in range(100)]
    assert (first["startPosition"], first["maxResults"]) == (1, 100)
    rest = (await client.query(f"{ALL} orderby DisplayName startposition 101 maxresults 1000")).one("QueryResponse")
    assert [row["DisplayName"] for row in rest["Customer"]] == [f"C{number:03}" for number in range(100, 120)]
    assert (rest["startPosition"], rest["maxResults"]) == (101, 20)
    assert (await client.query(f"{ALL} startposition 121")).one("QueryResponse") == {}
    counted = (await client.query("select count(*) from Customer where DisplayName < 'C050'")).one("QueryResponse")
    assert counted == {"totalCount": 50}


async def test_rows_come_in_no_stable_order_unless_asked_for_one(sim: QuickBooksSimulator, client: Client) -> None:
    for number in range(12):
        sim.seed_customer(DisplayName=f"C{number:02}")
    assert len({tuple(await client.names(ALL)) for _ in range(5)}) > 1
    ids = [row["Id"] for row in (await client.query(f"{ALL} orderby Id desc")).one("QueryResponse")["Customer"]]
    assert ids == sorted(ids, key=int, reverse=True)


async def test_a_select_list_brings_these_properties_alone_and_marks_the_row_sparse(
    sim: QuickBooksSimulator, client: Client
) -> None:
    sim.seed_customer(DisplayName="Ada", CompanyName="Engines", Notes="secret")
    (row,) = (await client.query("select displayname, metadata.createtime from customer")).one("QueryResponse")[
        "Customer"
    ]
    assert set(row) == {"DisplayName", "MetaData", "domain", "sparse"}
    assert (row["DisplayName"], set(row["MetaData"]), row["sparse"]) == ("Ada", {"CreateTime"}, True)


async def test_dates_and_numbers_compare_by_value(sim: QuickBooksSimulator, client: Client) -> None:
    sim.seed_customer(DisplayName="Old")
    assert (await client.create("New")).status == 200
    # The clock stands at 2026-11-20T08:30:00Z, which the service writes with another offset.
    since = f"{ALL} where MetaData.CreateTime >= "
    assert await client.names(f"{since}'2026-11-20T08:30:00Z'") == ["New"]
    assert await client.names(f"{since}'2026-11-20T00:30:00-08:00'") == ["New"]
    assert await client.names(f"{since}'2026-11-20T09:30:00+01:00'") == ["New"]
    assert await client.names(f"{since}'2026-11-20T08:30:01Z'") == []
    assert sorted(await client.names(f"{ALL} where Balance = 0.0 and Balance < '1'")) == ["New", "Old"]


async def test_a_missing_property_matches_nothing(sim: QuickBooksSimulator, client: Client) -> None:
    sim.seed_customer(DisplayName="No mail")
    for condition in ("PrimaryEmailAddr = ''", "PrimaryEmailAddr like '%'", "CompanyName < 'z'"):
        assert await client.names(f"{ALL} where {condition}") == []


async def test_an_address_inside_a_list_is_found_by_like_and_by_equality_only_where_set(
    sim: QuickBooksSimulator, client: Client
) -> None:
    sim.seed_customer(DisplayName="Two", email="a@x.org, b@x.org")
    assert await client.names(f"{ALL} where PrimaryEmailAddr like '%b@x.org%'") == ["Two"]
    assert await client.names(f"{ALL} where PrimaryEmailAddr = 'b@x.org'") == []
    sim.quirks.email_equals_matches_lists = True
    assert await client.names(f"{ALL} where PrimaryEmailAddr = 'b@x.org'") == ["Two"]


async def test_a_query_may_be_posted_as_application_text(sim: QuickBooksSimulator, client: Client) -> None:
    sim.seed_customer(DisplayName="Rémi")
    statement = f"{ALL} where DisplayName = 'Rémi'".encode()
    good = await client.call("POST", "query", data=statement, headers={"Content-Type": "application/text"})
    assert good.one("QueryResponse")["maxResults"] == 1
    other = await client.call("POST", "query", data=statement, headers={"Content-Type": "application/x-www-form"})
    assert (other.status, other.code) == (400, 1050)


async def test_with_query_lag_queries_see_yesterday_and_a_get_by_id_sees_today(
    sim: QuickBooksSimulator, client: Client
) -> None:
    clock = sim.quirks.clock = Clock()
    sim.quirks.query_lag = 30
    before = sim.seed_customer(DisplayName="Before")
    made = (await client.create("After")).one("Customer")
    sim.rename(before["Id"], "Renamed")
    assert await client.names(ALL) == ["Before"]
    assert (await client.get(f"customer/{made['Id']}")).one("Customer")["DisplayName"] == "After"
    clock.now += 29
    assert await client.names(ALL) == ["Before"]
    clock.now += 1
    assert sorted(await client.names(ALL)) == ["After", "Renamed"]
    sim.merge(made["Id"], before["Id"])
    assert sorted(await client.names(ALL)) == ["After", "Renamed"]
    clock.now += 30
    assert await client.names(ALL) == ["Renamed"]


async def test_employees_may_be_out_of_the_users_sight(sim: QuickBooksSimulator, client: Client) -> None:
    sim.seed_employee(DisplayName="Payroll Pat")
    assert await client.names("select * from Employee", entity="Employee") == ["Payroll Pat"]
    sim.quirks.employee_access = False
    refused = await client.query("select * from Employee")
    assert (refused.status, refused.code) == (403, 5020)
