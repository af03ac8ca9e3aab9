"""What people do with work in the console: retry, cancel, replay, link, and have payment links made."""

from collections.abc import AsyncIterator

import pytest

from connectors.testing.faults import Fault, FaultKind
from storage.records import DeliveryStatus, JobStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.console_setup import ADA, Browsers, audited, configured
from tests.invariants import every


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    async with configured(rig) as opened:
        yield opened


async def failed(rig: Rig, *names: str) -> list[str]:
    """Have customers without an e-mail address; return the ids of their dead letters."""
    for name in names:
        await rig.finalize(rig.flexprice.add_customer(name=name, email="")["id"])
    await rig.finish()
    return [job.job_id for job in await rig.jobs(status=JobStatus.FAILED)]


# Jobs and deliveries -------------------------------------------------------------------------------------------------


async def test_a_dead_letter_is_retried_from_where_it_is_seen(rig: Rig, who: Browsers) -> None:
    job_id = (await failed(rig, "No Mail"))[0]
    customer = next(iter(rig.flexprice.customers.values()))
    needs = await who.operator.get("/needs")
    assert "Missing required fields" in needs.text
    assert "Fill in name and e-mail" in needs.text
    customer["email"] = "found@example.com"
    page = await who.operator.get(f"/jobs/{job_id}")
    after = await who.operator.submit(page, f"/jobs/{job_id}/retry")
    assert "It is due now" in after.text
    await rig.finish()
    assert await rig.linked(customer["id"]) is not None
    assert ("key:operator", "job.retried") in await audited(rig)


async def test_ticked_dead_letters_are_retried_or_cancelled_together(rig: Rig, who: Browsers) -> None:
    jobs = await failed(rig, "One", "Two", "Three")
    page = await who.operator.get("/needs")
    assert page.html.count('type="checkbox"') == 3
    await who.operator.post("/needs", {"do": "cancel", "job": jobs[:2], "reason": "no customers of ours"})
    states = {job.job_id: job.status for job in await rig.jobs()}
    assert [states[job] for job in jobs] == [JobStatus.CANCELLED, JobStatus.CANCELLED, JobStatus.FAILED]
    assert "no customers of ours" in str((await rig.store.get_job(jobs[0])).reason)
    after = await who.operator.follow(await who.operator.post("/needs", {"do": "retry", "job": [jobs[2], "job_none"]}))
    assert "1 due now, 1 had changed meanwhile" in after.text
    nothing = await who.operator.follow(await who.operator.post("/needs", {"do": "retry"}))
    assert "Nothing was ticked" in nothing.text


async def test_all_dead_letters_of_a_filter_are_counted_before_they_are_retried(rig: Rig, who: Browsers) -> None:
    await failed(rig, "One", "Two")
    page = await who.operator.get("/jobs?status=failed")
    counted = await who.operator.submit(page, "/jobs/retry")
    assert counted.heading == "Retry 2 dead letters?"
    assert len(await rig.jobs(status=JobStatus.FAILED)) == 2
    done = await who.operator.submit(counted, "/jobs/retry", holding="sure")
    assert "2 are due now" in done.text
    await rig.finish()
    assert all(job.attempts == 2 for job in await rig.jobs(status=JobStatus.FAILED))


async def test_a_job_that_waits_is_cancelled_with_a_reason(rig: Rig, who: Browsers) -> None:
    await rig.pause(NOMOD)
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    job = await rig.job()
    page = await who.operator.get(f"/jobs/{job.job_id}")
    await who.operator.submit(page, f"/jobs/{job.job_id}/cancel", reason="a test invoice")
    gone = await rig.store.get_job(job.job_id)
    assert (gone.status, gone.reason) == (JobStatus.CANCELLED, "cancelled by key:operator: a test invoice")
    again = await who.operator.post(f"/jobs/{job.job_id}/cancel")
    assert again.status == 409


async def test_a_delivery_is_replayed_and_creates_nobody_twice(rig: Rig, who: Browsers) -> None:
    customer = rig.flexprice.add_customer(**ADA)["id"]
    delivery = await rig.finalize(customer)
    await rig.finish()
    page = await who.operator.get(f"/deliveries/{delivery}")
    after = await who.operator.submit(page, f"/deliveries/{delivery}/replay")
    assert "dispatched again" in after.text
    await rig.finish()
    assert (await rig.delivery(delivery)).replays == 1
    assert len(rig.nomod.customers) == 1
    assert "Dispatched again" in (await who.operator.get(f"/deliveries/{delivery}")).text


async def test_failed_deliveries_of_a_filter_are_counted_before_they_are_replayed(rig: Rig, who: Browsers) -> None:
    await rig.send(b"not json")
    await rig.finish()
    assert "Could not be read" in (await who.operator.get("/needs")).text
    page = await who.operator.get(f"/deliveries?source={SOURCE}")
    counted = await who.operator.submit(page, "/deliveries/replay")
    assert counted.heading == "Replay 1 delivery?"
    done = await who.operator.submit(counted, "/deliveries/replay", holding="sure")
    assert "1 dispatched again" in done.text
    await rig.finish()
    deliveries = await every(rig.store.list_deliveries, status=DeliveryStatus.FAILED)
    assert [delivery.replays for delivery in deliveries] == [1]


# Customers -----------------------------------------------------------------------------------------------------------


async def test_a_customer_is_relinked_and_unlinked_with_a_reason_that_is_kept(rig: Rig, who: Browsers) -> None:
    customer = rig.flexprice.add_customer(**ADA)["id"]
    await rig.finalize(customer)
    await rig.finish()
    other = rig.nomod.seed(first_name="Ada L", email="ada.l@example.com")
    page = await who.operator.get(f"/customers/{customer}")
    after = await who.operator.submit(
        page, f"/customers/{customer}", holding="provider_entity_id", provider_entity_id=other, reason="merged by hand",
        do="link",
    )  # fmt: skip
    assert f"Linked to {other}" in after.text
    await rig.finish()
    assert await rig.linked(customer) == other
    assert rig.flexprice.customers[customer]["metadata"]["nomod_customer_id"] == other
    assert "merged by hand" in (await who.operator.get(f"/customers/{customer}")).text
    page = await who.operator.get(f"/customers/{customer}")
    after = await who.operator.submit(page, f"/customers/{customer}", holding="unlink", reason="wrong one", do="unlink")
    assert "Unlinked from" in after.text
    assert await rig.linked(customer) is None
    actions = await audited(rig)
    assert actions[-2:] == [("key:operator", "mapping.linked"), ("key:operator", "mapping.unlinked")]


async def test_a_link_without_a_reason_or_to_nothing_or_to_somebody_elses_record_changes_nothing(
    rig: Rig, who: Browsers
) -> None:
    ada, bob = (rig.flexprice.add_customer(**each)["id"] for each in (ADA, {"name": "Bob", "email": "bob@example.com"}))
    for customer in (ada, bob):
        await rig.finalize(customer)
    await rig.finish()
    mine, others = await rig.linked(ada), await rig.linked(bob)
    form = {"source": SOURCE, "connection": NOMOD, "do": "link", "provider_entity_id": others, "reason": "because"}
    for change, status, told in (
        ({}, 409, "linked to another customer"), ({"reason": " "}, 400, "say why"),
        ({"provider_entity_id": ""}, 400, "enter the id"), ({"connection": "none"}, 404, "there is no connection"),
        ({"provider_entity_id": "00000000-0000-4000-8000-000000000000"}, 422, "unknown to the provider"),
    ):  # fmt: skip
        answer = await who.operator.post(f"/customers/{ada}", {**form, **change})
        assert answer.status == status, (change, answer.text)
        assert told in answer.text, change
        assert "Nothing was changed" in answer.text
    assert (await rig.linked(ada), await rig.linked(bob)) == (mine, others)


async def test_when_the_provider_cannot_be_asked_nothing_is_linked(rig: Rig, who: Browsers) -> None:
    customer = rig.flexprice.add_customer(**ADA)["id"]
    await rig.finalize(customer)
    await rig.finish()
    before = await rig.linked(customer)
    other = rig.nomod.seed(first_name="Ada L", email="ada.l@example.com")
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, status=503, times=20))
    answer = await who.operator.post(
        f"/customers/{customer}",
        {"source": SOURCE, "connection": NOMOD, "do": "link", "provider_entity_id": other, "reason": "because"},
    )
    assert answer.status == 502
    assert "Nothing was changed" in answer.text
    assert await rig.linked(customer) == before


# Payment links -------------------------------------------------------------------------------------------------------


async def test_a_payment_link_is_made_with_a_button_and_shown_again(rig: Rig, who: Browsers) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    [job] = await rig.jobs(kind="ensure_customer")
    page = await who.operator.get(f"/jobs/{job.job_id}")
    assert "Payment link for the invoice" in page.text
    assert "Payment link for the invoice" not in (await who.viewer.get(f"/jobs/{job.job_id}")).text
    path = f"/jobs/{job.job_id}/payment-link"
    first = await who.operator.post(path, {})
    [link] = rig.nomod.links.values()
    assert link["url"] in first.text
    assert "1500.00 AED" in first.text
    assert link["url"] in (await who.operator.post(path, {})).text
    rig.flexprice.void_invoice(str(job.subject))
    assert "VOIDED" in (await who.operator.post(path, {})).text
    assert ("key:operator", "payment_link.requested") in await audited(rig)
