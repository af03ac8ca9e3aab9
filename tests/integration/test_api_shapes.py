"""The fields that others rely on, as the contract names them."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.testing.faults import Fault, FaultKind
from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import NOMOD, Rig
from tests.integration.api_setup import API, Callers, configured, eventually

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
BEA = {"name": "Bea", "email": "bea@example.com"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
PROBLEM_FIELDS = {"code", "title", "detail", "cause", "resolution"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


async def test_the_integrations_of_a_linked_customer_are_what_the_platform_was_told(rig: Rig, who: Callers) -> None:
    await rig.add_quickbooks()
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    told = await who.viewer.get(f"/customers/{ada['id']}/integrations")
    metadata = rig.flexprice.customers[ada["id"]]["metadata"]
    assert told == {
        "customer_id": ada["id"],
        "integrations": {
            connector: {
                name: metadata[name] for name in (f"{connector}_customer_id", f"{connector}_sync_timestamp")
            }
            for connector in ("nomod", "quickbooks")
        },
    }  # fmt: skip
    stamp = told["integrations"]["nomod"]["nomod_sync_timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)


async def test_a_customer_that_was_seen_and_is_not_linked_has_no_integrations(rig: Rig, who: Callers) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.pause(NOMOD)
    await rig.finalize(ada["id"])
    await rig.finish()
    assert await who.viewer.get(f"/customers/{ada['id']}/integrations") == {
        "customer_id": ada["id"],
        "integrations": {},
    }


async def test_a_customer_of_whom_nobody_has_spoken_is_not_found(who: Callers) -> None:
    for customer in ("cust_1", "a%2Fb", "%C3%BC", "x" * 255, "x" * 256, "a%00b", "%0A"):
        answer = await who.viewer.ask("GET", f"{API}/customers/{customer}/integrations")
        assert (answer.status, answer.code) == (404, "customer_not_found")


async def test_of_two_links_on_one_connector_the_latest_is_told(rig: Rig, who: Callers) -> None:
    await rig.add_nomod("nomod-second")
    ada = rig.flexprice.add_customer(**ADA)
    await rig.pause("nomod-second")
    await rig.finalize(ada["id"])
    await rig.finish()
    rig.clock.advance(5)
    await rig.resume("nomod-second")
    await rig.finish()
    told = await who.viewer.get(f"/customers/{ada['id']}/integrations")
    assert told["integrations"]["nomod"]["nomod_customer_id"] == await rig.linked(ada["id"], "nomod-second")


async def test_a_delivery_is_shown_with_its_jobs_from_receipt_to_write_back(rig: Rig, who: Callers) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    delivery_id = await rig.finalize(ada["id"])
    await rig.finish()
    listed = (await who.viewer.items("/deliveries"))[0]
    single = await who.viewer.get(f"/deliveries/{delivery_id}")
    assert {**single, "jobs": None, "headers": None, "body_kept": None} == {
        **listed, "jobs": None, "headers": None, "body_kept": None,
    }  # fmt: skip
    assert listed["delivery_id"] == delivery_id
    assert (listed["source"], listed["status"], listed["reason"]) == (SOURCE, "processed", None)
    assert listed["event_type"] == "invoice.update.finalized"
    assert listed["delivery_key"].startswith("msg_")
    assert MOMENT.fullmatch(listed["received_at"])
    assert [job["kind"] for job in single["jobs"]] == ["ensure_customer", "write_back"]
    assert all(job["attempts"] == 1 for job in single["jobs"])
    body = await who.viewer.ask("GET", f"{API}/deliveries/{delivery_id}/body")
    assert body.headers["Content-Type"] == "application/octet-stream"
    assert (await rig.delivery(delivery_id)).body == body.body
    assert "svix-id" in {name.lower() for name, _ in single["headers"]}


async def test_a_job_counts_its_attempts_in_lists_and_tells_them_in_the_single_view(rig: Rig, who: Callers) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/customers", times=9))
    ada = rig.flexprice.add_customer(**ADA)
    delivery_id = await rig.finalize(ada["id"])
    await rig.finish()
    listed = (await who.viewer.items(f"/jobs?kind=ensure_customer&connection={NOMOD}"))[0]
    single = await who.viewer.get(f"/jobs/{listed['job_id']}")
    assert listed["attempts"] == len(single["attempts"]) > 1
    assert {**listed, "attempts": None} == {**single, "attempts": None}
    assert {
        "delivery_id": delivery_id, "kind": "ensure_customer", "connection": NOMOD, "entity_type": "customer",
        "entity_id": ada["id"], "status": "succeeded", "next_attempt_at": None,
    }.items() <= listed.items()  # fmt: skip
    for attempt in single["attempts"]:
        assert MOMENT.fullmatch(attempt["started_at"])
        assert attempt["started_at"] <= attempt["finished_at"]
        assert attempt["exchanges"], "the requests that were made are told"
    failed, last = single["attempts"][0], single["attempts"][-1]
    assert set(failed["error"]) >= PROBLEM_FIELDS
    assert failed["error"]["code"] == "provider_api_error"
    assert (last["error"], last["outcome"]) == (None, "created")


async def test_a_waiting_job_says_when_it_is_tried_again(rig: Rig, who: Callers) -> None:
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/customers", times=99))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])

    async def tried() -> Any:
        return [job for job in await who.viewer.items("/jobs?status=pending") if job["error"]]

    job = (await eventually(tried))[0]
    assert MOMENT.fullmatch(job["next_attempt_at"])
    assert job["error"]["code"] == "provider_api_error"
    assert await who.viewer.items("/jobs?error_code=provider_api_error") == [job]


async def test_a_mapping_has_the_fields_of_the_contract(rig: Rig, who: Callers) -> None:
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    mapping = (await who.viewer.items("/mappings"))[0]
    assert {
        "source": SOURCE, "entity_type": "customer", "entity_id": ada["id"], "connection": NOMOD, "connector": "nomod",
        "provider_entity_id": await rig.linked(ada["id"]), "status": "linked", "origin": "created",
    }.items() <= mapping.items()  # fmt: skip
    assert MOMENT.fullmatch(mapping["synced_at"])
    assert MOMENT.fullmatch(mapping["written_back_at"])
    assert await who.viewer.get(f"/mappings/{SOURCE}/customer/{ada['id']}/{NOMOD}") == mapping


async def test_a_review_shows_its_candidates_side_by_side(rig: Rig, who: Callers) -> None:
    records = [rig.nomod.seed(first_name=name, email=BEA["email"]) for name in ("Bea One", "Bea Two")]
    bea = rig.flexprice.add_customer(**BEA)
    await rig.finalize(bea["id"])
    await rig.finish()
    review = (await who.viewer.items("/reviews?status=open"))[0]
    assert {
        "connection": NOMOD,
        "entity_id": bea["id"],
        "kind": "ambiguous",
        "status": "open",
    }.items() <= review.items()
    assert review["reason"]
    assert review["job_id"] == (await who.viewer.items("/jobs?status=needs_review"))[0]["job_id"]
    assert {each["provider_entity_id"] for each in review["candidates"]} == set(records)
    for each in review["candidates"]:
        assert {"provider_entity_id", "name", "email", "active", "why"} <= set(each)
        assert (each["email"], each["active"]) == (BEA["email"], True)
    assert review["customer"]["name"] == BEA["name"]
    assert await who.viewer.get(f"/reviews/{review['review_id']}") == review


async def test_a_connection_shows_its_settings_and_no_secret(rig: Rig, who: Callers) -> None:
    connection = (await who.viewer.items("/connections"))[0]
    assert {
        "name": NOMOD, "connector": "nomod", "tenant_id": TENANT, "environment_id": ENVIRONMENT, "status": "active",
        "pause_reason": None,
    }.items() <= connection.items()  # fmt: skip
    assert connection["settings"]["invoice_sync"] == {"outbound": True, "customer_only": True}
    assert connection["settings"]["config"]["base_url"] == rig.nomod.url
    assert connection["secrets"] == ["api_key"]
    assert rig.nomod.api_key not in (await who.viewer.ask("GET", f"{API}/connections")).body.decode()


async def test_a_paused_connection_names_the_error_that_has_paused_it(rig: Rig, who: Callers) -> None:
    rig.nomod.api_key = "another-key"
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])

    async def paused() -> Any:
        return await who.viewer.items("/connections?status=paused")

    connection = (await eventually(paused))[0]
    assert (connection["name"], connection["pause_reason"]) == (NOMOD, "authentication_failed")


async def test_a_source_shows_when_it_was_heard_and_what_was_refused(rig: Rig, who: Callers) -> None:
    before = (await who.viewer.items("/sources"))[0]
    assert (before["last_accepted_at"], before["last_rejected"]) == (None, None)
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    good, rig.secret = rig.secret, "whsec_" + "d3Jvbmctc2VjcmV0LXdyb25nLXNlY3JldA=="
    refused = await rig.post({"event_type": "x"})
    assert refused.attempts[-1].status == 401
    rig.secret = good
    source = await who.viewer.get(f"/sources/{SOURCE}")
    assert {"name": SOURCE, "platform": "flexprice", "status": "active"}.items() <= source.items()
    assert source["verification"] == "standard-webhooks"
    assert source["url"] == f"{rig.gateway.url}/webhooks/{SOURCE}"
    assert MOMENT.fullmatch(source["last_accepted_at"])
    assert MOMENT.fullmatch(source["last_rejected"]["time"])
    assert source["last_rejected"]["reason"]
    assert len(source["rejections"]) == 1
    text = (await who.viewer.ask("GET", f"{API}/sources/{SOURCE}")).body.decode()
    assert rig.secret not in text
    assert rig.flexprice.api_key not in text
