"""The simulated Flexprice's integration mappings, with the limits that make `link` fail for Nomod."""

import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from gateway.sandbox.flexprice import API_KEY, FlexpriceSimulator
from tests.contract.simulated import Clock, ask

LINK = {"entity_type": "customer", "entity_id": "cust_1", "provider_type": "quickbooks", "provider_entity_id": "58"}


@pytest.fixture
async def flexprice(rng: random.Random) -> AsyncIterator[FlexpriceSimulator]:
    async with FlexpriceSimulator(clock=Clock(), rng=rng) as running:
        yield running


@pytest.fixture
async def client(flexprice: FlexpriceSimulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"{flexprice.api_url}/", headers={"x-api-key": API_KEY}) as session:
        yield session


async def mapped(client: aiohttp.ClientSession) -> list[dict[str, Any]]:
    status, page = await ask(client, "GET", "integrations/mappings?entity_type=customer&entity_id=cust_1")
    assert status == 200
    rows: list[dict[str, Any]] = page["items"]
    return rows


async def test_link_needs_a_connection_of_flexprices_own(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    status, body = await ask(client, "POST", "integrations/link", json=LINK)
    assert (status, body["code"]) == (400, "validation_error")
    flexprice.connect("quickbooks")
    status, body = await ask(client, "POST", "integrations/link", json={**LINK, "metadata": {"by": "ledgergate"}})
    assert status == 200
    mapping = body["mapping"]
    assert mapping == {**mapping, **LINK, "status": "published"}
    assert mapping["metadata"] == {"by": "ledgergate", "linked_via": "api", "linked_at": "2026-11-20T08:30:00Z"}
    assert await mapped(client) == [mapping]


async def test_a_new_nomod_mapping_is_refused_while_an_existing_one_can_be_changed(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    flexprice.connect("nomod")
    link = {**LINK, "provider_type": "nomod", "provider_entity_id": "nm_2"}
    assert (await ask(client, "POST", "integrations/link", json=link))[0] == 400
    old = flexprice.add_mapping("cust_1", "nomod", "nm_1")
    status, body = await ask(client, "POST", "integrations/link", json=link)
    assert (status, body["mapping"]["id"], body["mapping"]["provider_entity_id"]) == (200, old["id"], "nm_2")
    assert len(await mapped(client)) == 1


async def test_new_nomod_mappings_can_be_set_to_be_taken(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    flexprice.connect("nomod")
    flexprice.linkable.add("nomod")
    assert (await ask(client, "POST", "integrations/link", json={**LINK, "provider_type": "nomod"}))[0] == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"entity_type": "user"},
        {"entity_type": ""},
        {"entity_id": None},
        {"provider_type": "sap"},
        {"provider_entity_id": None},
        {"provider_entity_id": 58},
        {"provider_entity_id": "x" * 256},
        {"metadata": "none"},
    ],
)
async def test_a_link_that_is_not_valid_is_refused(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession, fields: dict[str, Any]
) -> None:
    flexprice.connect("quickbooks")
    assert (await ask(client, "POST", "integrations/link", json={**LINK, **fields}))[0] == 400
    assert flexprice.mappings == {}


async def test_unlinking_archives_once_and_a_link_after_it_is_a_new_mapping(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    flexprice.connect("quickbooks")
    await ask(client, "POST", "integrations/link", json=LINK)
    assert (await ask(client, "DELETE", "integrations/link", json=LINK))[0] == 200
    status, body = await ask(client, "DELETE", "integrations/link", json=LINK)
    assert (status, body["code"]) == (404, "not_found")
    assert await mapped(client) == []
    await ask(client, "POST", "integrations/link", json=LINK)
    assert [row["status"] for row in flexprice.mappings_of("cust_1")] == ["archived", "published"]


@pytest.mark.parametrize("query", ["", "entity_type=customer", "entity_id=cust_1", "entity_type=user&entity_id=cust_1"])
async def test_mappings_are_listed_by_type_and_id_only(client: aiohttp.ClientSession, query: str) -> None:
    assert (await ask(client, "GET", f"integrations/mappings?{query}"))[0] == 400


async def test_the_configuration_tells_whether_flexprice_syncs_by_itself(
    flexprice: FlexpriceSimulator, client: aiohttp.ClientSession
) -> None:
    assert await ask(client, "GET", "integrations/config") == (200, {"integrations": []})
    flexprice.connect("nomod", invoice_outbound=True)
    flexprice.connect("quickbooks")
    _, body = await ask(client, "GET", "integrations/config")
    nomod, quickbooks = body["integrations"]
    assert nomod["provider"] == "nomod"
    assert nomod["current_config"]["invoice"] == {"inbound": False, "outbound": True}
    assert nomod["current_config"]["customer"] == {"inbound": False, "outbound": False}
    assert not quickbooks["current_config"]["invoice"]["outbound"]
    assert quickbooks["base_config"]["invoice"]["outbound"]
    with pytest.raises(ValueError, match="sap"):
        flexprice.connect("sap")
