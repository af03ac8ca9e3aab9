"""Who is taken to be the same in QuickBooks: the table of docs/quickbooks.md, from records there to the decision."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors import Customer
from connectors.quickbooks.customers import marker_of
from gateway.pipeline.matching import Adopt, Ask, Create, Decision, match
from tests.integration.quickbooks_setup import Desk, opened_desk

EMAIL = "john@example.org"
JOHN = Customer(
    source="tithely-main", platform="tithely", environment_id="prod", customer_id="user_7", given_name="John",
    family_name="Doe", email=EMAIL, currency="USD",
)  # fmt: skip
MARK, OTHER_MARK = marker_of(JOHN.reference), marker_of("tithely-main:user_8")

Seed = Callable[[Desk], None]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


def there(*records: dict[str, Any], inactive: bool = False) -> Seed:
    """These customers are in QuickBooks."""

    def seed(desk: Desk) -> None:
        for fields in records:
            record = desk.intuit.seed_customer(**fields)
            if inactive:
                desk.intuit.deactivate(record["Id"])

    return seed


def part_of_another(desk: Desk) -> None:
    parent = desk.intuit.seed_customer(DisplayName="Parent")
    desk.intuit.seed_customer(DisplayName="John Doe", email=EMAIL, Job=True, ParentRef={"value": parent["Id"]})


def in_euros(desk: Desk) -> None:
    desk.intuit.quirks.multicurrency = True
    desk.intuit.seed_customer(DisplayName="John Doe", email=EMAIL, CurrencyRef={"value": "EUR"})


PLAIN, MARY = {"DisplayName": "John Doe"}, {"DisplayName": "Mary Smith", "email": EMAIL}
CASES: dict[str, tuple[Seed, dict[str, Any], type[Decision]]] = {
    "nobody": (there(), {}, Create),
    "marked, renamed, at another address": (there({"DisplayName": "John Doe", "Notes": f"VIP {MARK}"}), {}, Adopt),
    "marked for somebody else": (there({**PLAIN, "email": EMAIL, "Notes": OTHER_MARK}), {}, Create),
    "same address and name": (there({**PLAIN, "email": "JOHN@example.org"}), {}, Adopt),
    "same address, part of the name": (there({"DisplayName": "Doe", "email": EMAIL}), {}, Adopt),
    "same address, more of the name": (there({"DisplayName": "John M Doe", "email": EMAIL}), {}, Adopt),
    "same address, another name": (there(MARY), {}, Ask),
    "same address, another name, by address": (there(MARY), {"match": "email"}, Adopt),
    "two with the address, one with the name": (there(MARY, {**PLAIN, "email": EMAIL}), {}, Adopt),
    "two with the address, none with the name": (there(MARY, {"DisplayName": "Doe Ltd", "email": EMAIL}), {}, Ask),
    "same name, another address": (there({**PLAIN, "email": "other@example.org"}), {}, Create),
    "same name, no address": (there(PLAIN), {}, Create),
    "same name, no address, by name": (there(PLAIN), {"adopt_on_name": "if_no_conflict"}, Adopt),
    "inactive": (there({**PLAIN, "email": EMAIL}, inactive=True), {}, Ask),
    "inactive, reactivate": (there({**PLAIN, "email": EMAIL}, inactive=True), {"inactive": "reactivate"}, Adopt),
    "inactive, new": (there({**PLAIN, "email": EMAIL}, inactive=True), {"inactive": "new"}, Create),
    "sub-customer": (part_of_another, {}, Create),
    "another currency": (in_euros, {}, Create),
    "another currency, not looked at": (in_euros, {"multicurrency": "off"}, Adopt),
}


@pytest.mark.parametrize("name", CASES)
async def test_the_decision_is_the_documented_one(desk: Desk, name: str) -> None:
    seed, settings, expected = CASES[name]
    seed(desk)
    connector = desk.connector(**settings)
    found = await connector.find_customers(JOHN)
    decision = match(JOHN, found, policy=connector.match_policy(), taken={})
    assert type(decision) is expected


async def test_a_customer_mapped_to_another_is_never_his(desk: Desk) -> None:
    record = desk.intuit.seed_customer(DisplayName="John Doe", email=EMAIL)
    connector = desk.connector()
    found = await connector.find_customers(JOHN)
    decision = match(JOHN, found, policy=connector.match_policy(), taken={record["Id"]: "user_9"})
    assert type(decision) is Create
