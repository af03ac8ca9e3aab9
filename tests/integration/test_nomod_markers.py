"""Looking customers up in Nomod by the marker that they carry: told apart, hinted at, and found in recovery."""

from collections.abc import AsyncIterator

import pytest

from connectors import LookupImpossibleError
from connectors.testing.nomod import FilterMode
from tests.integration.nomod_setup import MODES, Desk, crowd, customer, ids, opened_desk


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened_desk() as opened:
        yield opened


async def test_a_marked_customer_is_told_from_others_with_the_same_address(desk: Desk) -> None:
    connector = desk.connector(marker=True)
    ours = await connector.create_customer(customer(), intent=desk.intent())
    theirs = await connector.create_customer(customer(customer_id="cust_2"), intent=desk.intent())
    app = desk.nomod.seed(first_name="Mona", email="mona@example.com", job_title="Director")
    found = {row.provider_entity_id: row.marker for row in await desk.connector().find_customers(customer())}
    assert found == {
        ours.provider_entity_id: "flexprice-prod:cust_1",
        theirs.provider_entity_id: "flexprice-prod:cust_2",
        app: None,
    }
    assert connector.marks_records
    assert not desk.connector().marks_records


async def test_a_hint_tells_whose_marker_it_carries_unless_it_is_a_hash(desk: Desk) -> None:
    connector = desk.connector(marker=True)
    short = await connector.create_customer(customer(), intent=desk.intent())
    long = customer(customer_id="c" * 60)
    hashed = await connector.create_customer(long, intent=desk.intent())
    hints = [await connector.get_customer(made.provider_entity_id) for made in (short, hashed)]
    assert [hint.marker for hint in hints if hint] == ["flexprice-prod:cust_1", None]
    found = await connector.find_customers(long)
    assert {row.provider_entity_id: row.marker for row in found}[hashed.provider_entity_id] == long.reference


@pytest.mark.parametrize("mode", MODES)
async def test_a_customer_without_an_address_is_found_by_its_marker_alone(desk: Desk, mode: FilterMode) -> None:
    desk.nomod.filter_mode, desk.nomod.required = mode, frozenset({"first_name"})
    crowd(desk, 120)
    one, connector = customer(email=""), desk.connector(marker=True)
    assert await connector.find_customers(one) == []
    made = await connector.create_customer(one, intent=desk.intent())
    (found,) = await connector.find_customers(one)
    assert (found.provider_entity_id, found.marker, found.emails) == (made.provider_entity_id, one.reference, ())


async def test_without_address_and_marker_nothing_can_be_proven(desk: Desk) -> None:
    with pytest.raises(LookupImpossibleError):
        await desk.connector().find_customers(customer(email=""))
    assert desk.nomod.calls == []


async def test_a_marked_customer_whose_address_has_changed_is_found_in_recovery(desk: Desk) -> None:
    desk.nomod.filter_mode = "ignored"
    connector = desk.connector(marker=True)
    made = await connector.create_customer(customer(), intent=desk.intent())
    changed = customer(email="mona@new.example")
    assert ids(await connector.find_customers(changed, intent=desk.intent())) == {made.provider_entity_id}
