"""How each error ends: what waits, what is retried, what fails, what is asked; and that all goes on afterwards."""

import itertools
from typing import Any

import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway.errors import catalogue
from gateway.sandbox.sender import invoice_event
from storage.records import DeliveryStatus, JobStatus
from tests.harness import NOMOD, SOURCE, Rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
LOOKUP, CREATE = "GET /v1/customers", "POST /v1/customers"
PAGE = b"<html><head><title>Attention Required! | Cloudflare</title></head></html>"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()


async def connection(rig: Rig) -> tuple[str, str | None]:
    """Return status and pause reason of the connection."""
    row = (await rig.store.list_connections())[0]
    return row.status, row.pause_reason


@pytest.mark.parametrize("route", [LOOKUP, CREATE])
@pytest.mark.parametrize(
    "status,body,reason",
    [
        (401, b'{"error":{"message":"no","code":"not_authenticated"}}', "authentication_failed"),
        (403, b'{"error":{"message":"no","code":"permission_denied"}}', "permission_refused"),
        (403, b'{"error":{"message":"no","code":"business_not_enabled"}}', "account_blocked"),
    ],
)
async def test_a_refused_key_stops_the_connection_and_its_jobs_wait_without_burning_attempts(
    rig: Rig, route: str, status: int, body: bytes, reason: str
) -> None:
    people = [rig.flexprice.add_customer(name=f"Guest {n}", email=f"guest{n}@example.com")["id"] for n in range(6)]
    rig.nomod.faults.add(Fault(kind=FaultKind.REFUSE, route=route, status=status, body=body, times=100))
    deliveries = [await rig.finalize(one) for one in people]
    await rig.finish()
    await rig.check(waiting=True)
    assert await connection(rig) == ("paused", reason)
    calls = len(rig.nomod.calls)
    rig.clock.advance(100 * 3600)
    await rig.refresh()
    await rig.finish()
    assert len(rig.nomod.calls) == calls, "a paused connection is left alone"
    assert {job.failures for job in await rig.jobs(status=JobStatus.PENDING)} == {0}
    rig.nomod.faults.clear()
    await rig.resume(NOMOD)
    await rig.finish()
    await rig.check(all_linked=True)
    assert {(await rig.delivery(delivery)).status for delivery in deliveries} == {DeliveryStatus.PROCESSED}


async def test_a_new_key_from_the_configuration_resumes_the_connection(rig: Rig) -> None:
    rig.nomod.api_key, old = "sk_live_another.key", rig.nomod.api_key
    await rig.add_nomod(api_key=old)
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    assert await connection(rig) == ("paused", "authentication_failed")
    await rig.add_nomod()
    await rig.finish()
    await rig.check(all_linked=True)


async def test_a_key_that_dies_while_a_create_is_in_doubt_leaves_it_in_doubt(rig: Rig) -> None:
    """The record is there; after the resume it is found, not made again."""
    ada = rig.flexprice.add_customer(**ADA)
    rig.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route=CREATE))
    await rig.finalize(ada["id"])
    await rig.until(lambda: rig.nomod.creations)
    rig.nomod.api_key, key = "sk_live_another.key", rig.nomod.api_key
    await rig.finish()
    assert await connection(rig) == ("paused", "authentication_failed")
    rig.nomod.api_key = key
    rig.clock.advance(24 * 3600)
    await rig.resume(NOMOD)
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.nomod.creations) == 1


@pytest.mark.parametrize("route", [LOOKUP, CREATE])
async def test_a_throttled_connection_waits_as_long_as_it_is_told_to_and_burns_nothing(rig: Rig, route: str) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.THROTTLE, route=route, retry_after=1, times=2))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    job = (await rig.jobs(kind="ensure_customer"))[0]
    assert (job.attempts, job.failures) == (3, 0)
    attempts = await rig.store.list_attempts(job.job_id)
    waits = [(b.started_at - a.finished_at).total_seconds() for a, b in itertools.pairwise(attempts)]
    assert all(wait >= 1 for wait in waits)


@pytest.mark.parametrize("route", [LOOKUP, CREATE])
async def test_a_page_before_the_api_is_no_wrong_key_and_is_retried(rig: Rig, route: str) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.HTML, route=route, status=403, body=PAGE, times=3))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert await connection(rig) == ("active", None)
    assert len(rig.nomod.creations) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_of_the_platform_is_retried_until_it_is_mended(rig: Rig, status: int) -> None:
    """The source has no pause: its jobs are retried for three days, and each can be retried at once."""
    rig.flexprice.faults.add(
        Fault(kind=FaultKind.REFUSE, route="GET *", status=status, body=b'{"error":"Unauthorized"}', times=7)
    )
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.check(all_linked=True)


async def test_a_platform_that_is_down_for_a_day_delays_and_loses_nothing(rig: Rig) -> None:
    people = [rig.flexprice.add_customer(name=f"Guest {n}", email=f"guest{n}@example.com")["id"] for n in range(4)]
    shown = [rig.flexprice.shown_invoice(rig.flexprice.add_invoice(one), lag=0) for one in people]
    await rig.flexprice.stop()
    for invoice in shown:
        await rig.send(invoice_event(invoice))
    begun = rig.clock.now()
    await rig.live(24 * 3600)
    assert (rig.clock.now() - begun).total_seconds() > 12 * 3600
    assert rig.nomod.creations == []
    await rig.flexprice.start()
    await rig.finish()
    await rig.check(all_linked=True)


ENDS: dict[str, tuple[dict[str, Any], list[Fault], str, DeliveryStatus]] = {
    "email already exists": (
        ADA,
        [Fault(kind=FaultKind.REFUSE, route=CREATE, body=b'{"error":{"code":"customer_already_exists"}}', times=50)],
        "email_already_exists",
        DeliveryStatus.NEEDS_REVIEW,
    ),
    "invalid email format": ({**ADA, "email": "ada@@example"}, [], "invalid_email", DeliveryStatus.FAILED),
    "invalid email format, as Nomod sees it": (
        ADA,
        [Fault(kind=FaultKind.REFUSE, route=CREATE, body=b'{"error":{"code":"invalid_email"}}')],
        "invalid_email",
        DeliveryStatus.FAILED,
    ),
    "missing required fields: name": ({**ADA, "name": " "}, [], "missing_required_fields", DeliveryStatus.FAILED),
    "missing required fields: email": ({**ADA, "email": ""}, [], "missing_required_fields", DeliveryStatus.FAILED),
    "provider API error": (
        ADA,
        [Fault(kind=FaultKind.FAIL_BEFORE, route=LOOKUP, times=1000)],
        "provider_api_error",
        DeliveryStatus.FAILED,
    ),
}


@pytest.mark.parametrize("name", ENDS)
async def test_the_errors_of_the_specification_end_as_documented(rig: Rig, name: str) -> None:
    """Each tells its cause and what to do about it, as the catalogue and docs/errors.md have it."""
    fields, faults, code, end = ENDS[name]
    rig.nomod.faults.add(*faults)
    delivery = await rig.finalize(rig.flexprice.add_customer(**fields)["id"])
    await rig.finish()
    await rig.check()
    found = await rig.delivery(delivery)
    assert found.status is end
    job = await rig.job()
    entry = next(entry for entry in catalogue() if entry.code == code)
    assert (job.error["code"], job.error["cause"], job.error["resolution"]) == (code, entry.cause, entry.resolution)
    told = str(job.error).casefold()
    assert not [each for each in ("lovelace", "ada@", "example.com") if each in told], "an error holds no personal data"
    assert rig.nomod.creations == []


@pytest.mark.parametrize("gone,code", [("customers", "customer_not_found"), ("invoices", "invoice_not_found")])
async def test_what_the_platform_does_not_know_fails_and_is_done_once_it_is_back(
    rig: Rig, gone: str, code: str
) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"])
    shown = rig.flexprice.shown_invoice(invoice, lag=0)
    table = getattr(rig.flexprice, gone)
    key = ada["id"] if gone == "customers" else invoice["id"]
    kept = table.pop(key)
    delivery = await rig.send({"event_type": "invoice.update.finalized", "invoice": shown})
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.FAILED
    job = await rig.job()
    assert job.error["code"] == code
    table[key] = kept
    await rig.retry(job.job_id)
    await rig.finish()
    await rig.check(all_linked=True)


async def test_a_removed_connection_ends_what_waits_for_it_and_keeps_its_links(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    record = await rig.linked(ada["id"])
    await rig.pause(NOMOD)
    other = rig.flexprice.add_customer(name="Charles Babbage", email="charles@example.com")
    delivery = await rig.finalize(other["id"])
    await rig.finish()
    status, _ = await rig.api("DELETE", f"/api/v1/connections/{NOMOD}")
    assert status == 200
    await rig.refresh()
    await rig.finish()
    await rig.check()
    found = await rig.delivery(delivery)
    assert (found.status, found.reason) == (DeliveryStatus.IGNORED, "the connection was removed")
    assert await rig.linked(ada["id"]) == record
    later = await rig.finalize(other["id"])
    await rig.finish()
    assert "no connection" in str((await rig.delivery(later)).reason)


async def test_a_disabled_source_takes_nothing_more_and_finishes_what_it_took(rig: Rig) -> None:
    await rig.pause(NOMOD)
    delivery = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    status, _ = await rig.api("POST", f"/api/v1/sources/{SOURCE}/disable")
    assert status == 200
    await rig.refresh()
    refused = await rig.post(b"{}")
    assert refused.status == 404
    await rig.resume(NOMOD)
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED


async def test_without_a_connection_that_wants_invoices_a_delivery_is_ignored_with_the_reason(rig: Rig) -> None:
    await rig.add_nomod(outbound=False)
    delivery = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    found = await rig.delivery(delivery)
    assert found.status is DeliveryStatus.IGNORED
    assert "invoice_sync.outbound" in str(found.reason)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"event_type":7}', b'{"event_type":"invoice.update.finalized"}', b"\xff\xfe"]
)
async def test_an_authentic_body_that_cannot_be_read_is_kept_and_fails_with_the_reason(rig: Rig, body: bytes) -> None:
    delivery = await rig.send(body)
    await rig.finish()
    await rig.check()
    found = await rig.delivery(delivery)
    assert found.status is DeliveryStatus.FAILED
    assert str(found.reason).startswith("payload_invalid")
    assert found.body == body
