"""Finalized invoices whose webhook never came are found at the platform, each once, and never those of long ago."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors.testing.faults import Fault, FaultKind
from gateway.pipeline.polling import poll_state
from gateway.sandbox.flexprice import FlexpriceSimulator
from tests.configuring import SOURCE
from tests.harness import Rig, open_rig
from tests.integration.polling_setup import HOUR, SEARCH, begun, keys_of, looked, wake
from tests.invariants import check_secrecy


async def ready(rig: Rig, **spec: Any) -> None:
    """Configure source and connection, and wait until the poller has seen the source."""
    await rig.add_flexprice(**spec)
    await rig.add_nomod()
    wake(rig)
    await begun(rig, SOURCE)


@pytest.mark.parametrize("platform", ["flexprice", "tirdad"])
async def test_an_invoice_whose_webhook_never_came_makes_its_customer_exist(rig: Rig, platform: str) -> None:
    await ready(rig, platform=platform)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = rig.flexprice.add_invoice(ada["id"])
    state = await looked(rig, SOURCE, ahead=60)
    await rig.finish()
    assert await rig.linked(ada["id"]) in rig.nomod.customers
    assert await keys_of(rig) == [f"reconcile:{invoice['id']}"]
    assert (state.delivered, state.error) == (1, None)
    await rig.check(all_linked=True)


async def test_further_looks_find_it_handled(rig: Rig) -> None:
    await ready(rig)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    rig.flexprice.add_invoice(ada["id"])
    state = await looked(rig, SOURCE, ahead=60)
    await rig.finish()
    for _ in range(3):
        state = await looked(rig, SOURCE, after=state)
        assert state.delivered == 0
    assert len(await keys_of(rig)) == 1
    assert len(rig.nomod.customers) == 1


async def test_an_invoice_whose_webhook_came_is_left_alone(rig: Rig) -> None:
    await ready(rig)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    delivery_id = await rig.finalize(ada["id"])
    await rig.finish()
    state = await looked(rig, SOURCE, ahead=60)
    assert state.delivered == 0
    assert [d.delivery_id for d in (await rig.store.list_deliveries()).items] == [delivery_id]


async def test_a_webhook_that_comes_after_all_does_no_work(rig: Rig) -> None:
    await ready(rig)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = rig.flexprice.add_invoice(ada["id"])
    await looked(rig, SOURCE, ahead=60)
    await rig.finish()
    late = await rig.announce(invoice["id"])
    await rig.finish()
    assert (await rig.delivery(late)).status == "ignored"
    assert len(rig.nomod.customers) == 1
    await rig.check()


async def test_invoices_from_before_the_source_was_set_up_are_history(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    rig.flexprice.add_invoice(ada["id"])
    rig.clock.advance(60)
    await ready(rig)
    state = None
    for _ in range(3):
        state = await looked(rig, SOURCE, after=state)
    assert len(rig.flexprice.calls_of(SEARCH)) == 3
    assert await keys_of(rig) == []


async def test_drafts_are_none_of_its_business_until_they_are_finalized(rig: Rig) -> None:
    await ready(rig)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = rig.flexprice.add_invoice(ada["id"], status="DRAFT")
    state = await looked(rig, SOURCE, ahead=60)
    assert await keys_of(rig) == []
    rig.clock.advance(48 * HOUR)
    rig.flexprice.finalize_invoice(invoice["id"])
    await looked(rig, SOURCE, after=state, ahead=120)
    assert await keys_of(rig) == [f"reconcile:{invoice['id']}"]
    await rig.finish()


async def test_an_invoice_that_is_voided_before_the_work_is_done_ends_as_ignored(rig: Rig) -> None:
    await ready(rig)
    await rig.pause("nomod-prod")
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoice = rig.flexprice.add_invoice(ada["id"])
    await looked(rig, SOURCE, ahead=60)
    rig.flexprice.void_invoice(invoice["id"])
    await rig.resume("nomod-prod")
    await rig.finish()
    (delivery,) = (await rig.store.list_deliveries()).items
    assert (delivery.status, "VOIDED" in (delivery.reason or "")) == ("ignored", True)
    assert rig.nomod.customers == {}


async def test_the_events_of_a_day_without_a_gateway_are_made_up_for(rig: Rig) -> None:
    await ready(rig)
    state = await looked(rig, SOURCE)
    await rig.stop_nodes()
    customers = [rig.flexprice.add_customer(name=f"N {n}", email=f"n{n}@example.com") for n in range(3)]
    for customer in customers:
        rig.clock.advance(8 * HOUR)
        rig.flexprice.add_invoice(customer["id"])
    rig.clock.advance(HOUR)
    await rig.start_node()
    await looked(rig, SOURCE, after=state)
    await rig.finish()
    assert {await rig.linked(customer["id"]) for customer in customers} == set(rig.nomod.customers)
    assert len(rig.nomod.customers) == 3
    await rig.check(all_linked=True)


async def test_more_than_one_page_is_read(rig: Rig) -> None:
    await ready(rig)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    invoices = [rig.flexprice.add_invoice(ada["id"])["id"] for _ in range(210)]
    state = await looked(rig, SOURCE, ahead=60)
    assert len(rig.flexprice.calls_of(SEARCH)) == 2
    assert state.delivered == 210
    await rig.finish()
    assert await keys_of(rig) == sorted(f"reconcile:{invoice}" for invoice in invoices)
    assert len(rig.nomod.customers) == 1


class Forgetful(FlexpriceSimulator):
    """A version that passes over all filters of a search."""

    async def body(self, request: web.Request) -> dict[str, Any]:
        """Read a body without its filters."""
        body = await super().body(request)
        return {name: value for name, value in body.items() if name not in ("filters", "invoice_status")}


async def test_a_version_that_ignores_the_filters_brings_no_history_back(rig: Rig) -> None:
    async with Forgetful(clock=rig.clock.unix) as flexprice:
        ada = flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
        flexprice.add_invoice(ada["id"])
        rig.clock.advance(30 * 24 * HOUR)
        await ready(rig, api_url=flexprice.api_url)
        flexprice.add_invoice(ada["id"], status="DRAFT")
        new = flexprice.add_invoice(ada["id"])
        await looked(rig, SOURCE, ahead=60)
        assert await keys_of(rig) == [f"reconcile:{new['id']}"]
        await rig.finish()


@pytest.mark.parametrize("spec", [{"options": {"reconcile_seconds": 0}}, {"api_key": None}])
async def test_switched_off_or_without_a_key_nothing_is_asked(rig: Rig, spec: dict[str, Any]) -> None:
    await rig.add_flexprice("flexprice-off", **spec)
    await ready(rig)
    rig.clock.advance(HOUR)
    await looked(rig, SOURCE)
    assert await poll_state(rig.store, "flexprice-off") == {}
    assert len(rig.flexprice.calls_of(SEARCH)) == 1


async def test_the_interval_is_a_setting_and_a_shorter_one_counts_at_once(rig: Rig) -> None:
    await ready(rig, options={"reconcile_seconds": 604_800})
    await rig.add_flexprice(options={"reconcile_seconds": 1})
    state = await looked(rig, SOURCE, by=2)
    assert state.looked_at is not None
    assert (state.next_at - state.looked_at).total_seconds() < 60


# What goes wrong -----------------------------------------------------------------------------------------------------


async def test_an_api_that_cannot_be_reached_disturbs_nothing_and_is_said_once(
    rig: Rig, capfd: pytest.CaptureFixture[str]
) -> None:
    await rig.add_flexprice("flexprice-gone", api_url="http://127.0.0.1:9/v1")
    await ready(rig)
    state = None
    for _ in range(3):
        state = await looked(rig, "flexprice-gone", after=state)
    assert state is not None
    assert (state.failures, (state.error or {})["code"]) == (3, "source_unavailable")
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    assert await rig.linked(ada["id"]) is not None
    written = "".join(capfd.readouterr())
    assert written.count("poll_failed") == 1
    check_secrecy(written, secrets=[rig.flexprice.api_key])


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.REFUSE, route=SEARCH), Fault(kind=FaultKind.FAIL_AFTER, route=SEARCH),
        Fault(kind=FaultKind.DROP_AFTER, route=SEARCH), Fault(kind=FaultKind.GARBAGE, route=SEARCH),
        Fault(kind=FaultKind.HTML, route=SEARCH), Fault(kind=FaultKind.THROTTLE, route=SEARCH, retry_after=3600),
        Fault(kind=FaultKind.GARBAGE, route=SEARCH, body=b'{"items":{}}'), Fault(kind=FaultKind.HALF, route=SEARCH),
        Fault(kind=FaultKind.REFUSE, route=SEARCH, status=404), Fault(kind=FaultKind.REDIRECT, route=SEARCH),
    ],
)  # fmt: skip
async def test_after_any_failure_the_next_look_finds_all(rig: Rig, fault: Fault) -> None:
    await ready(rig)
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    rig.flexprice.add_invoice(ada["id"])
    rig.flexprice.faults.add(fault)
    failed = await looked(rig, SOURCE, ahead=60)
    assert (failed.failures, failed.polled_at) == (1, None)
    if fault.retry_after and failed.looked_at:
        assert (failed.next_at - failed.looked_at).total_seconds() >= fault.retry_after
    state = await looked(rig, SOURCE, after=failed)
    assert (state.failures, state.error, state.delivered) == (0, None, 1)
    await rig.finish()
    await rig.check(all_linked=True)


@pytest.mark.parametrize(
    "row", [{}, {"id": "inv_1"}, {"id": 7, "customer_id": "c"}, {"id": "x" * 300, "customer_id": "c"}]
)
async def test_rows_that_are_no_invoices_are_passed_over(rig: Rig, row: dict[str, Any]) -> None:
    rows = [{"invoice_status": "FINALIZED", "finalized_at": "2026-01-01T00:00:00Z", **row}, None, "row"]
    body = web.json_response({"items": rows, "pagination": {"total": True}}).body
    assert isinstance(body, bytes)
    await ready(rig)
    rig.flexprice.faults.add(Fault(kind=FaultKind.GARBAGE, route=SEARCH, body=body))
    state = await looked(rig, SOURCE)
    assert (state.error, state.delivered) == (None, 0)


async def test_the_clock_set_back_stops_no_looks(rig: Rig) -> None:
    await ready(rig)
    before = await looked(rig, SOURCE, ahead=30 * 24 * HOUR)
    state = await looked(rig, SOURCE, after=before, by=-29 * 24 * HOUR)
    assert state.watermark < before.watermark
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    rig.flexprice.add_invoice(ada["id"])
    assert (await looked(rig, SOURCE, after=state, ahead=60)).delivered == 1
    await rig.finish()


# Several processes ---------------------------------------------------------------------------------------------------


async def test_two_gateways_never_double_the_work(tmp_path: Path) -> None:
    async with open_rig(tmp_path) as rig:
        for _ in range(2):
            await rig.start_node()
        await ready(rig)
        customers = [rig.flexprice.add_customer(name=f"N {n}", email=f"n{n}@example.com") for n in range(8)]
        for customer in customers:
            rig.flexprice.add_invoice(customer["id"])
        state = await looked(rig, SOURCE, ahead=60)
        state = await looked(rig, SOURCE, after=state)
        await rig.finish()
        assert len(rig.flexprice.calls_of(SEARCH)) == 2
        assert len(await keys_of(rig)) == 8
        assert len(rig.nomod.customers) == 8
        await rig.check(all_linked=True)
