"""What is told in an alert: of each kind when it begins, counted while it lasts, and when it is over."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway import keys
from storage.ids import new_id
from storage.records import Attempt, JobStatus, NewJob, Rejection, Settlement
from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import NOMOD, QUICKBOOKS, Rig, open_rig
from tests.integration.alerts_setup import add_channel, look
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
