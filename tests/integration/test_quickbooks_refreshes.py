"""A refresh that goes wrong: lost, refused, not saved, or overtaken; no token is lost that could be kept."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors import ConfigurationError, NeedsReauthError, RateLimitedError, Tokens, UnreachableError
from connectors.testing.quickbooks_quirks import Rotation
from connectors.testing.simulator import Call, Fault, FaultKind, Moment
from tests.integration.quickbooks_setup import CREATE, QUERY, TOKEN, Desk, customer, opened_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened_desk(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("rotation, grace", [(Rotation.DAILY, 0.0), (Rotation.ALWAYS, 60.0)])
async def test_a_lost_answer_of_a_refresh_is_asked_for_once_more(desk: Desk, rotation: Rotation, grace: float) -> None:
    desk.intuit.quirks.rotate, desk.intuit.quirks.rotated_token_grace = rotation, grace
    desk.intuit.faults.add(desk.intuit.faults.refresh_lost())
    assert await desk.connector().find_customers(customer()) == []
    assert len(desk.intuit.calls_of(TOKEN)) == 2
    stored = await desk.store.load()
    assert stored is not None
    assert stored.refresh_token == desk.intuit.oauth.chains[0].refresh_token


async def test_a_lost_answer_that_rotated_ends_the_consent_and_is_not_tried_for_ever(desk: Desk) -> None:
    desk.intuit.faults.add(desk.intuit.faults.refresh_lost())
    connector = desk.connector()
    with pytest.raises(NeedsReauthError) as failure:
        await connector.create_customer(customer(), intent=desk.intent())
    assert not failure.value.may_have_written
    assert len(desk.intuit.calls_of(TOKEN)) == 2
    assert desk.intuit.calls_of(CREATE) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.HTML, route=TOKEN, times=2), Fault(kind=FaultKind.FAIL_BEFORE, route=TOKEN, times=2),
        Fault(kind=FaultKind.DROP_BEFORE, route=TOKEN, times=2), Fault(kind=FaultKind.REDIRECT, route=TOKEN, times=2),
        Fault(kind=FaultKind.HTML, route=TOKEN, times=2, status=403),
        Fault(kind=FaultKind.REFUSE, route=TOKEN, times=2, status=200, body=b"{}"),
        Fault(kind=FaultKind.REFUSE, route=TOKEN, times=2, status=200, body=b"["),
    ],
    ids=["html", "500", "drop", "redirect", "edge", "no tokens", "no JSON"],
)  # fmt: skip
async def test_a_token_endpoint_that_fails_in_passing_keeps_the_tokens(desk: Desk, fault: Fault) -> None:
    connector = desk.connector()
    desk.intuit.faults.add(fault)
    with pytest.raises(UnreachableError) as failure:
        await connector.create_customer(customer(), intent=desk.intent())
    assert not failure.value.may_have_written
    assert await connector.find_customers(customer()) == []
    assert desk.intuit.oauth.chains[0].refreshes == 1


async def test_a_throttled_token_endpoint_is_waited_for(desk: Desk) -> None:
    desk.intuit.faults.add(Fault(kind=FaultKind.THROTTLE, route=TOKEN, retry_after=9))
    with pytest.raises(RateLimitedError) as failure:
        await desk.connector().find_customers(customer())
    assert failure.value.retry_after == 9


async def test_wrong_keys_cost_no_tokens(desk: Desk) -> None:
    await desk.connector().check()
    before = await desk.store.load()
    desk.clock.advance(hours=2)
    with pytest.raises(ConfigurationError, match="client_id"):
        await desk.connector(client_secret="other").find_customers(customer())
    assert await desk.store.load() == before
    assert await desk.connector().find_customers(customer()) == []


async def test_a_store_that_fails_for_a_moment_loses_no_token(desk: Desk) -> None:
    desk.store.failures = 2
    assert await desk.connector().find_customers(customer()) == []
    assert desk.store.saves == 1


async def test_a_store_that_fails_for_long_uses_no_token_and_saves_it_later(desk: Desk) -> None:
    connector = desk.connector()
    desk.store.failures = 100
    with pytest.raises(OSError, match="disk"):
        await connector.find_customers(customer())
    assert desk.intuit.calls_of(QUERY) == []
    desk.store.failures = 0
    assert await connector.find_customers(customer()) == []
    assert (desk.intuit.oauth.chains[0].refreshes, desk.intuit.oauth.chains[0].reused) == (1, 0)


async def test_a_person_who_connects_during_a_refresh_wins(desk: Desk) -> None:
    connector = desk.connector()
    access, refresh = desk.intuit.issue_tokens()
    await connector.check()

    async def reconnect() -> None:
        desk.store.before_save = None
        ends = desk.clock.now().replace(year=2027)
        await desk.store.connect(
            Tokens(refresh_token=refresh, access_token=access, access_expires_at=ends, realm=desk.intuit.realm_id)
        )

    desk.store.before_save = reconnect
    desk.intuit.oauth.chains[0].access_tokens.clear()
    await connector.find_customers(customer())
    assert desk.intuit.calls_of(QUERY)[-1].headers["Authorization"] == f"Bearer {access}"
    stored = await desk.store.load()
    assert stored is not None
    assert stored.refresh_token == refresh


async def test_a_refused_token_that_another_has_replaced_meanwhile_is_no_end(desk: Desk) -> None:
    connector = desk.connector()
    await connector.check()
    _, refresh = desk.intuit.issue_tokens()

    async def replace_before(call: Call, moment: Moment) -> None:
        if moment is Moment.BEFORE and call.path.startswith("/oauth2"):
            desk.intuit.hook = None
            stored = await desk.store.load()
            assert stored is not None
            await desk.store.connect(replace(stored, refresh_token=refresh, access_token=""))

    desk.intuit.hook = replace_before
    desk.intuit.oauth.chains[0].revoked = True
    assert await connector.find_customers(customer()) == []
    assert desk.intuit.oauth.chains[1].refreshes == 1
