"""Tithely's charges are polled: into the same inbox, each once, whatever the list does and whoever else looks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from aiohttp import web

from connectors.testing.faults import Fault, FaultKind
from gateway.pipeline.polling import poll_state
from gateway.sandbox.flexprice_records import Record
from gateway.sandbox.tithely import TithelySimulator
from tests.harness import QUICKBOOKS, Rig, open_rig
from tests.integration.polling_setup import (
    CHARGE,
    HOUR,
    LIST,
    TITHELY,
    add_tithely,
    first_look,
    jane_gives,
    keys_of,
    looked,
    looks,
    poll_config,
)
from tests.invariants import every


@pytest.fixture
async def church(tmp_path: Path) -> AsyncIterator[Rig]:
    """A church with QuickBooks, whose Tithely is not set up yet."""
    async with open_rig(tmp_path) as rig:
        await rig.add_quickbooks(outbound=False)
        yield rig


async def test_a_gift_that_nobody_sent_makes_its_donor_a_customer(church: Rig) -> None:
    address = {"street_address": "1 Elm St", "city": "Austin", "state": "TX", "postal": "78701", "country": "US"}
    jane = church.tithely.add_donor(
        first_name="Jane", last_name="Doe", email="jane@example.com", phone_number="+1 512 555 0100", **address
    )
    charge_id = church.tithely.add_gift(donor_id=jane, amount=2500)
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    await church.finish()
    (record,) = church.intuit.customers.values()
    assert (record["DisplayName"], record["PrimaryEmailAddr"]["Address"]) == ("Jane Doe", "jane@example.com")
    assert record["BillAddr"]["City"] == "Austin"
    assert await church.linked(jane, QUICKBOOKS) == record["Id"]
    (delivery,) = await every(church.store.list_deliveries)
    assert (delivery.delivery_key, delivery.scheme, delivery.status) == (f"poll:{charge_id}", "poll", "processed")
    assert (delivery.subject, delivery.event_type) == (charge_id, "transaction.created")
    assert (state.delivered, state.error) == (1, None)
    await church.check(all_linked=True)


async def test_each_gift_is_read_once_however_often_the_list_shows_it(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    gifts = [jane_gives(church) for _ in range(3)]
    for _ in range(4):
        state = await looked(church, TITHELY, after=state)
        await church.finish()
    assert sorted(call.path.rpartition("/")[2] for call in church.tithely.calls_of(CHARGE)) == sorted(gifts)
    assert await keys_of(church, TITHELY) == sorted(f"poll:{charge_id}" for charge_id in gifts)
    assert len(church.intuit.customers) == 1


async def test_a_gift_that_came_as_a_webhook_is_not_fetched_again(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    await church.send(church.tithely.event(jane_gives(church)), source=TITHELY)
    await church.finish()
    await looked(church, TITHELY, after=state)
    assert church.tithely.calls_of(CHARGE) == []
    assert len(await keys_of(church, TITHELY)) == 1


async def test_a_webhook_after_the_poll_does_no_work(church: Rig) -> None:
    charge_id = jane_gives(church)
    await add_tithely(church, poll=poll_config(church))
    await first_look(church)
    await church.finish()
    delivery_id = await church.send(church.tithely.event(charge_id), source=TITHELY)
    await church.finish()
    delivery = await church.delivery(delivery_id)
    assert (delivery.status, "already synced" in (delivery.reason or "")) == ("ignored", True)
    assert len(church.intuit.customers) == 1


async def test_without_poll_settings_nothing_is_asked(church: Rig) -> None:
    await add_tithely(church)
    await add_tithely(church, name="tithely-polled", poll=poll_config(church))
    await first_look(church, "tithely-polled")
    assert await poll_state(church.store, TITHELY) == {}
    assert looks(church) == 1


async def test_the_api_shows_how_the_looks_have_gone(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    status, shown = await church.api("GET", f"/api/v1/sources/{TITHELY}")
    assert (status, shown["polling"]["last_poll_error"], shown["polling"]["last_poll_delivered"]) == (200, None, 0)
    assert shown["polling"]["last_polled_at"] == shown["polling"]["watermark"]
    church.tithely.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route=LIST, times=9))
    await looked(church, TITHELY, after=state)
    _, shown = await church.api("GET", f"/api/v1/sources/{TITHELY}")
    assert shown["polling"]["last_poll_error"]["code"] == "source_unavailable"
    assert church.tithely.private_key not in str(shown)


async def test_a_long_list_is_read_to_its_end(church: Rig) -> None:
    now = church.clock.unix()
    gifts = [jane_gives(church, created=now - 1000 + number) for number in range(250)]
    await add_tithely(church, poll=poll_config(church))
    assert (await first_look(church)).delivered == 250
    await church.finish()
    assert await keys_of(church, TITHELY) == sorted(f"poll:{charge_id}" for charge_id in gifts)
    assert len(church.intuit.customers) == 1


async def test_what_was_given_long_before_the_set_up_is_history(church: Rig) -> None:
    old = jane_gives(church, created=church.clock.unix() - 2 * HOUR)
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    state = await looked(church, TITHELY, after=state, ahead=7 * HOUR)  # one that goes far back
    assert state.long_at is not None
    assert f"poll:{old}" not in await keys_of(church, TITHELY)


async def test_gifts_of_the_days_when_the_gateway_was_down_are_found(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    await church.stop_nodes()
    gifts = []
    for _ in range(3):
        church.clock.advance(24 * HOUR)
        gifts.append(jane_gives(church))
    await church.start_node()
    await looked(church, TITHELY, after=state)
    assert await keys_of(church, TITHELY) == sorted(f"poll:{charge_id}" for charge_id in gifts)
    await church.finish()


async def test_money_that_is_charged_days_later_is_found_then(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    slow = jane_gives(church, charge_status="pending")
    failed = jane_gives(church, charge_status="failed")
    state = await looked(church, TITHELY, after=state)
    church.tithely.charges[slow]["charge_status"] = "Charged"
    state = await looked(church, TITHELY, after=state, ahead=4 * 24 * HOUR)
    await church.finish()
    assert await keys_of(church, TITHELY) == [f"poll:{slow}"]
    assert f"poll:{failed}" not in await keys_of(church, TITHELY)


async def test_a_charge_that_is_taken_back_between_list_and_reading_is_left(church: Rig) -> None:
    charge_id = jane_gives(church)

    class Changing(TithelySimulator):
        """The list says charged, the charge itself does not any more."""

        def _get_charge(self, request: web.Request) -> Record:
            answer = super()._get_charge(request)
            return {**answer, "object": {**answer["object"], "charge_status": "refunded"}}

    async with Changing(clock=church.clock.unix) as tithely:
        tithely.charges, tithely.accounts = church.tithely.charges, church.tithely.accounts
        tithely.organization_id = church.tithely.organization_id
        await add_tithely(church, poll=poll_config(church, base_url=tithely.api_url))
        await first_look(church)
        assert [call.path.rpartition("/")[2] for call in tithely.calls_of(CHARGE)] == [charge_id]
    assert await keys_of(church, TITHELY) == []


@pytest.mark.parametrize("amounts_as", ["text", "number"])
async def test_cents_are_kept_as_text_however_they_come(church: Rig, amounts_as: Literal["text", "number"]) -> None:
    church.tithely.amounts_as = amounts_as
    jane_gives(church, amount=2500)
    await add_tithely(church, poll=poll_config(church))
    await first_look(church)
    (listed,) = await every(church.store.list_deliveries)
    delivery = await church.delivery(listed.delivery_id)
    assert b'"amount":"2500"' in (delivery.body or b"")
    assert delivery.headers == b"[]"
