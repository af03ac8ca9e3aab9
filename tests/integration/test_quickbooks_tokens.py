"""Tokens kept alive: one refresh however many want one, saved before use, and never lost to a cancelled caller."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors import NeedsReauthError, Tokens
from connectors.testing.simulator import Call, Moment
from tests.integration.quickbooks_setup import TOKEN, Desk, customer, opened_desk

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


async def test_many_at_once_make_one_refresh(desk: Desk) -> None:
    connector = desk.connector()
    await asyncio.gather(*(connector.find_customers(customer(customer_id=str(n))) for n in range(20)))
    assert len(desk.intuit.calls_of(TOKEN)) == 1
    desk.intuit.oauth.expire_access_tokens()
    await asyncio.gather(*(connector.find_customers(customer(customer_id=str(n))) for n in range(20)))
    assert len(desk.intuit.calls_of(TOKEN)) == 2


async def test_several_connectors_of_one_connection_make_one_refresh(desk: Desk) -> None:
    connectors = [desk.connector() for _ in range(5)]
    for _ in range(3):
        await asyncio.gather(*(connector.find_customers(customer()) for connector in connectors))
        desk.intuit.oauth.expire_access_tokens()
    assert desk.intuit.oauth.chains[0].refreshes == 3
    assert desk.intuit.oauth.chains[0].reused == 0


async def test_two_processes_make_one_refresh(tmp_path: Path) -> None:
    async with opened_desk(tmp_path) as desk:
        desk.intuit.quirks.clock = time.time
        _, refresh = desk.intuit.issue_tokens()
        store = await desk.store.connect(Tokens(refresh_token=refresh, realm=desk.intuit.realm_id))

        async def linger(call: Call, moment: Moment) -> None:
            if moment is Moment.AFTER and call.path.startswith("/oauth2"):
                await asyncio.sleep(0.3)

        desk.intuit.hook = linger
        arguments = [
            "-m", "tests.integration.quickbooks_refresher", str(tmp_path / "tokens.db"), desk.intuit.url,
            desk.intuit.realm_id, desk.intuit.client_id,
        ]  # fmt: skip
        pipe = asyncio.subprocess.PIPE
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdin=pipe, stdout=pipe)
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{desk.intuit.client_secret}\n".encode())
            assert await process.stdout.readline() == b"ready\n"
        answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
        assert [process.returncode for process in processes] == [0, 0]
        assert len({out for out, _ in answers}) == 1
        assert desk.intuit.oauth.chains[0].refreshes == 1
        assert desk.intuit.oauth.chains[0].reused == 0
        stored = await desk.store.load()
        assert stored is not None
        assert stored.version == store.version + 1
        assert answers[0][0].decode().strip() == stored.access_token[-12:]


async def test_tokens_are_saved_before_they_are_used(desk: Desk) -> None:
    seen: list[bool] = []

    async def look(call: Call, moment: Moment) -> None:
        if moment is Moment.BEFORE and call.path.startswith("/v3/"):
            stored = await desk.store.load()
            used = call.headers["Authorization"].removeprefix("Bearer ")
            seen.append(stored is not None and stored.access_token == used)

    desk.intuit.hook = look
    await desk.connector().find_customers(customer())
    assert seen == [True, True]


async def test_a_token_with_little_time_left_is_renewed_beforehand(desk: Desk) -> None:
    connector = desk.connector()
    await connector.find_customers(customer())
    desk.clock.advance(minutes=54)
    await connector.find_customers(customer())
    assert len(desk.intuit.calls_of(TOKEN)) == 1
    desk.clock.advance(minutes=2)
    await connector.find_customers(customer())
    assert len(desk.intuit.calls_of(TOKEN)) == 2
    assert {call.status for call in desk.intuit.calls} == {200}


@pytest.mark.parametrize("moment", list(Moment))
async def test_a_caller_cancelled_during_a_refresh_loses_no_token(desk: Desk, moment: Moment) -> None:
    connector = desk.connector()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def stop(call: Call, at: Moment) -> None:
        if at is moment and call.path.startswith("/oauth2"):
            reached.set()
            await go_on.wait()

    desk.intuit.hook = stop
    caller = asyncio.create_task(connector.find_customers(customer()))
    await reached.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    other = asyncio.create_task(connector.find_customers(customer()))
    await asyncio.sleep(0)
    go_on.set()
    assert await other == []
    chain = desk.intuit.oauth.chains[0]
    stored = await desk.store.load()
    assert stored is not None
    assert stored.refresh_token == chain.refresh_token
    assert (chain.refreshes, chain.reused) == (1, 0)


async def test_closing_waits_for_a_refresh_under_way(desk: Desk) -> None:
    connector = desk.connector()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def stop(call: Call, at: Moment) -> None:
        if at is Moment.AFTER and call.path.startswith("/oauth2"):
            reached.set()
            await go_on.wait()

    desk.intuit.hook = stop
    caller = asyncio.create_task(connector.find_customers(customer()))
    await reached.wait()
    caller.cancel()
    closing = asyncio.create_task(connector.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    stored = await desk.store.load()
    assert stored is not None
    assert stored.refresh_token == desk.intuit.oauth.chains[0].refresh_token
    await asyncio.gather(caller, return_exceptions=True)
    await desk.connector().close()


async def test_a_failed_refresh_that_nobody_waits_for_is_met_again_by_the_next_caller(desk: Desk) -> None:
    connector = desk.connector()
    desk.intuit.faults.add(desk.intuit.faults.token_server_down(times=2))
    reached = asyncio.Event()

    async def tell(call: Call, moment: Moment) -> None:
        reached.set()

    desk.intuit.hook = tell
    caller = asyncio.create_task(connector.find_customers(customer()))
    await reached.wait()
    caller.cancel()
    await connector.close()
    assert await connector.find_customers(customer()) == []


async def test_an_idle_connection_is_refreshed_weekly(desk: Desk) -> None:
    connectors = [desk.connector(multicurrency="off") for _ in range(2)]
    for _ in range(29 * 4):
        for connector in connectors:
            await connector.maintain()
        desk.clock.advance(hours=6)
    assert desk.intuit.oauth.chains[0].refreshes == 5
    assert desk.intuit.oauth.chains[0].reused == 0


async def test_a_connection_that_nobody_has_connected_is_kept_alive_in_peace(desk: Desk) -> None:
    await desk.connector(connected=False).maintain()
    assert desk.intuit.calls == []


async def test_a_consent_unused_for_a_hundred_days_needs_a_person(desk: Desk) -> None:
    connector = desk.connector()
    await connector.check()
    desk.clock.advance(days=101)
    with pytest.raises(NeedsReauthError):
        await connector.check()
    assert desk.intuit.oauth.refused == ["invalid_grant"]
