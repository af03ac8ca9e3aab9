"""The simulated QuickBooks' records after their creation: reads, updates, merges, settings, batches and change data."""

import copy
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from tests.contract.quickbooks_client import Client

ADA = "Ada Lovelace"


@pytest.fixture
async def sim() -> AsyncIterator[QuickBooksSimulator]:
    async with QuickBooksSimulator() as running:
        yield running


@pytest.fixture
async def client(sim: QuickBooksSimulator) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(sim, session)


async def test_an_unknown_id_answers_610(client: Client) -> None:
    reply = await client.get("customer/4711")
    assert (reply.status, reply.code) == (400, 610)
    assert "made inactive" in reply.error[1]


async def test_a_get_by_id_shows_an_inactive_record(sim: QuickBooksSimulator, client: Client) -> None:
    record = sim.seed_customer(DisplayName=ADA)
    sim.deactivate(record["Id"])
    assert (await client.get(f"customer/{record['Id']}")).one("Customer")["Active"] is False


async def test_a_sparse_update_touches_only_what_is_sent_and_raises_the_sync_token(
    sim: QuickBooksSimulator, client: Client
) -> None:
    record = sim.seed_customer(DisplayName=ADA, GivenName="Ada", Notes="hers", email="ada@example.com")
    body = {"Id": record["Id"], "SyncToken": "0", "sparse": True, "Notes": "", "CompanyName": "Engines"}
    changed = (await client.post("customer", body)).one("Customer")
    assert (changed["SyncToken"], changed["CompanyName"], changed["GivenName"]) == ("1", "Engines", "Ada")
    assert changed["PrimaryEmailAddr"] == {"Address": "ada@example.com"}
    assert "Notes" not in changed
    assert changed["MetaData"]["CreateTime"] == record["MetaData"]["CreateTime"]
    assert changed["MetaData"]["LastUpdatedTime"] > record["MetaData"]["LastUpdatedTime"]


async def test_a_sparse_update_cannot_blank_a_display_name(sim: QuickBooksSimulator, client: Client) -> None:
    record = sim.seed_customer(DisplayName=ADA)
    body = {"Id": record["Id"], "SyncToken": "0", "sparse": True, "DisplayName": "", "PrintOnCheckName": ""}
    changed = (await client.post("customer", body)).one("Customer")
    assert changed["DisplayName"] == changed["PrintOnCheckName"] == ADA


async def test_a_full_update_clears_what_it_leaves_out(sim: QuickBooksSimulator, client: Client) -> None:
    record = sim.seed_customer(DisplayName=ADA, Notes="hers", email="ada@example.com")
    body = {"Id": record["Id"], "SyncToken": "0", "DisplayName": ADA}
    changed = (await client.post("customer", body)).one("Customer")
    assert "Notes" not in changed
    assert "PrimaryEmailAddr" not in changed
    assert changed["Id"] == record["Id"]


@pytest.mark.parametrize(
    "change, code",
    [
        ({"SyncToken": "4"}, 5010),
        ({"SyncToken": None}, 5010),
        ({"Id": "4711"}, 610),
        ({"Id": 58}, 2030),
        ({"CurrencyRef": {"value": "EUR"}}, 6000),
        ({"DisplayName": "Taken"}, 6240),
    ],
)
async def test_a_bad_update_is_refused_and_changes_nothing(
    sim: QuickBooksSimulator, client: Client, change: dict[str, Any], code: int
) -> None:
    record = copy.deepcopy(sim.seed_customer(DisplayName=ADA))
    sim.seed_vendor(DisplayName="Taken")
    body = {"Id": record["Id"], "SyncToken": "0", "sparse": True, "Notes": "new"} | change
    assert (await client.post("customer", body)).code == code
    assert sim.customers[record["Id"]] == record


async def test_an_update_without_a_sync_token_is_refused_with_2020(sim: QuickBooksSimulator, client: Client) -> None:
    record = sim.seed_customer(DisplayName=ADA)
    assert (await client.post("customer", {"Id": record["Id"], "sparse": True, "Notes": "x"})).code == 2020


async def test_an_inactive_customer_can_only_be_made_active(sim: QuickBooksSimulator, client: Client) -> None:
    key = sim.seed_customer(DisplayName=ADA)["Id"]
    off = (await client.post("customer", {"Id": key, "SyncToken": "0", "sparse": True, "Active": False})).one(
        "Customer"
    )
    assert (off["Active"], off["SyncToken"]) == (False, "1")
    note = await client.post("customer", {"Id": key, "SyncToken": "1", "sparse": True, "Notes": "x"})
    assert note.code == 610
    on = (await client.post("customer", {"Id": key, "SyncToken": "1", "sparse": True, "Active": True})).one("Customer")
    assert (on["Active"], on["SyncToken"], on["DisplayName"]) == (True, "2", ADA)


async def test_a_customer_with_an_open_balance_cannot_be_made_inactive(
    sim: QuickBooksSimulator, client: Client
) -> None:
    key = sim.seed_customer(DisplayName=ADA)["Id"]
    line = {
        "Amount": 10, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {"ItemRef": {"value": "1"}}
    }  # fmt: skip
    invoice = (await client.post("invoice", {"CustomerRef": {"value": key}, "Line": [line]})).one("Invoice")
    assert sim.customers[key]["Balance"] == 10
    off = {"Id": key, "SyncToken": sim.customers[key]["SyncToken"], "sparse": True, "Active": False}
    refused = await client.post("customer", off)
    assert (refused.code, "non-zero balance" in refused.error[1]) == (6000, True)
    sim.pay(invoice["Id"])
    assert sim.customers[key]["Balance"] == 0
    assert (await client.post("customer", off)).status == 200


async def test_customers_cannot_be_deleted(sim: QuickBooksSimulator, client: Client) -> None:
    key = sim.seed_customer(DisplayName=ADA)["Id"]
    reply = await client.post("customer", {"Id": key, "SyncToken": "0"}, operation="delete")
    assert reply.code == 500
    assert key in sim.customers


async def test_a_merge_kills_the_losing_id_and_moves_its_invoices(sim: QuickBooksSimulator, client: Client) -> None:
    loser, winner = (sim.seed_customer(DisplayName=name)["Id"] for name in ("Ada L.", ADA))
    line = {
        "Amount": Decimal("12.5"), "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": "1"}},
    }  # fmt: skip
    made = sim.company.seed("Invoice", CustomerRef={"value": loser}, Line=[line])
    sim.merge(loser, winner)
    assert (await client.get(f"customer/{loser}")).code == 610
    assert await client.names("select * from Customer where Active in (true, false)") == [ADA]
    assert sim.merged == {loser: winner}
    assert sim.invoices[made["Id"]]["CustomerRef"]["value"] == winner
    assert sim.customers[winner]["Balance"] == Decimal("12.50")
    assert (
        await client.post("invoice", {"CustomerRef": {"value": loser}, "Line": [line | {"Amount": 1}]})
    ).code == 2500
    assert (await client.create("Ada L.")).status == 200
    with pytest.raises(ValueError, match="cannot merge"):
        sim.merge(winner, winner)


async def test_a_sub_customer_is_named_after_its_parent(sim: QuickBooksSimulator, client: Client) -> None:
    parent = sim.seed_customer(DisplayName=ADA)["Id"]
    made = (await client.create("Project X", Job=True, ParentRef={"value": parent})).one("Customer")
    assert (made["FullyQualifiedName"], made["Job"]) == (f"{ADA}:Project X", True)


# ---------------------------------------------------------------- currencies and settings


async def test_with_multicurrency_a_customer_has_a_currency_for_life(sim: QuickBooksSimulator, client: Client) -> None:
    sim.quirks.multicurrency = True
    made = (await client.create(ADA, CurrencyRef={"value": "EUR"})).one("Customer")
    assert made["CurrencyRef"]["value"] == "EUR"
    assert (await client.create("At home")).one("Customer")["CurrencyRef"]["value"] == "USD"
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "CurrencyRef": {"value": "USD"}}
    assert (await client.post("customer", change)).code == 6000
    prefs = (await client.query("select * from Preferences")).one("QueryResponse")["Preferences"][0]
    assert prefs["CurrencyPrefs"] == {"MultiCurrencyEnabled": True, "HomeCurrency": {"value": "USD"}}
    assert (await client.get("preferences")).one("Preferences") == prefs


async def test_company_info_tells_the_companys_name_under_its_realm(sim: QuickBooksSimulator, client: Client) -> None:
    info = (await client.get(f"companyinfo/{sim.realm_id}")).one("CompanyInfo")
    assert (info["CompanyName"], info["Country"]) == ("Sandbox Company_US_1", "US")
    assert (await client.get("companyinfo/1")).code == 610
    found = (await client.query("select * from CompanyInfo")).one("QueryResponse")["CompanyInfo"]
    assert found == [info]


async def test_vendors_and_employees_are_created_and_read_like_customers(
    sim: QuickBooksSimulator, client: Client
) -> None:
    vendor = (await client.post("vendor", {"DisplayName": "Paper Co", "AcctNum": "7"})).one("Vendor")
    employee = (await client.post("employee", {"GivenName": "Pat", "FamilyName": "Roll"})).one("Employee")
    assert (await client.get(f"vendor/{vendor['Id']}")).one("Vendor") == vendor
    assert (await client.get(f"employee/{employee['Id']}")).one("Employee")["DisplayName"] == "Pat Roll"
    assert (set(sim.vendors), set(sim.employees)) == ({vendor["Id"]}, {employee["Id"]})
    assert (await client.post("vendor", {"DisplayName": "x", "Notes": "customers only"})).code == 2010


async def test_change_data_capture_tells_what_changed_and_which_ids_died(
    sim: QuickBooksSimulator, client: Client
) -> None:
    loser, winner = (sim.seed_customer(DisplayName=name)["Id"] for name in ("Ada L.", ADA))
    since = (await client.create("New")).one("Customer")["MetaData"]["CreateTime"]
    sim.merge(loser, winner)
    reply = (await client.get("cdc", entities="Customer,Vendor", changedSince=since)).json
    customers, vendors = reply["CDCResponse"][0]["QueryResponse"]
    found = {row.get("DisplayName", row["Id"]): row.get("status") for row in customers["Customer"]}
    assert found == {"New": None, loser: "Deleted"}
    assert vendors == {}
    assert (await client.get("cdc", entities="Unicorn", changedSince=since)).code == 2010
    assert (await client.get("cdc", entities="Customer", changedSince="2001-01-01T00:00:00Z")).code == 2010


async def test_in_a_batch_each_item_succeeds_or_fails_for_itself(sim: QuickBooksSimulator, client: Client) -> None:
    sim.seed_vendor(DisplayName="Taken")
    items: list[dict[str, Any]] = [
        {"bId": "1", "operation": "create", "Customer": {"DisplayName": ADA}},
        {"bId": "2", "operation": "create", "Customer": {"DisplayName": "Taken"}},
        {"bId": "3", "Query": "select * from Vendor"},
    ]
    reply = await client.post("batch", {"BatchItemRequest": items}, requestid="b" * 36)
    one, two, three = reply.json["BatchItemResponse"]
    assert (reply.status, one["Customer"]["DisplayName"], two["Fault"]["Error"][0]["code"]) == (200, ADA, "6240")
    assert three["QueryResponse"]["maxResults"] == 1
    again = await client.post("batch", {"BatchItemRequest": items}, requestid="b" * 36)
    assert again.text == reply.text
    assert len(sim.customers) == 1
    assert (await client.post("batch", {"BatchItemRequest": items}, requestid="b" * 37)).code == 2130
    assert (await client.post("batch", {"BatchItemRequest": items * 11})).code == 1040
    odd = await client.post("batch", {"BatchItemRequest": [{"bId": "1"}]})
    assert odd.json["BatchItemResponse"][0]["Fault"]["Error"][0]["code"] == "2010"
    assert (await client.post("batch", {"BatchItemRequest": [{"bId": "x" * 11}]})).code == 2010


async def test_paths_are_case_sensitive_and_unknown_ones_refused(client: Client) -> None:
    assert (await client.get("Customer/58")).code == 500
    assert (await client.post("unicorn", {})).code == 500
    assert (await client.post("companyinfo", {})).code == 500
    assert (await client.get("customer/58/invoices")).status == 404
