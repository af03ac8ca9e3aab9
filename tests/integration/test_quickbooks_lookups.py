"""Finding customers in QuickBooks by address, name and marker, however they are written and stored."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors import LookupImpossibleError
from connectors.testing.quickbooks_quirks import InactiveNames
from tests.integration.quickbooks_setup import KEY, QUERY, Desk, customer, ids, opened_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "ada@example.com"},
        {"email": "ADA@Example.com", "given_name": "Someone", "family_name": "Else"},
        {"email": "o'brien@example.com"},
        {"email": "", "given_name": "Adam's", "family_name": "Candy \\"},
        {"email": "", "given_name": "50% off", "family_name": "\\'"},
        {"email": "", "given_name": "Ädä", "family_name": "O'Nöel & Søn"},
        {"email": "", "given_name": "Łukasz", "family_name": "Żak"},
        {"email": "", "given_name": "“Curly”", "family_name": "O’Brien 😀"},
        {"email": "", "given_name": "小龍", "family_name": "李"},
        {"email": "", "given_name": "50%", "family_name": "Łódź\\"},
        {"email": "żak@example.com"},
        {"email": "", "name": "N" * 99 + " ł" + "w" * 60, "given_name": "", "family_name": ""},
    ],
)
async def test_what_was_created_is_found_again(desk: Desk, fields: dict[str, str]) -> None:
    for index in range(30):
        desk.intuit.seed_customer(DisplayName=f"Guest {index} Łódź", email=f"guest{index}@example.com")
    connector = desk.connector()
    one = customer(**fields)
    assert await connector.find_customers(one) == []
    for variant in range(connector.variants):
        intent = desk.intent(variant, key=f"{KEY[:-1]}{variant + 2}")
        made = await connector.create_customer(one, intent=intent)
        for found in (await connector.find_customers(one), await connector.find_customers(one, intent=intent)):
            (mine,) = [each for each in found if each.provider_entity_id == made.provider_entity_id]
            assert mine.marker == one.reference
    assert len(await connector.find_customers(one)) == 3


async def test_inactive_records_are_found_under_both_ways_of_storing_them(desk: Desk) -> None:
    for way, name in zip(InactiveNames, ("Ada Lovelace", "Bob Lovelace"), strict=True):
        desk.intuit.quirks.inactive_names = way
        desk.intuit.deactivate(desk.intuit.seed_customer(DisplayName=name)["Id"])
        (found,) = await desk.connector().find_customers(customer(given_name=name.split()[0], email=""))
        assert (found.name, found.active) == (name, False)


async def test_only_equal_addresses_and_names_are_brought_back(desk: Desk) -> None:
    desk.intuit.seed_customer(DisplayName="Ada Lovelace King", email="ada@example.com.au")
    desk.intuit.seed_customer(DisplayName="Ada", email="xada@example.com")
    assert await desk.connector().find_customers(customer()) == []


async def test_several_records_with_one_address_all_come_back_however_many(desk: Desk) -> None:
    for index in range(1003):
        desk.intuit.seed_customer(DisplayName=f"Branch {index}", email="ada@example.com")
    found = await desk.connector().find_customers(customer())
    assert len(ids(found)) == 1003


async def test_an_address_among_several_is_found_where_the_setting_says_so(desk: Desk) -> None:
    record = desk.intuit.seed_customer(DisplayName="Engines", email="office@example.com, ada@example.com")
    assert await desk.connector().find_customers(customer()) == []
    (found,) = await desk.connector(match_multi_email=True).find_customers(customer())
    assert found.provider_entity_id == record["Id"]
    assert found.emails == ("office@example.com", "ada@example.com")


async def test_a_record_renamed_and_readdressed_since_is_found_by_its_marker(desk: Desk) -> None:
    connector, intent = desk.connector(), desk.intent()
    made = await connector.create_customer(customer(), intent=intent)
    moved = customer(given_name="Augusta", family_name="King", email="augusta@example.com")
    (found,) = await connector.find_customers(moved, intent=intent)
    assert (found.provider_entity_id, found.marker) == (made.provider_entity_id, moved.reference)
    assert not found.holds_name


async def test_a_name_that_cannot_be_asked_for_costs_no_scan_while_an_address_decides(desk: Desk) -> None:
    connector = desk.connector()
    lee = customer(given_name="小龍", family_name="李")
    await connector.find_customers(lee)
    assert ["PrimaryEmailAddr" in statement for statement in desk.statements()] == [True]


async def test_a_look_up_that_cannot_be_read_is_not_an_empty_one(desk: Desk) -> None:
    faults = desk.intuit.faults
    connector = desk.connector()
    faults.add(faults.service(4000, "QueryParserError", route=QUERY, times=50))
    with pytest.raises(LookupImpossibleError):
        await connector.find_customers(customer())
    with pytest.raises(LookupImpossibleError):
        await connector.find_customers(customer(email=""))


async def test_an_unreadable_name_query_falls_back_on_reading_the_list(desk: Desk) -> None:
    record = desk.intuit.seed_customer(DisplayName="Ada Lovelace")
    desk.intuit.faults.add(desk.intuit.faults.service(4000, "QueryParserError", route=QUERY))
    (found,) = await desk.connector().find_customers(customer(email=""))
    assert found.provider_entity_id == record["Id"]


async def test_an_address_query_proves_absence_when_the_name_cannot_be_asked(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.service(4000, "QueryParserError", route=QUERY, skip=1))
    assert await desk.connector().find_customers(customer()) == []


async def test_nothing_is_found_while_the_index_lags_and_everything_after_it(desk: Desk) -> None:
    desk.intuit.quirks.query_lag = 30
    connector, intent = desk.connector(), desk.intent()
    made = await connector.create_customer(customer(), intent=intent)
    assert await connector.find_customers(customer(), intent=intent) == []
    desk.clock.advance(seconds=31)
    assert ids(await connector.find_customers(customer(), intent=intent)) == {made.provider_entity_id}
