"""What an operator does over HTTP: replay, retry, cancel, one by one and by filter; decide a review."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.testing.faults import Fault, FaultKind
from gateway.operations import bulk
from tests.configuring import SOURCE
from tests.harness import NOMOD, Rig
from tests.integration.api_setup import API, Callers, configured

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
BEA = {"name": "Bea", "email": "bea@example.com"}
NOWHERE = "94bcffbe-ea9c-4d50-8aa2-b20216935487"


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


async def failed_job(rig: Rig, who: Callers, email: str = "nobody at all") -> dict[str, Any]:
    """Have a job fail for good: its customer's address is none."""
    customer = rig.flexprice.add_customer(name="Nobody", email=email)
    await rig.finalize(customer["id"])
    await rig.finish()
    job: dict[str, Any] = (await who.operator.items(f"/jobs?entity_id={customer['id']}"))[0]
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_email")
    return job


async def asked(rig: Rig, who: Callers) -> tuple[dict[str, Any], list[str]]:
    """Have a review asked, and return it with its candidates' ids."""
    records = [rig.nomod.seed(first_name=name, email=BEA["email"]) for name in ("Bea One", "Bea Two")]
    await rig.finalize(rig.flexprice.add_customer(**BEA)["id"])
    await rig.finish()
    return (await who.operator.items("/reviews?status=open"))[0], records


# Deliveries --------------------------------------------------------------------------------------------------------


async def test_a_replay_dispatches_again_and_makes_no_second_customer(rig: Rig, who: Callers) -> None:
    delivery_id = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    told = await who.operator.post(f"/deliveries/{delivery_id}/replay", status=202)
    assert (told["delivery_id"], told["status"], told["replays"]) == (delivery_id, "pending", 1)
    await rig.finish()
    await rig.check(all_linked=True)
    assert len(rig.nomod.creations) == 1
    assert (await who.viewer.get(f"/deliveries/{delivery_id}"))["status"] == "processed"
    entry = (await who.viewer.items(f"/audit?subject={delivery_id}"))[0]
    assert (entry["actor"], entry["action"]) == ("key:operator", "delivery.replayed")


async def test_a_delivery_that_is_being_worked_on_is_not_replayed(rig: Rig, who: Callers) -> None:
    await rig.pause(NOMOD)
    delivery_id = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    answer = await who.operator.ask("POST", f"{API}/deliveries/{delivery_id}/replay")
    assert (answer.status, answer.code) == (409, "conflict")


async def test_deliveries_are_replayed_by_filter_and_counted_first(rig: Rig, who: Callers) -> None:
    for number in range(3):
        await failed_job(rig, who, email=f"bad {number}")
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    for since, found in (("2000-01-01T00:00:00Z", 3), ("2999-12-31T23:59:59.5+02:00", 0)):
        told = await who.operator.post("/deliveries/replay", {"since": since, "dry_run": True}, status=202)
        assert told["matched"] == found
    counted = await who.operator.post("/deliveries/replay", {"source": SOURCE, "dry_run": True}, status=202)
    assert counted == {"matched": 3, "changed": 3, "skipped": 0, "dry_run": True, "more": False}
    assert {each["replays"] for each in await who.viewer.items("/deliveries")} == {0}
    done = await who.operator.post("/deliveries/replay", {"source": SOURCE}, status=202)
    assert (done["matched"], done["changed"]) == (3, 3)
    assert sorted(each["replays"] for each in await who.viewer.items("/deliveries")) == [0, 1, 1, 1]


async def test_a_body_that_was_pruned_is_gone_and_cannot_be_replayed(rig: Rig, who: Callers) -> None:
    delivery_id = await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.store.prune_deliveries(before=rig.now())
    rig.clock.advance(2 * 3600)
    await rig.store.prune_deliveries(before=rig.now())
    gone = await who.viewer.ask("GET", f"{API}/deliveries/{delivery_id}/body")
    assert (gone.status, gone.code) == (410, "body_pruned")
    answer = await who.operator.ask("POST", f"{API}/deliveries/{delivery_id}/replay")
    assert (answer.status, answer.code) == (409, "conflict")
    shown = await who.viewer.get(f"/deliveries/{delivery_id}")
    assert (shown["body_kept"], shown["headers"]) == (False, None)


# Jobs --------------------------------------------------------------------------------------------------------------


async def test_a_retried_job_runs_at_once_and_its_delivery_ends_well(rig: Rig, who: Callers) -> None:
    job = await failed_job(rig, who)
    rig.flexprice.customers[job["entity_id"]]["email"] = "now@example.com"
    told = await who.operator.post(f"/jobs/{job['job_id']}/retry")
    assert (told["job_id"], told["failures"]) == (job["job_id"], 0)
    assert isinstance(told["attempts"], list)
    await rig.finish()
    assert (await who.viewer.get(f"/jobs/{job['job_id']}"))["status"] == "succeeded"
    assert (await who.viewer.get(f"/deliveries/{job['delivery_id']}"))["status"] == "processed"
    again = await who.operator.ask("POST", f"{API}/jobs/{job['job_id']}/retry")
    assert (again.status, again.code) == (409, "conflict")


async def test_a_cancelled_job_says_who_has_cancelled_it_and_why(rig: Rig, who: Callers) -> None:
    job = await failed_job(rig, who)
    told = await who.operator.post(f"/jobs/{job['job_id']}/cancel", {"reason": "a test customer"})
    assert (told["status"], told["reason"]) == ("cancelled", "cancelled by key:operator: a test customer")
    again = await who.operator.ask("POST", f"{API}/jobs/{job['job_id']}/cancel")
    assert (again.status, again.code) == (409, "conflict")


async def test_jobs_are_retried_by_filter_and_counted_first(rig: Rig, who: Callers) -> None:
    jobs = [await failed_job(rig, who, email=f"bad {number}") for number in range(3)]
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    assert await who.operator.post("/jobs/retry", {"error_code": "invalid_email", "dry_run": True}) == {
        "matched": 3, "changed": 3, "skipped": 0, "dry_run": True, "more": False,
    }  # fmt: skip
    assert len(await who.viewer.items("/jobs?status=failed")) == 3
    for job in jobs:
        rig.flexprice.customers[job["entity_id"]]["email"] = f"{job['entity_id']}@example.com".lower()
    done = await who.operator.post("/jobs/retry", {"connection": NOMOD})
    assert (done["matched"], done["changed"], done["dry_run"]) == (3, 3, False)
    await rig.finish()
    await rig.check(all_linked=True)
    assert (await who.operator.post("/jobs/retry", {"all": True}))["matched"] == 0


async def test_jobs_are_cancelled_by_filter(rig: Rig, who: Callers) -> None:
    await failed_job(rig, who)
    review, _ = await asked(rig, who)
    done = await who.operator.post("/jobs/cancel", {"all": True, "reason": "clean up"})
    assert (done["matched"], done["changed"]) == (1, 1), "what a person is asked about is not cancelled unasked"
    done = await who.operator.post("/jobs/cancel", {"status": "needs_review"})
    assert (done["matched"], done["changed"]) == (1, 1)
    assert (await who.viewer.get(f"/reviews/{review['review_id']}"))["status"] == "resolved"


@pytest.mark.parametrize("path", ["/jobs/retry", "/jobs/cancel", "/deliveries/replay"])
async def test_a_command_on_all_that_there_is_must_say_so(who: Callers, path: str) -> None:
    for body in ({}, {"dry_run": True}, {"all": False}, {"since": 5}, {"since": "5"}, {"until": "yesterday"}):
        answer = await who.operator.ask("POST", API + path, body)
        assert (answer.status, answer.code) == (400, "request_invalid")


async def test_a_command_takes_no_more_than_it_says_and_tells_that_there_are_more(
    rig: Rig, who: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is lowered here: ten thousand failed jobs would take a minute."""
    for number in range(3):
        await failed_job(rig, who, email=f"bad {number}")
    monkeypatch.setattr(bulk, "MAX_BULK", 2)
    done = await who.operator.post("/jobs/cancel", {"status": "failed"})
    assert (done["matched"], done["changed"], done["more"]) == (2, 2, True)
    done = await who.operator.post("/jobs/cancel", {"status": "failed"})
    assert (done["matched"], done["changed"], done["more"]) == (1, 1, False)


# Reviews -----------------------------------------------------------------------------------------------------------


async def test_an_adopted_record_is_linked_and_told_to_the_platform(rig: Rig, who: Callers) -> None:
    review, (first, _) = await asked(rig, who)
    body = {"decision": "adopt", "provider_entity_id": first}
    told = await who.operator.post(f"/reviews/{review['review_id']}/resolve", body)
    assert (told["status"], told["decision"], told["provider_entity_id"]) == ("resolved", "adopt", first)
    assert told["resolved_by"] == "key:operator"
    await rig.finish()
    await rig.check(all_linked=True)
    mapping = (await who.viewer.items("/mappings"))[0]
    assert (mapping["provider_entity_id"], mapping["origin"]) == (first, "operator")
    assert rig.flexprice.customers[review["entity_id"]]["metadata"]["nomod_customer_id"] == first
    entry = (await who.viewer.items("/audit?action=review.resolved"))[0]
    assert entry["detail"] == {"decision": "adopt", "record": first, "customer": review["entity_id"]}


async def test_a_review_that_asks_for_a_new_record_has_one_made(rig: Rig, who: Callers) -> None:
    review, records = await asked(rig, who)
    await who.operator.post(f"/reviews/{review['review_id']}/resolve", {"decision": "create"})
    await rig.finish()
    await rig.check(all_linked=True)
    assert await rig.linked(review["entity_id"]) not in [*records, None]


async def test_an_ignored_review_cancels_its_job(rig: Rig, who: Callers) -> None:
    review, _ = await asked(rig, who)
    await who.operator.post(f"/reviews/{review['review_id']}/resolve", {"decision": "ignore"})
    await rig.finish()
    assert (await who.viewer.get(f"/jobs/{review['job_id']}"))["status"] == "cancelled"
    assert await rig.linked(review["entity_id"]) is None


async def test_a_review_is_decided_once(rig: Rig, who: Callers) -> None:
    review, (first, second) = await asked(rig, who)
    path = f"/reviews/{review['review_id']}/resolve"
    await who.operator.post(path, {"decision": "adopt", "provider_entity_id": first})
    for body in ({"decision": "adopt", "provider_entity_id": second}, {"decision": "ignore"}, {"decision": "create"}):
        answer = await who.operator.ask("POST", API + path, body)
        assert (answer.status, answer.code) == (409, "conflict")
    await rig.finish()
    assert await rig.linked(review["entity_id"]) == first


@pytest.mark.parametrize("record", [NOWHERE, "not-an-id", "../x", "Ü"])
async def test_a_record_that_the_provider_does_not_have_is_not_adopted(rig: Rig, who: Callers, record: str) -> None:
    review, _ = await asked(rig, who)
    body = {"decision": "adopt", "provider_entity_id": record}
    answer = await who.operator.ask("POST", f"{API}/reviews/{review['review_id']}/resolve", body)
    assert (answer.status, answer.code) == (422, "record_unknown")
    assert (await who.viewer.get(f"/reviews/{review['review_id']}"))["status"] == "open"


async def test_a_record_that_is_somebody_elses_is_not_adopted(rig: Rig, who: Callers) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    review, _ = await asked(rig, who)
    body = {"decision": "adopt", "provider_entity_id": await rig.linked(ada["id"])}
    answer = await who.operator.ask("POST", f"{API}/reviews/{review['review_id']}/resolve", body)
    assert (answer.status, answer.code) == (409, "record_taken")
    assert ada["id"] in answer.json["detail"]
    assert (await who.viewer.get(f"/reviews/{review['review_id']}"))["status"] == "open"


async def test_when_the_provider_cannot_be_asked_nothing_is_decided(rig: Rig, who: Callers) -> None:
    review, (first, _) = await asked(rig, who)
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/customers/*", times=99))
    body = {"decision": "adopt", "provider_entity_id": first}
    answer = await who.operator.ask("POST", f"{API}/reviews/{review['review_id']}/resolve", body)
    assert (answer.status, answer.code) == (502, "provider_api_error")
    assert (await who.viewer.get(f"/reviews/{review['review_id']}"))["status"] == "open"


async def test_on_a_paused_connection_a_person_is_taken_at_their_word(rig: Rig, who: Callers) -> None:
    review, (first, _) = await asked(rig, who)
    await who.operator.post(f"/connections/{NOMOD}/pause")
    calls = len(rig.nomod.calls)
    body = {"decision": "adopt", "provider_entity_id": first}
    await who.operator.post(f"/reviews/{review['review_id']}/resolve", body)
    assert len(rig.nomod.calls) == calls
    await who.operator.post(f"/connections/{NOMOD}/resume")
    await rig.finish()
    assert await rig.linked(review["entity_id"]) == first


NO_DECISIONS: tuple[object, ...] = (
    {}, {"decision": "adopt"}, {"decision": "create", "provider_entity_id": "x"}, {"decision": "perhaps"},
    {"decision": "ignore", "provider_entity_id": "x"}, {"decision": "adopt", "provider_entity_id": ""},
    {"decision": "adopt", "provider_entity_id": 58}, {"decision": "ignore", "why": "x"},
    {"decision": "adopt", "provider_entity_id": "a\nb"}, {"decision": None}, [], "ignore", None,
)  # fmt: skip


async def test_a_decision_that_is_none_is_refused_and_the_review_stays_open(rig: Rig, who: Callers) -> None:
    review, _ = await asked(rig, who)
    for body in NO_DECISIONS:
        answer = await who.operator.ask("POST", f"{API}/reviews/{review['review_id']}/resolve", body)
        assert (answer.status, answer.code) == (400, "request_invalid"), body
        assert (await who.viewer.get(f"/reviews/{review['review_id']}"))["status"] == "open", body


@pytest.mark.parametrize(
    "route",
    [
        ("GET", "/deliveries/{}"), ("GET", "/deliveries/{}/body"), ("POST", "/deliveries/{}/replay"),
        ("GET", "/jobs/{}"), ("POST", "/jobs/{}/retry"), ("POST", "/jobs/{}/cancel"), ("GET", "/reviews/{}"),
        ("GET", "/sources/{}"), ("GET", "/connections/{}"), ("POST", "/connections/{}/pause"),
        ("POST", "/connections/{}/resume"), ("POST", "/connections/{}/test"), ("POST", "/sources/{}/test"),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_404(who: Callers, route: tuple[str, str]) -> None:
    answer = await who.operator.ask(route[0], API + route[1].format("nothing"))
    assert (answer.status, answer.code) == (404, "not_found")
