"""Telling the platform: nobody else's metadata is lost, a failure undoes nothing, and our own echo starts nothing."""

import json
from pathlib import Path

import pytest

from connectors.testing.simulator import Call, Fault, FaultKind, Moment
from gateway.sandbox.sender import invoice_event
from storage.records import DeliveryStatus
from tests.harness import Rig, open_rig

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
PUT = "PUT /v1/customers"


@pytest.fixture(autouse=True)
async def _configured(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()


async def test_another_writer_between_our_read_and_our_write_loses_only_what_the_platform_cannot_keep(
    rig: Rig,
) -> None:
    """The platform has no version to compare; the other's key that came in between is gone, ours are there."""
    ada = rig.flexprice.add_customer(**ADA, metadata={"plan": "gold"})

    async def race(call: Call, moment: Moment) -> None:
        if call.route == PUT and moment is Moment.AFTER:
            rig.flexprice.hook = None
            rig.flexprice.edit_customer(ada["id"], metadata={"plan": "silver", "theirs": "1"})

    rig.flexprice.hook = race
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    metadata = rig.flexprice.customers[ada["id"]]["metadata"]
    assert metadata["plan"] == "silver"
    assert metadata["theirs"] == "1"


async def test_a_writer_who_always_drops_our_keys_is_reported_and_not_fought_for_ever(rig: Rig) -> None:
    """The mapping stands, the job fails in the end, and a retry writes once the other has stopped."""
    ada = rig.flexprice.add_customer(**ADA, metadata={"plan": "gold"})

    async def drop(call: Call, moment: Moment) -> None:
        if call.route == PUT and moment is Moment.AFTER:
            rig.flexprice.edit_customer(ada["id"], metadata={"plan": "gold"})

    rig.flexprice.hook = drop
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check()
    assert (await rig.delivery(delivery)).status is DeliveryStatus.FAILED
    assert await rig.linked(ada["id"]) == rig.nomod.creations[0]["id"]
    rig.flexprice.hook = None
    await rig.retry((await rig.job(status="failed")).job_id)
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED


@pytest.mark.parametrize("refuses", [True, False])
async def test_metadata_of_the_platforms_own_stays(rig: Rig, refuses: bool) -> None:
    """Some versions of Flexprice refuse their own `_fp_` keys in a write, and keep them by themselves."""
    rig.flexprice.refuse_system_metadata = refuses
    ada = rig.flexprice.add_customer(**ADA, metadata={"plan": "gold", "_fp_internal": "1", "gstin": "27AAPFU0939F1ZV"})
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    metadata = rig.flexprice.customers[ada["id"]]["metadata"]
    assert {key: metadata[key] for key in ("plan", "_fp_internal", "gstin")} == {
        "plan": "gold", "_fp_internal": "1", "gstin": "27AAPFU0939F1ZV",
    }  # fmt: skip


async def test_a_platform_at_a_private_address_is_not_said_to_have_refused_the_key(tmp_path: Path) -> None:
    async with open_rig(tmp_path / "other", allow_private_addresses=False) as rig:
        await rig.add_flexprice()
        await rig.add_nomod()
        await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
        await rig.live(1)
        error = (await rig.job()).error
    assert (error["code"], "private" in error["detail"]) == ("source_unavailable", True)


@pytest.mark.parametrize("status", [404, 405])
async def test_where_nothing_takes_the_documented_put_the_id_goes_into_the_path(rig: Rig, status: int) -> None:
    ada = rig.flexprice.add_customer(**ADA, metadata={"plan": "gold"})
    rig.flexprice.faults.add(Fault(kind=FaultKind.REFUSE, route=PUT, status=status, body=b"no", times=9))
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    assert rig.flexprice.customers[ada["id"]]["metadata"]["plan"] == "gold"


async def test_metadata_that_the_platform_would_refuse_today_fails_the_write_back_and_not_the_link(rig: Rig) -> None:
    """A reserved key that was stored before it was validated makes every write fail; a person corrects it."""
    ada = rig.flexprice.add_customer(**ADA, metadata={"gstin": "not a number"})
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check()
    job = await rig.job(status="failed")
    assert (job.kind, job.error["code"]) == ("write_back", "source_rejected")
    assert await rig.linked(ada["id"])
    rig.flexprice.edit_customer(ada["id"], metadata={"gstin": "27AAPFU0939F1ZV"})
    await rig.retry(job.job_id)
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await rig.delivery(delivery)).status is DeliveryStatus.PROCESSED


async def test_a_write_back_that_failed_for_three_days_is_made_up_for_by_the_next_invoice(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    rig.flexprice.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route=PUT, times=100))
    await rig.finalize(ada["id"])
    await rig.finish()
    assert (await rig.job(status="failed")).kind == "write_back"
    rig.flexprice.faults.clear()
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check()
    assert (await rig.mappings())[0].written_back_at is not None
    assert rig.flexprice.customers[ada["id"]]["metadata"]["nomod_customer_id"] == await rig.linked(ada["id"])


async def test_our_own_echo_starts_nothing(rig: Rig) -> None:
    """The platform tells of every change of a customer, ours as well."""
    rig.flexprice.targets = [rig.target()]
    rig.flexprice.deliver_echo = True
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.flexprice.settle()
    await rig.finish()
    await rig.check(all_linked=True)
    echoes = [d for d in (await rig.store.list_deliveries()).items if d.event_type == "customer.updated"]
    assert [echo.status for echo in echoes] == [DeliveryStatus.IGNORED]
    assert len(rig.flexprice.calls_of(PUT)) == 1


@pytest.mark.parametrize("event", ["customer.created", "customer.updated", "invoice.created", "payment.success"])
async def test_no_other_event_makes_a_customer(rig: Rig, event: str) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    body = {"event_type": event, "customer": {"id": ada["id"]}}
    delivery = await rig.send(body)
    await rig.finish()
    await rig.check()
    found = await rig.delivery(delivery)
    assert found.status is DeliveryStatus.IGNORED
    assert event in (found.reason or "")
    assert rig.nomod.calls == []


async def test_two_connections_write_both_links_into_one_customer(rig: Rig) -> None:
    """Both replace the whole map; they take turns."""
    await rig.add_quickbooks()
    ada = rig.flexprice.add_customer(**ADA, metadata={"plan": "gold"})
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    metadata = rig.flexprice.customers[ada["id"]]["metadata"]
    assert set(metadata) == {
        "plan", "nomod_customer_id", "nomod_sync_timestamp", "quickbooks_customer_id", "quickbooks_sync_timestamp",
    }  # fmt: skip


async def test_the_create_at_nomod_carries_the_reference_back(rig: Rig) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    sent = json.loads(rig.nomod.calls_of("POST /v1/customers")[0].body)
    assert sent["metadata"]["flexprice_customer_id"] == ada["id"]
    assert sent["metadata"]["flexprice_environment"] == "prod"


async def test_a_customer_that_the_platform_has_deleted_meanwhile_keeps_its_link(rig: Rig) -> None:
    """The record exists, so the link does; only telling the platform fails, and says why."""
    ada = rig.flexprice.add_customer(**ADA)
    invoice = rig.flexprice.add_invoice(ada["id"])

    async def forget(call: Call, moment: Moment) -> None:
        if call.route == "POST /v1/customers" and moment is Moment.AFTER:
            del rig.flexprice.customers[ada["id"]]

    rig.nomod.hook = forget
    await rig.send(invoice_event(rig.flexprice.shown_invoice(invoice, lag=0)))
    await rig.finish()
    await rig.check()
    job = await rig.job(status="failed")
    assert (job.kind, job.error["code"]) == ("write_back", "customer_not_found")
    assert await rig.linked(ada["id"])


async def test_what_was_read_before_the_lease_ended_is_not_written_after_it(rig: Rig) -> None:
    """A process that was stopped between reading and writing would wipe what others have written since."""
    ada = rig.flexprice.add_customer(**ADA, metadata={"plan": "gold"})
    reads = 0

    async def stop(call: Call, moment: Moment) -> None:
        nonlocal reads
        reads += call.route == f"GET /v1/customers/{ada['id']}" and moment is Moment.AFTER
        if reads == 2:  # the first read was that of the customer, this is that of the metadata
            rig.flexprice.hook = None
            rig.clock.advance(3600)
            rig.flexprice.edit_customer(ada["id"], metadata={"plan": "silver", "theirs": "1"})

    rig.flexprice.hook = stop
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    metadata = rig.flexprice.customers[ada["id"]]["metadata"]
    assert (metadata["plan"], metadata["theirs"]) == ("silver", "1")
