"""Alerts over webhooks: told once, counted, told when over, through every trouble of the endpoint; and to whom."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.testing.simulator import Fault, FaultKind
from gateway import keys
from gateway.configuration.channels import AlertKind, ChannelSpec
from gateway.settings import Settings
from gateway.sources.signing import new_secret
from storage.errors import StoreUnavailableError
from storage.ids import new_id
from storage.records import AlertStatus, Attempt, JobStatus, MessageStatus, NewJob, Rejection, Settlement
from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import NOMOD, QUICKBOOKS, Rig, open_rig
from tests.receivers import Endpoint, endpoint

GATHERED = 31
PUBLIC = "https://gate.example"


@pytest.fixture
async def rig(tmp_path: Any) -> AsyncIterator[Rig]:
    """A gateway that knows its public address."""
    async with open_rig(tmp_path, public_url=PUBLIC) as opened:
        yield opened


@pytest.fixture
async def hook(rig: Rig) -> AsyncIterator[Endpoint]:
    """An endpoint which hears of everything in the tests' tenant."""
    async with endpoint(rig.clock.unix) as opened:
        await add_channel(rig, opened)
        yield opened


async def add_channel(rig: Rig, hook: Endpoint, name: str = "ops", **more: Any) -> None:
    home = {} if more.get("all_tenants") else {"tenant_id": TENANT, "environment_id": ENVIRONMENT}
    spec = ChannelSpec(
        **{"name": name, "url": SecretStr(hook.url), "secrets": (SecretStr(hook.secret),), **home, **more}
    )
    await rig.gateway.app[keys.CONFIGURATION].put_channel(spec, actor="tests")


async def look(rig: Rig, *, after: float = 0) -> None:
    """Let time pass, and let the watch look once."""
    rig.clock.advance(after)
    watch = rig.gateway.app[keys.ALERTS]
    await watch.stop()  # so that it looks when it is told to, and only then
    await watch.turn()


async def fail_jobs(rig: Rig, count: int, code: str = "customer_not_found") -> None:
    """Have so many jobs fail, whose error tells of somebody; the worker must have stopped."""
    for n in range(count):
        now = rig.now()
        job = a_job(now, entity_id=f"cust_{n}")
        await rig.store.add_job(job, now=now)
        [claimed] = await rig.store.claim_jobs({NOMOD: 1}, owner="tests", now=now, lease=timedelta(seconds=9))
        attempt = Attempt(number=1, started_at=now, finished_at=now, outcome="failed")
        error = {"code": code, "title": "x", "detail": "Ada Lovelace <ada@example.com>"}
        await rig.store.settle(
            Settlement(
                job_id=claimed.job.job_id, fence=claimed.job.fence, owner="tests", attempt=attempt,
                status=JobStatus.FAILED, error=error,
            )
        )  # fmt: skip


def a_job(now: datetime, *, gate: str = NOMOD, entity_id: str = "cust_1") -> NewJob:
    return NewJob(
        job_id=new_id("job", now), kind="ensure_customer", source=SOURCE, tenant_id=TENANT, environment_id=ENVIRONMENT,
        gate=gate, connection=gate, lock_key=f"{gate}:{entity_id}", entity_id=entity_id, due_at=now,
    )  # fmt: skip


async def test_a_paused_connection_is_told_at_once_and_its_return_once(rig: Rig, hook: Endpoint) -> None:
    await rig.add_nomod()
    await look(rig)
    assert hook.taken == []
    await rig.store.set_connection_status(NOMOD, status="paused", reason="authentication_failed", now=rig.now())
    for _ in range(3):
        await look(rig, after=5)
    assert hook.told == [("alert.opened", "connection_paused", 1)]
    [message] = hook.taken
    data = message["data"]
    assert (data["subject"], data["tenant_id"], data["environment_id"]) == (NOMOD, TENANT, ENVIRONMENT)
    assert (data["status"], data["facts"]) == ("open", {"connector": "nomod", "reason": "authentication_failed"})
    assert message["text"] == data["title"] == f"Connection {NOMOD} is paused: authentication_failed"
    assert data["url"] == f"{PUBLIC}/console/connections/{NOMOD}"
    await rig.resume(NOMOD)
    for _ in range(3):
        await look(rig, after=5)
    assert hook.told[1:] == [("alert.closed", "connection_paused", 0)]
    assert hook.taken[1]["data"]["alert_id"] == data["alert_id"]
    assert hook.taken[1]["data"]["status"] == "closed"


async def test_many_dead_letters_are_one_alert_with_a_count_and_more_of_them_one_each_hour(
    rig: Rig, hook: Endpoint
) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    await rig.gateway.app[keys.WORKER].stop()
    await fail_jobs(rig, 3)
    await look(rig)
    await fail_jobs(rig, 40)
    await look(rig)
    assert hook.taken == [], "they gather first"
    await look(rig, after=GATHERED)
    assert hook.told == [("alert.opened", "dead_letter", 43)]
    assert hook.taken[0]["data"]["facts"] == {"codes": {"customer_not_found": 43}}
    assert b"Ada" not in hook.raw[0]
    assert b"cust_" not in hook.raw[0]
    await fail_jobs(rig, 2, "invalid_email")
    await look(rig, after=600)
    assert len(hook.taken) == 1
    await look(rig, after=3600)
    assert hook.told[1:] == [("alert.repeated", "dead_letter", 45)]
    await look(rig, after=3600)
    assert len(hook.taken) == 2, "nothing new, nothing told"
    await look(rig, after=86400)
    assert hook.told[2:] == [("alert.repeated", "dead_letter", 45)], "a reminder after a day"
    status, done = await rig.api("POST", "/api/v1/jobs/cancel", {"status": "failed"})
    assert (status, done["changed"]) == (200, 45)
    await look(rig)
    assert hook.told[3:] == [("alert.closed", "dead_letter", 0)]


async def test_a_decision_that_waits_is_told(rig: Rig, hook: Endpoint) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email="bea@example.com")
    asked = rig.flexprice.add_customer(name="Bea Secret", email="bea@example.com")
    await rig.finalize(asked["id"])
    await rig.finish()
    await look(rig)
    await look(rig, after=GATHERED)
    assert hook.told == [("alert.opened", "review_waiting", 1)]
    assert hook.taken[0]["data"]["facts"] == {"kinds": {"ambiguous": 1}}
    assert hook.taken[0]["data"]["url"] == f"{PUBLIC}/console/needs"
    for private in (b"Bea", b"bea@", asked["id"].encode(), rig.nomod.api_key.encode()):
        assert private not in hook.raw[0]


async def test_work_that_waits_for_too_long_is_told_and_not_that_of_a_paused_connection(
    rig: Rig, hook: Endpoint
) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    await rig.add_quickbooks()
    await rig.pause(QUICKBOOKS)
    await rig.gateway.app[keys.WORKER].stop()
    for gate in (NOMOD, QUICKBOOKS):
        await rig.store.add_job(a_job(rig.now(), gate=gate), now=rig.now())
    await look(rig, after=899)
    assert [each for each in hook.told if each[1] == "backlog_old"] == []
    await look(rig, after=2)
    [late] = [each["data"] for each in hook.taken if each["data"]["kind"] == "backlog_old"]
    assert (late["subject"], late["title"]) == (NOMOD, f"Work of {NOMOD} has been waiting for 15 minutes")


async def test_a_provider_that_does_not_answer_is_told_of_however_little_waits_for_it(rig: Rig, hook: Endpoint) -> None:
    """One job, which waits for its next attempt: no work is overdue, and the dead letter is days away."""
    await rig.add_flexprice()
    await rig.add_nomod()
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, times=10_000))
    await rig.finalize(rig.flexprice.add_customer(name="Ada", email="ada@example.com")["id"])
    await rig.live(600)
    await look(rig)
    assert hook.told == []
    await rig.live(2 * 3600)
    await look(rig)
    assert hook.told == [("alert.opened", "circuit_open", 1)]
    told = hook.taken[0]["data"]
    assert (told["subject"], told["url"]) == (NOMOD, f"{PUBLIC}/console/connections/{NOMOD}")
    assert told["title"].startswith(f"The provider of connection {NOMOD} has not answered for ")
    status, shown = await rig.api("GET", f"/api/v1/connections/{NOMOD}")
    since = datetime.fromisoformat(shown["circuit"]["opened_at"])
    assert (status, since) == (200, datetime.fromisoformat(told["facts"]["open_since"]))
    rig.nomod.faults.clear()
    await rig.finish()
    await look(rig)
    assert hook.told[1:] == [("alert.closed", "circuit_open", 0)]


async def test_a_consent_that_ends_soon_is_told(rig: Rig, hook: Endpoint) -> None:
    await rig.add_flexprice()
    await rig.add_quickbooks()
    ada = rig.flexprice.add_customer(name="Ada", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    live = rig.gateway.app[keys.REGISTRY].connection(QUICKBOOKS)
    tokens = live.usable().host.tokens
    assert tokens is not None
    held = await tokens.load()
    assert held is not None
    ends = min(moment for moment in (held.refresh_expires_at, held.hard_expires_at) if moment)
    await look(rig, after=(ends - rig.now() - timedelta(days=15)).total_seconds())
    assert hook.taken == []
    await look(rig, after=86400 + 60)
    assert hook.told == [("alert.opened", "token_expiring", 1)]
    assert hook.taken[0]["data"]["title"] == f"The consent of connection {QUICKBOOKS} ends in 13 days"


async def test_refused_signatures_are_told_and_a_few_are_not(rig: Rig, hook: Endpoint) -> None:
    await rig.add_flexprice()

    async def refuse(count: int, reason: str) -> None:
        refused = [
            Rejection(source=SOURCE, at=rig.now(), reason=reason, headers=[], body_sha256="0" * 64, body_bytes=1)
            for _ in range(count)
        ]
        await rig.store.note_activity(accepted={}, rejected=refused, counts={})

    await refuse(4, "signature_mismatch")
    await refuse(9, "payload_too_large")
    await look(rig)
    await look(rig, after=GATHERED)
    assert hook.taken == []
    await refuse(1, "timestamp_stale")
    await look(rig)
    await look(rig, after=GATHERED)
    assert hook.told == [("alert.opened", "signature_failing", 5)]
    assert hook.taken[0]["data"]["facts"] == {"reasons": {"signature_mismatch": 4, "timestamp_stale": 1}}
    await look(rig, after=901)
    assert hook.told[1:] == [("alert.closed", "signature_failing", 0)]


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


async def test_a_connection_that_comes_and_goes_is_told_once_in_a_while(rig: Rig, hook: Endpoint) -> None:
    await rig.add_nomod()
    for _ in range(4):
        await rig.pause(NOMOD)
        await look(rig, after=20)
        await rig.resume(NOMOD)
        await look(rig, after=20)
    assert hook.told == [("alert.opened", "connection_paused", 1), ("alert.closed", "connection_paused", 0)]
    await rig.pause(NOMOD)
    await look(rig, after=20)
    assert len(hook.told) == 2
    await look(rig, after=600)
    assert hook.told[2:] == [("alert.opened", "connection_paused", 1)]


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
