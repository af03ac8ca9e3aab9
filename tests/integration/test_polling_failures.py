"""What goes wrong when Tithely's charges are polled, and several processes that poll: nothing is lost or read twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.testing.faults import Fault, FaultKind
from gateway import keys
from gateway.app import Gateway
from gateway.pipeline.polling import Poller, poll_state
from gateway.sandbox.flexprice_records import Record
from gateway.sandbox.tithely import TithelySimulator
from tests.harness import Rig, open_rig
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
    tithely_spec,
    wake,
)
from tests.invariants import check_secrecy


@pytest.fixture
async def church(tmp_path: Path) -> AsyncIterator[Rig]:
    """A church with QuickBooks, whose Tithely is not set up yet."""
    async with open_rig(tmp_path) as rig:
        await rig.add_quickbooks(outbound=False)
        yield rig


# What goes wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error_status", [200, 401])
async def test_a_wrong_key_pair_is_said_once_and_shown_and_cured_by_a_right_one(
    church: Rig, capfd: pytest.CaptureFixture[str], error_status: int
) -> None:
    church.tithely.error_status = error_status
    charge_id = jane_gives(church)
    await add_tithely(church, poll=poll_config(church, private_key=SecretStr("pri_wrong_0123456789")))
    state = await first_look(church)
    for _ in range(2):
        state = await looked(church, TITHELY, after=state)
    shown = await poll_state(church.store, TITHELY)
    assert shown["last_poll_error"]["code"] == "source_authentication_failed"
    assert shown["last_polled_at"] is None
    written = "".join(capfd.readouterr())
    assert written.count("poll_failed") == 1
    check_secrecy(written, secrets=["pri_wrong", church.tithely.private_key])
    await add_tithely(church, poll=poll_config(church))
    state = await looked(church, TITHELY, after=state)
    assert (await poll_state(church.store, TITHELY))["last_poll_error"] is None
    assert await keys_of(church, TITHELY) == [f"poll:{charge_id}"]
    assert "poll_back" in "".join(capfd.readouterr())


async def test_each_failure_waits_longer_up_to_an_hour(church: Rig) -> None:
    church.tithely.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route=LIST, times=100))
    await add_tithely(church, poll=poll_config(church, interval_seconds=600))
    state = await first_look(church)
    waits = []
    for _ in range(5):
        assert state.looked_at is not None
        waits.append((state.next_at - state.looked_at).total_seconds())
        state = await looked(church, TITHELY, after=state)
    assert [round(wait / 600) for wait in waits[:3]] in ([1, 2, 4], [1, 2, 5])  # give or take a tenth
    assert all(3000 < wait < 4200 for wait in waits[3:])


async def test_a_failure_in_the_middle_loses_nothing(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    gifts = [jane_gives(church) for _ in range(5)]
    church.tithely.faults.add(Fault(kind=FaultKind.HTML, route=CHARGE, skip=2, times=10))
    failed = await looked(church, TITHELY, after=state)
    assert (failed.failures, failed.watermark) == (1, state.watermark)
    church.tithely.faults.clear()
    await looked(church, TITHELY, after=failed, ahead=30 * HOUR)
    await church.finish()
    assert await keys_of(church, TITHELY) == sorted(f"poll:{charge_id}" for charge_id in gifts)
    assert len(church.intuit.customers) == 1


@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.FAIL_BEFORE, FaultKind.GARBAGE])
async def test_one_charge_that_cannot_be_read_holds_up_no_other_and_is_tried_again(
    church: Rig, kind: FaultKind
) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    bad, *good = [jane_gives(church) for _ in range(3)]
    tries = 1 if kind is FaultKind.REFUSE else 2  # a failure in passing is tried once more within the look
    church.tithely.faults.add(Fault(kind=kind, route=f"GET /api/v1/charges/{bad}", times=tries))
    state = await looked(church, TITHELY, after=state)
    assert await keys_of(church, TITHELY) == sorted(f"poll:{charge_id}" for charge_id in good)
    assert (state.error or {})["code"] == "incomplete"
    assert bad in (state.error or {})["detail"]
    state = await looked(church, TITHELY, after=state)
    assert f"poll:{bad}" in await keys_of(church, TITHELY)
    assert state.error is None
    await church.finish()


async def test_a_source_that_is_switched_off_is_not_polled(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    await first_look(church)
    before = looks(church)
    (row,) = await church.store.list_sources()
    await church.store.put_source(replace(row, status="disabled"))
    await church.refresh()
    await add_tithely(church, name="tithely-other", poll=poll_config(church))
    church.clock.advance(HOUR)
    await first_look(church, "tithely-other")
    assert looks(church) == before + 1


class Stubborn(TithelySimulator):
    """A Tithely that ignores where a page should start."""

    def _windowed(self, rows: list[Record], after: str | None, before: str | None, limit: int) -> list[Record]:
        """Return the first rows, always."""
        del after, before
        return rows[:limit]


@pytest.mark.parametrize("number,delivered,failures", [(40, 40, 0), (140, 100, 1)])
async def test_a_list_that_repeats_itself_ends_and_is_told_from_a_short_one(
    church: Rig, number: int, delivered: int, failures: int
) -> None:
    async with Stubborn(clock=church.clock.unix) as tithely:
        jane = tithely.add_donor(first_name="Jane", email="jane@example.com")
        for _ in range(number):
            tithely.add_gift(donor_id=jane)
        await add_tithely(
            church, poll=poll_config(church, organization_id=tithely.organization_id, base_url=tithely.api_url)
        )
        state = await first_look(church)
        assert len(await keys_of(church, TITHELY)) == delivered
        assert state.failures == failures
        await church.finish()


# Several processes ---------------------------------------------------------------------------------------------------


async def test_of_several_processes_one_polls_at_a_time(church: Rig) -> None:
    for _ in range(2):
        await church.start_node()
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    gifts = []
    for _ in range(3):
        gifts.append(jane_gives(church))
        state = await looked(church, TITHELY, after=state)
        await church.finish()
    assert looks(church) == 4
    assert sorted(call.path.rpartition("/")[2] for call in church.tithely.calls_of(CHARGE)) == sorted(gifts)
    assert len(church.intuit.customers) == 1


async def test_another_process_goes_on_where_one_has_died_in_the_middle_of_a_look(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    # A process that was killed leaves its lease behind.
    await church.store.take_lease(f"poll:{TITHELY}", owner="gone", now=state.next_at, lease=timedelta(minutes=2))
    charge_id = jane_gives(church)
    await looked(church, TITHELY, after=state, ahead=10 * 60)
    assert await keys_of(church, TITHELY) == [f"poll:{charge_id}"]
    await church.finish()


async def test_a_process_that_stops_in_the_middle_of_a_look_leaves_it_to_the_next(church: Rig) -> None:
    await add_tithely(church, poll=poll_config(church))
    state = await first_look(church)
    gifts = [jane_gives(church) for _ in range(3)]
    church.tithely.faults.add(Fault(kind=FaultKind.HANG_BEFORE, route=CHARGE, skip=1))
    church.clock.advance((state.next_at - church.clock.now()).total_seconds() + 1)
    wake(church)
    await church.until(lambda: len(church.tithely.calls_of(CHARGE)) == 2)
    await church.stop_nodes()
    assert len(church.tithely.calls_of(CHARGE)) == 2
    await church.start_node()
    await looked(church, TITHELY, after=state)
    await church.finish()
    assert await keys_of(church, TITHELY) == sorted(f"poll:{charge_id}" for charge_id in gifts)
    assert len(church.intuit.customers) == 1


# More than one look reads --------------------------------------------------------------------------------------------


async def test_a_list_too_long_for_one_look_is_gone_through_by_several(church: Rig) -> None:
    async with small_poller(church):
        state = await first_look(church)
        church.clock.advance(4 * HOUR)
        now = church.clock.unix()
        gifts = [jane_gives(church, created=now - 60 * number) for number in range(200)]
        marks = [state.watermark]
        while len(await keys_of(church, TITHELY)) < len(gifts):
            state = await looked(church, TITHELY, after=state)
            marks.append(state.watermark)
            assert (len(marks) < 20, state.error) == (True, None)
        assert marks == sorted(set(marks))
    assert await keys_of(church, TITHELY) == sorted(f"poll:{charge_id}" for charge_id in gifts)


async def test_a_list_that_no_look_gets_through_is_shown_and_its_beginning_kept(church: Rig) -> None:
    async with small_poller(church):
        state = await first_look(church)
        for _ in range(150):
            jane_gives(church)
        state = await looked(church, TITHELY, after=state)
        state = await looked(church, TITHELY, after=state)
        assert (state.error or {})["code"] == "incomplete"
        assert state.watermark < church.clock.now() - timedelta(seconds=300)
        assert len(await keys_of(church, TITHELY)) == 100


@asynccontextmanager
async def small_poller(church: Rig) -> AsyncIterator[None]:
    """A process without worker and door, whose poller reads one page a look."""
    await church.stop_nodes()
    async with Gateway(church.settings, serve=False, work=False, now=church.clock.now) as bare:
        church.nodes.append(bare)
        app = bare.app
        await app[keys.CONFIGURATION].put_source(tithely_spec(church, poll=poll_config(church)), actor="tests")
        await app[keys.REGISTRY].refresh()
        poller = Poller(
            store=app[keys.STORE], registry=app[keys.REGISTRY], now=church.clock.now, owner="small",
            wake=lambda: None, metrics=app[keys.METRICS], max_pages=1,
        )  # fmt: skip
        poller.start()
        app[keys.POLLER] = poller
        try:
            yield
        finally:
            await poller.stop()
            church.nodes.clear()
            await church.start_node()
