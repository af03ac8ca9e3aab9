"""What people do in the console: decide, retry, cancel, replay, link, pause, and make keys."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from connectors.testing.faults import Fault, FaultKind
from storage.records import DeliveryStatus, JobStatus, ReviewStatus
from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.console_setup import ROOT, Browsers, browsers
from tests.invariants import every

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Browsers]:
    """A tenant with a source and a connection; and browsers with each kind of key."""
    await rig.add_flexprice()
    await rig.add_nomod()
    async with browsers(rig) as opened:
        yield opened


async def asked(rig: Rig) -> tuple[str, str]:
    """Have a customer under review, with two candidates; return its id and that of the review."""
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email="bea@example.com")
    bea = rig.flexprice.add_customer(name="Bea", email="bea@example.com")
    await rig.finalize(bea["id"])
    await rig.finish()
    return bea["id"], (await rig.open_review()).review_id


async def failed(rig: Rig, *names: str) -> list[str]:
    """Have customers without an e-mail address; return the ids of their dead letters."""
    for name in names:
        await rig.finalize(rig.flexprice.add_customer(name=name, email="")["id"])
    await rig.finish()
    return [job.job_id for job in await rig.jobs(status=JobStatus.FAILED)]


async def audited(rig: Rig) -> list[tuple[str, str]]:
    """Return who did what through the console, oldest first."""
    entries = await every(rig.store.list_audit)
    return [(entry.actor, entry.action) for entry in reversed(entries) if entry.actor.startswith("key:")]


# Decisions -----------------------------------------------------------------------------------------------------------


async def test_a_review_shows_the_candidates_side_by_side_and_marks_what_differs(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    needs = await who.viewer.get("/needs")
    assert "Which record is it?" in needs.text
    page = await who.viewer.get(f"/reviews/{review}")
    for told in ("Bea One", "Bea Two", "bea@example.com", customer, "≠ differs", "= same", "same e-mail"):
        assert told in page.text, told
    assert page.html.count('class="differs"') == 2
    assert "Adopt this one" not in page.text
    assert "Your key may look, and not decide" in page.text


async def test_an_invoice_s_review_shows_both_sums_and_what_was_decided_leads_to_its_page(
    rig: Rig, who: Browsers
) -> None:
    await rig.add_nomod(invoices=True)
    rig.nomod.account_tax = Decimal(5)
    ada = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(ada["id"])
    await rig.finish()
    review = (await rig.open_review()).review_id
    assert "The sums differ" in (await who.viewer.get("/needs")).text
    page = await who.operator.get(f"/reviews/{review}")
    for told in ("1500.00 AED", "1575.00 AED", "At the platform", "open", ada["id"]):
        assert told in page.text, told
    await who.operator.submit(page, f"/reviews/{review}", holding="provider_entity_id")
    await rig.finish()
    [made] = rig.nomod.invoices.values()
    [job] = await rig.jobs(kind="ensure_invoice")
    shown = await who.viewer.get(f"/jobs/{job.job_id}")
    assert made["id"] in shown.text
    assert made["url"] in shown.html
    way = await who.viewer.get(f"/deliveries/{delivery}")
    assert f"/jobs/{job.job_id}" in way.html
    assert "Invoice" in way.text


async def test_adopting_a_candidate_links_it(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    page = await who.operator.get(f"/reviews/{review}")
    record = page.form(f"/reviews/{review}", holding="provider_entity_id").fields["provider_entity_id"]
    after = await who.operator.submit(page, f"/reviews/{review}", holding="provider_entity_id")
    assert f"{customer} is being linked to {record}" in after.text
    await rig.finish()
    assert await rig.linked(customer) == record
    assert len(rig.nomod.customers) == 2
    assert ("key:operator", "review.resolved") in await audited(rig)
    assert "Resolved" in (await who.operator.get(f"/reviews/{review}")).text
    assert (await who.operator.get("/needs")).heading == "Needs you"
    await rig.check()


async def test_creating_a_new_record_creates_one(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    await who.operator.post(f"/reviews/{review}", {"decision": "create"})
    await rig.finish()
    assert await rig.linked(customer) is not None
    assert len(rig.nomod.customers) == 3


async def test_ignoring_creates_and_links_nothing(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    await who.operator.post(f"/reviews/{review}", {"decision": "ignore"})
    await rig.finish()
    assert await rig.linked(customer) is None
    assert len(rig.nomod.customers) == 2
    assert (await rig.store.get_review(review)).status is ReviewStatus.RESOLVED


async def test_an_id_that_is_entered_is_looked_up_first(rig: Rig, who: Browsers) -> None:
    customer, review = await asked(rig)
    page = await who.operator.get(f"/reviews/{review}")
    refused = await who.operator.submit(
        page,
        f"/reviews/{review}",
        holding="provider_entity_id",
        provider_entity_id="00000000-0000-4000-8000-000000000000",
    )
    assert refused.status == 422
    assert "Record unknown to the provider" in refused.text
    assert "Nothing was decided" in refused.text
    assert (await rig.store.get_review(review)).status is ReviewStatus.OPEN
    other = rig.nomod.seed(first_name="Beatrice", email="beatrice@example.com")
    await who.operator.post(f"/reviews/{review}", {"decision": "adopt", "provider_entity_id": f"  {other} "})
    await rig.finish()
    assert await rig.linked(customer) == other


@pytest.mark.parametrize(
    "form",
    [
        {}, {"decision": ""}, {"decision": "delete"}, {"decision": "adopt"},
        {"decision": "adopt", "provider_entity_id": "   "},
    ],
)  # fmt: skip
async def test_a_decision_that_is_none_decides_nothing(rig: Rig, who: Browsers, form: dict[str, str]) -> None:
    _, review = await asked(rig)
    answer = await who.operator.post(f"/reviews/{review}", form)
    assert answer.status == 400
    assert "Nothing was decided" in answer.text
    assert (await rig.store.get_review(review)).status is ReviewStatus.OPEN


async def test_a_review_is_decided_once(rig: Rig, who: Browsers) -> None:
    _, review = await asked(rig)
    await who.operator.post(f"/reviews/{review}", {"decision": "ignore"})
    again = await who.administrator.post(f"/reviews/{review}", {"decision": "create"})
    assert again.status == 409
    assert "it was resolved before" in again.text


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


# Connections, sources, keys ------------------------------------------------------------------------------------------


async def test_a_connection_is_paused_with_a_reason_and_resumed_where_it_needs_somebody(
    rig: Rig, who: Browsers
) -> None:
    page = await who.operator.get(f"/connections/{NOMOD}")
    after = await who.operator.submit(page, f"/connections/{NOMOD}/pause", reason="Books are closed")
    assert "Books are closed" in after.text
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    needs = await who.operator.get("/needs")
    assert "1 job waits" in needs.text
    after = await who.operator.submit(needs, f"/connections/{NOMOD}/resume")
    assert "Active again" in after.text
    await rig.finish()
    assert len(rig.nomod.customers) == 1


async def test_a_test_names_the_account_or_says_what_is_wrong(rig: Rig, who: Browsers) -> None:
    good = await who.operator.follow(await who.operator.post(f"/connections/{NOMOD}/test"))
    assert "The credentials work" in good.text
    await rig.add_nomod("another", api_key="sk_test_of_somebody_else")
    bad = await who.operator.post("/connections/another/test")
    assert bad.status == 502
    assert "authentication_failed" in bad.text


async def test_a_connection_and_a_source_go_only_when_their_names_are_typed(rig: Rig, who: Browsers) -> None:
    for kind, name in (("connections", NOMOD), ("sources", SOURCE)):
        kept = await who.administrator.follow(
            await who.administrator.post(f"/{kind}/{name}/remove", {"sure": "something else"})
        )
        assert "Nothing was removed" in kept.text
        page = await who.administrator.get(f"/{kind}/{name}")
        gone = await who.administrator.submit(page, f"/{kind}/{name}/remove", sure=name)
        assert f"{name} is removed" in gone.text
        await who.administrator.get(f"/{kind}/{name}", status=404)


@pytest.mark.parametrize("name", ["none", "a%0d%0aSet-Cookie:%20x=1", "%2F%2Fevil.example", "%00", "..%2f.."])
async def test_a_name_that_nothing_has_is_not_found_whatever_it_is_made_of(who: Browsers, name: str) -> None:
    for path in (f"/connections/{name}", f"/sources/{name}"):
        assert (await who.administrator.ask("GET", ROOT + path)).status == 404, path
        for act in ("remove", "edit", "test"):
            answer = await who.administrator.post(f"{path}/{act}", {"sure": "x"})
            assert answer.status == 404, (path, act)
            assert "evil" not in answer.headers.get("Location", "")


async def test_a_test_event_goes_through_the_real_door(rig: Rig, who: Browsers) -> None:
    page = await who.operator.get(f"/sources/{SOURCE}")
    after = await who.operator.submit(page, f"/sources/{SOURCE}/test")
    assert "A signed test event was accepted" in after.text
    assert after.heading.startswith("ledgergate.test")
    deliveries = await every(rig.store.list_deliveries)
    assert [delivery.event_type for delivery in deliveries] == ["ledgergate.test"]


async def test_a_source_is_disabled_and_enabled(rig: Rig, who: Browsers) -> None:
    page = await who.administrator.get(f"/sources/{SOURCE}")
    off = await who.administrator.submit(page, f"/sources/{SOURCE}/switch", do="disable")
    assert "Disabled" in off.text
    assert (await rig.post(b"{}")).status == 404
    on = await who.administrator.submit(off, f"/sources/{SOURCE}/switch", do="enable")
    assert "Receiving again" in on.text
    assert (await rig.post(b"{}")).status == 202


async def test_a_key_is_shown_once_and_works_until_it_is_revoked(rig: Rig, who: Browsers) -> None:
    page = await who.administrator.get("/settings/keys")
    made = await who.administrator.submit(page, "/settings/keys", name="Monday's assistant", role="viewer")
    key = made.html[made.html.index("lgk_") :].partition("<")[0]
    assert made.headers["Cache-Control"] == "no-store"
    assert (await who.nobody.log_in(key)).status == 303
    listed = await who.administrator.get("/settings/keys")
    assert "Monday's assistant" in listed.text
    assert key not in listed.html
    row = next(row for row in await rig.store.list_keys() if row.name == "Monday's assistant")
    await who.administrator.submit(listed, f"/settings/keys/{row.key_id}/revoke")
    assert (await who.nobody.ask("GET", f"{ROOT}/jobs")).status == 303
    for name in ("", "x" * 101, "a\nb"):
        refused = await who.administrator.follow(
            await who.administrator.post("/settings/keys", {"name": name, "role": "viewer"})
        )
        assert "No key was made" in refused.text
    refused = await who.administrator.follow(
        await who.administrator.post("/settings/keys", {"name": "x", "role": "king"})
    )
    assert "choose a role" in refused.text


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
