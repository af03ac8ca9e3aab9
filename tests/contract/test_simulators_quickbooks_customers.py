"""The simulated QuickBooks' names list: property rules, unique names, updates, deactivation, merges."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from connectors.testing.quickbooks import QuickBooksSimulator
from connectors.testing.quickbooks_quirks import DuplicateDetail, InactiveNames
from connectors.testing.quickbooks_wire import Refusal
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


async def test_a_create_answers_the_whole_record_and_puts_it_into_the_ledger(
    sim: QuickBooksSimulator, client: Client
) -> None:
    made = (
        await client.create(
            ADA, GivenName="Ada", FamilyName="Lovelace", Notes="[gw:billing:cus_123]",
            PrimaryEmailAddr={"Address": "ada@example.com"}, PrimaryPhone={"FreeFormNumber": "+44 20 7946 0018"},
            BillAddr={"Line1": "12 St James's Sq", "City": "London", "Country": "GBR"},
        )
    ).one("Customer")  # fmt: skip
    assert made["SyncToken"] == "0"
    assert (made["domain"], made["sparse"], made["Active"], made["Balance"]) == ("QBO", False, True, 0)
    assert (made["FullyQualifiedName"], made["PrintOnCheckName"]) == (ADA, ADA)
    assert made["CurrencyRef"]["value"] == "USD"
    assert made["MetaData"]["CreateTime"].endswith("-08:00")
    assert sim.customers[made["Id"]]["Notes"] == "[gw:billing:cus_123]"
    assert (await client.get(f"customer/{made['Id']}")).one("Customer") == made
    assert sim.customers_named("ada  LOVELACE") == sim.customers_with_email("ADA@example.com") != []


async def test_letters_of_any_script_come_back_as_they_were_sent(client: Client) -> None:
    made = (await client.create("Łukasz Żółć 😀 ‘O’Brien’")).one("Customer")
    assert made["DisplayName"] == "Łukasz Żółć 😀 ‘O’Brien’"


async def test_a_company_may_garble_letters_above_latin1(sim: QuickBooksSimulator, client: Client) -> None:
    sim.quirks.garble_non_latin1 = True
    assert (await client.create("Łukasz é")).one("Customer")["DisplayName"] == "?ukasz é"
    assert (await client.create("Žukasz é")).code == 6240


LONG: dict[str, int] = {
    "DisplayName": 500, "Title": 16, "Suffix": 16, "GivenName": 100, "MiddleName": 100, "FamilyName": 100,
    "CompanyName": 100, "PrintOnCheckName": 110, "Notes": 2000, "ResaleNum": 16,
}  # fmt: skip


@pytest.mark.parametrize("name, longest", LONG.items())
async def test_a_text_may_be_as_long_as_documented_and_not_a_letter_longer(
    client: Client, name: str, longest: int
) -> None:
    fits = await client.post("customer", {"DisplayName": "Fits", name: "x" * longest})
    assert fits.one("Customer")[name] == "x" * longest
    reply = await client.post("customer", {"DisplayName": "Too long", name: "x" * (longest + 1)})
    assert (reply.status, reply.code) == (400, 2050)
    assert f"Max:{longest:,} supported. Supplied length:{longest + 1:,}" in reply.error[1]


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"DisplayName": "a:b"}, 2040),
        ({"DisplayName": "a\tb"}, 2040),
        ({"GivenName": "a\nb"}, 2040),
        ({"FamilyName": "a:b"}, 2040),
        ({"MiddleName": "a:b"}, 2040),
        ({"Title": "a:b"}, 2040),
        ({"Suffix": "a:b"}, 2040),
        ({"PrintOnCheckName": "a:b"}, 2040),
        ({"Nickname": "x"}, 2010),
        ({"displayname": "x"}, 2010),
        ({"AcctNum": "1"}, 2010),
        ({"PrimaryEmailAddr": {"Email": "a@b.co"}}, 2010),
        ({"PrimaryEmailAddr": "a@b.co"}, 2010),
        ({"GivenName": 5}, 2010),
        ({"Active": "true"}, 2010),
        ({"PrimaryEmailAddr": {"Address": "no at sign.example"}}, 2210),
        ({"PrimaryEmailAddr": {"Address": "a@nodot"}}, 2210),
        ({"PrimaryEmailAddr": {"Address": "a@b.co, broken"}}, 2210),
        ({"PrimaryEmailAddr": {"Address": f"{'x' * 95}@b.coo"}}, 2050),
        ({"PrimaryPhone": {"FreeFormNumber": "1" * 31}}, 2050),
        ({"BillAddr": {"City": "x" * 256}}, 2050),
        ({"BillAddr": {"PostalCode": "x" * 31}}, 2050),
        ({"BillAddr": {f"Line{n}": "x" * 401 for n in range(1, 6)}}, 2050),
        ({"WebAddr": {"URI": "x" * 1001}}, 2050),
        ({"PreferredDeliveryMethod": "Pigeon"}, 2170),
        ({"CurrencyRef": {"value": "XXX"}}, 2220),
        ({"CurrencyRef": {"value": "EUR"}}, 6000),
        ({"CurrencyRef": {"name": "Euro"}}, 2020),
        ({"Job": True}, 2020),
        ({"ParentRef": {"value": "999"}}, 2500),
    ],
)
async def test_a_broken_rule_is_refused_with_its_code_and_creates_nothing(
    sim: QuickBooksSimulator, client: Client, fields: dict[str, Any], code: int
) -> None:
    reply = await client.post("customer", {"DisplayName": ADA} | fields)
    assert (reply.status, reply.code, reply.json["Fault"]["type"]) == (400, code, "ValidationFault")
    assert not sim.customers


@pytest.mark.parametrize("body", [{}, {"DisplayName": " "}, {"DisplayName": ""}, {"CompanyName": "Engines Ltd"}])
async def test_without_any_name_a_customer_is_refused_with_6080(client: Client, body: dict[str, Any]) -> None:
    assert (await client.post("customer", body)).code == 6080


async def test_a_missing_display_name_is_put_together_from_the_parts(client: Client) -> None:
    made = (await client.post("customer", {"Title": "Ms", "GivenName": "Smith", "FamilyName": "Smith"})).one("Customer")
    assert made["DisplayName"] == made["PrintOnCheckName"] == "Ms Smith Smith"


async def test_read_only_properties_and_nulls_are_ignored_without_a_word(client: Client) -> None:
    made = (await client.create(ADA, Balance=500, FullyQualifiedName="x", SyncToken="7", Notes=None)).one("Customer")
    assert (made["Balance"], made["FullyQualifiedName"], made["SyncToken"]) == (0, ADA, "0")
    assert "Notes" not in made


@pytest.mark.parametrize(
    "data, headers, status, code",
    [
        (b"{not json", {"Content-Type": "application/json"}, 400, 2010),
        (b'{"DisplayName": NaN}', {"Content-Type": "application/json"}, 400, 2010),
        (b'["DisplayName"]', {"Content-Type": "application/json"}, 400, 2010),
        (b'{"DisplayName":"R\xe9mi"}', {"Content-Type": "application/json"}, 500, 500),
        (b'{"DisplayName":"Ada"}', {"Content-Type": "text/plain"}, 400, 1050),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    client: Client, data: bytes, headers: dict[str, str], status: int, code: int
) -> None:
    reply = await client.call("POST", "customer", data=data, headers=headers)
    assert (reply.status, reply.code) == (status, code)


# ---------------------------------------------------------------- unique names


@pytest.mark.parametrize("holder", ["customer", "vendor", "employee"])
@pytest.mark.parametrize("name", [ADA, "ADA LOVELACE", "ada  lovelace", " Ada Lovelace "])
async def test_a_name_is_taken_across_customers_vendors_and_employees_whatever_case_and_space(
    sim: QuickBooksSimulator, client: Client, holder: str, name: str
) -> None:
    getattr(sim, f"seed_{holder}")(DisplayName=ADA)
    reply = await client.create(name)
    assert (reply.status, reply.code) == (400, 6240)
    assert not [row for row in sim.customers.values() if row["DisplayName"] == name and holder != "customer"]
    assert (await client.create(f"{ADA} (customer)")).status == 200


@pytest.mark.parametrize("holder", ["Customer", "Vendor", "Employee"])
@pytest.mark.parametrize("stored", list(InactiveNames))
async def test_an_inactive_record_keeps_its_name_however_it_is_stored(
    sim: QuickBooksSimulator, client: Client, holder: str, stored: InactiveNames
) -> None:
    sim.quirks.inactive_names = stored
    record = sim.company.seed(holder, DisplayName=ADA)
    sim.deactivate(record["Id"], entity=holder)
    assert (await client.create(ADA)).code == 6240
    kept = sim.company.shelves[holder].records[record["Id"]]["DisplayName"]
    assert kept == (ADA if stored is InactiveNames.KEPT else f"{ADA} (deleted)")
    assert sim.reactivate(record["Id"], entity=holder)["DisplayName"] == ADA


async def test_a_vendor_may_have_the_id_of_a_customer(sim: QuickBooksSimulator, client: Client) -> None:
    customer, vendor = sim.seed_customer(DisplayName="Bob"), sim.seed_vendor(DisplayName=ADA)
    assert customer["Id"] == vendor["Id"]
    sim.quirks.duplicate_detail = DuplicateDetail.ID
    assert (await client.create(ADA)).error == ("6240", f"The name supplied already exists. : Id={vendor['Id']}")
    assert (await client.get(f"customer/{vendor['Id']}")).one("Customer")["DisplayName"] == "Bob"


@pytest.mark.parametrize(
    "variant, message, detail",
    [
        ("null", "Duplicate Name Exists Error", "The name supplied already exists. : null"),
        (
            "text", "Duplicate Name Exists Error",
            (
                "The name supplied already exists. : Another customer, vendor or employee is already using this name."
                " Please use a different name."
            ),
        ),
        ("id", "Duplicate Name Exists Error", "The name supplied already exists. : Id=58"),
        ("french", "Nom en double", "Ce nom existe déjà. : Id=58"),
    ],
)  # fmt: skip
async def test_6240_comes_in_its_variants(
    sim: QuickBooksSimulator, client: Client, variant: str, message: str, detail: str
) -> None:
    sim.seed_customer(DisplayName=ADA)
    sim.quirks.duplicate_detail = variant
    error = (await client.create(ADA)).json["Fault"]["Error"]
    assert error == [{"Message": message, "Detail": detail, "code": "6240", "element": ""}]


async def test_a_renamed_record_frees_its_name(sim: QuickBooksSimulator, client: Client) -> None:
    record = sim.seed_vendor(DisplayName=ADA)
    sim.rename(record["Id"], "Countess", entity="Vendor")
    assert (await client.create(ADA)).status == 200
    assert (await client.create("countess")).code == 6240


def test_a_seed_obeys_the_rules_too(sim: QuickBooksSimulator) -> None:
    sim.seed_vendor(DisplayName=ADA)
    with pytest.raises(Refusal, match="6240"):
        sim.seed_customer(DisplayName=ADA)
