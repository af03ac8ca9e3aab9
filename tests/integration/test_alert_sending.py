"""Alerts on their way: sent until they are taken, once by two gateways, through crashes, and to whom they are told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from gateway import keys
from gateway.configuration.channels import AlertKind
from gateway.settings import Settings
from gateway.sources.signing import new_secret
from storage.errors import StoreUnavailableError
from storage.records import AlertStatus, MessageStatus
from tests.harness import NOMOD, Rig, open_rig
from tests.integration.alerts_setup import add_channel, look
from tests.receivers import Endpoint, endpoint


@pytest.fixture
async def hook(rig: Rig) -> AsyncIterator[Endpoint]:
    """An endpoint which hears of everything in the tests' tenant."""
    async with endpoint(rig.clock.unix) as opened:
        await add_channel(rig, opened)
        yield opened


async def test_an_endpoint_in_trouble_gets_the_same_message_again_until_it_takes_it(rig: Rig, hook: Endpoint) -> None:
    """Refusals and redirects: the id stays, the schedule says when, and a restart loses nothing."""
    await rig.add_nomod()
    await rig.pause(NOMOD)
    hook.answers = [500, 302, 429]
    await look(rig)
    assert [status for _, status in hook.asked] == [500]
    await look(rig, after=3)
    assert len(hook.asked) == 1, "not before the schedule says so"
    await look(rig, after=4)
    await rig.restart()
    await look(rig, after=60)
    await look(rig, after=200)
    assert [status for _, status in hook.asked] == [500, 302, 429, 204]
    assert len({each for each, _ in hook.asked}) == 1
    assert hook.told == [("alert.opened", "connection_paused", 1)]
    [kept] = (await rig.store.list_alert_messages()).items
    assert (kept.status, kept.attempts, kept.message_id) == (MessageStatus.SENT, 4, hook.asked[0][0])


async def test_an_endpoint_that_is_gone_for_good_is_given_up(rig: Rig, hook: Endpoint) -> None:
    await rig.add_nomod()
    await rig.pause(NOMOD)
    hook.answers = [410] * 99
    for _ in range(len(Settings().retry_schedule) + 2):
        await look(rig, after=14 * 3600)
    [first] = (await rig.store.list_alert_messages(channel="ops", status=MessageStatus.FAILED)).items
    assert first.event == "opened"
    assert first.attempts == len(Settings().retry_schedule) + 1
    assert first.error["code"] == "alert_not_delivered"
    status, shown = await rig.api("GET", "/api/v1/channels/ops")
    assert (status, shown["failed"], shown["last_error"]["detail"]) == (200, 1, "HTTP 410")


async def test_a_private_address_is_refused_where_they_are_not_allowed(tmp_path: Any) -> None:
    async with open_rig(tmp_path, allow_private_addresses=False) as rig, endpoint(rig.clock.unix) as hook:
        await add_channel(rig, hook)
        await add_channel(rig, hook, "named", url=SecretStr(hook.url.replace("127.0.0.1", "localhost")))
        for name in ("ops", "named"):
            status, told = await rig.api("POST", f"/api/v1/channels/{name}/test")
            assert (status, told["code"]) == (400, "alert_address_refused")
        assert hook.asked == []


async def test_a_channel_hears_of_its_own_tenant_and_its_own_kinds(rig: Rig, hook: Endpoint) -> None:
    async with endpoint(rig.clock.unix) as other, endpoint(rig.clock.unix) as every, endpoint(rig.clock.unix) as some:
        await add_channel(rig, other, "other", tenant_id="tenant_456")
        await add_channel(rig, every, "every", all_tenants=True)
        await add_channel(rig, some, "some", kinds=(AlertKind.DEAD_LETTER,))
        await rig.add_nomod()
        await rig.pause(NOMOD)
        await look(rig)
        heard = [("alert.opened", "connection_paused", 1)]
        assert (hook.told, other.told, every.told, some.told) == (heard, [], heard, [])


async def test_what_nobody_hears_of_is_told_once_there_is_somebody(rig: Rig) -> None:
    await rig.add_nomod()
    await rig.pause(NOMOD)
    await look(rig)
    [alert] = (await rig.store.list_alerts()).items
    assert (alert.status, alert.told_at) == (AlertStatus.OPEN, None)
    async with endpoint(rig.clock.unix) as hook:
        await add_channel(rig, hook)
        await look(rig, after=5)
        assert hook.told == [("alert.opened", "connection_paused", 1)]


async def test_two_gateways_tell_once(rig: Rig, hook: Endpoint) -> None:
    await rig.add_nomod()
    second = await rig.start_node()
    for node in rig.nodes:
        await node.app[keys.ALERTS].stop()
    await rig.pause(NOMOD)
    for _ in range(3):
        for node in (second, rig.gateway):
            await node.app[keys.ALERTS].turn()
    await rig.until(lambda: hook.taken)
    assert hook.told == [("alert.opened", "connection_paused", 1)]
    await rig.nodes.pop(0).__aexit__()
    await rig.resume(NOMOD)
    await look(rig)
    assert hook.told[1:] == [("alert.closed", "connection_paused", 0)], "the other one goes on at once"


async def test_every_secret_of_a_channel_signs(rig: Rig, hook: Endpoint) -> None:
    """The endpoint knows one of two: whoever receives may change over in its own time."""
    await add_channel(rig, hook, secrets=(SecretStr(new_secret()), SecretStr(hook.secret)))
    assert (await rig.api("POST", "/api/v1/channels/ops/test"))[0] == 200
    assert [each["type"] for each in hook.taken] == ["alert.test"]


async def test_a_store_in_trouble_stops_the_watch_for_that_turn_only(rig: Rig, hook: Endpoint) -> None:
    await rig.add_nomod()
    await rig.pause(NOMOD)
    whole = rig.store.settle_alert_message

    async def fails(*_args: Any, **_more: Any) -> bool:
        raise StoreUnavailableError("disk full")

    rig.store.settle_alert_message = fails  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError):
        await look(rig)
    rig.store.settle_alert_message = whole  # type: ignore[method-assign]
    await look(rig)
    assert len(hook.taken) == 2, "taken, and not written down: at least once"
    assert len({each["id"] for each in hook.taken}) == 1


async def test_a_process_that_dies_between_writing_and_sending_loses_no_alert(rig: Rig, hook: Endpoint) -> None:
    """Dead before the write: the next one sees the same. Dead after it: the next one sends what was written."""
    await rig.add_nomod()
    await rig.pause(NOMOD)
    whole = rig.store.write_alerts

    async def dies_before(*_args: Any, **_more: Any) -> int:
        raise StoreUnavailableError("killed")

    async def dies_after(*args: Any, **more: Any) -> int:
        await whole(*args, **more)
        raise StoreUnavailableError("killed")

    for death, waiting in ((dies_before, 0), (dies_after, 1)):
        rig.store.write_alerts = death  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailableError):
            await look(rig)
        assert len((await rig.store.list_alert_messages()).items) == waiting
        assert hook.taken == []
    await rig.restart()
    await look(rig)
    await look(rig, after=5)
    assert hook.told == [("alert.opened", "connection_paused", 1)]


async def test_what_happened_is_seen_in_the_metrics(rig: Rig, hook: Endpoint) -> None:
    await rig.add_nomod()
    await rig.pause(NOMOD)
    hook.answers = [500]
    await look(rig)
    await look(rig, after=10)
    text = rig.gateway.app[keys.METRICS].text().decode()
    assert 'ledgergate_alerts_open{kind="connection_paused"} 1.0' in text
    assert 'ledgergate_alert_messages_total{channel="ops",outcome="sent"} 1.0' in text
    assert 'ledgergate_alert_messages_total{channel="ops",outcome="alert_not_delivered"} 1.0' in text
