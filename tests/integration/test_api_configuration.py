"""Sources and connections over HTTP: made, changed, tried out, paused, removed; never a secret in an answer."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.testing.faults import Fault, FaultKind
from gateway.sources.signing import new_secret
from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import ADMIN_KEY, NOMOD, QUICKBOOKS, Rig
from tests.integration.api_setup import API, OTHER_TENANT, Answer, Caller, Callers, callers

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with callers(rig) as made:
        yield made


def a_source(rig: Rig, **more: Any) -> dict[str, Any]:
    return {
        "platform": "flexprice", "verification": "standard-webhooks", "secrets": [rig.secret],
        "api_url": rig.flexprice.api_url, "api_key": rig.flexprice.api_key, **more,
    }  # fmt: skip


def a_connection(rig: Rig, **config: Any) -> dict[str, Any]:
    return {
        "connector": "nomod", "invoice_sync": {"outbound": True},
        "config": {"api_key": rig.nomod.api_key, "base_url": rig.nomod.url, **config},
    }  # fmt: skip


async def put(who: Callers, path: str, body: Any) -> Answer:
    answer = await who.administrator.ask("PUT", API + path, body)
    assert answer.status == 200, answer.body
    return answer


async def test_a_source_and_a_connection_made_over_http_work_at_once(rig: Rig, who: Callers) -> None:
    made = await who.administrator.post("/sources", {"name": SOURCE, **a_source(rig)}, status=201)
    assert (made["name"], made["tenant_id"], made["environment_id"]) == (SOURCE, TENANT, ENVIRONMENT)
    assert made["secrets"] == 1
    connection = await who.administrator.post("/connections", {"name": NOMOD, **a_connection(rig)}, status=201)
    assert (connection["status"], connection["secrets"]) == ("active", ["api_key"])
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    actions = [each["action"] for each in await who.viewer.items("/audit")]
    assert actions.count("source.created") == actions.count("connection.created") == 1


async def test_no_answer_holds_a_secret(rig: Rig, who: Callers) -> None:
    secrets = [rig.secret, rig.flexprice.api_key, rig.nomod.api_key, "qb-client-secret-xyz", "refresh-token-xyz"]
    answers = [
        await put(who, f"/sources/{SOURCE}", a_source(rig)),
        await put(who, f"/connections/{NOMOD}", a_connection(rig)),
        await put(
            who,
            f"/connections/{QUICKBOOKS}",
            {
                "connector": "quickbooks",
                "config": {
                    "client_id": "id", "client_secret": secrets[3], "environment": "sandbox", "realm_id": "123",
                    "refresh_token": secrets[4],
                },
            },
        ),
    ]  # fmt: skip
    paths = ("/sources", f"/sources/{SOURCE}", "/connections", f"/connections/{QUICKBOOKS}", "/audit", "/keys")
    answers += [await who.administrator.ask("GET", API + path) for path in paths]
    for answer in answers:
        for secret in (*secrets, who.viewer.key or ""):
            assert secret not in answer.body.decode()


async def test_there_is_one_of_a_name_and_a_change_is_a_put(rig: Rig, who: Callers) -> None:
    for noun, body in (("sources", a_source(rig)), ("connections", a_connection(rig))):
        await who.administrator.post(f"/{noun}", {"name": "one", **body}, status=201)
        again = await who.administrator.ask("POST", f"{API}/{noun}", {"name": "one", **body})
        assert (again.status, again.code) == (409, "already_exists")
        await put(who, f"/{noun}/one", body)
        stranger = await who.stranger.ask("PUT", f"{API}/{noun}/one", body)
        assert (stranger.status, stranger.code) == (400, "config_invalid")
        assert (await who.stranger.ask("GET", f"{API}/{noun}/one")).status == 404


async def test_secrets_that_are_left_out_stay_and_others_can_be_changed(rig: Rig, who: Callers) -> None:
    await put(who, f"/sources/{SOURCE}", a_source(rig))
    await put(who, f"/connections/{NOMOD}", a_connection(rig))
    kept = a_source(rig, api_url=rig.flexprice.api_url + "/")
    del kept["secrets"], kept["api_key"]
    shown = await put(who, f"/sources/{SOURCE}", kept)
    assert (shown.json["secrets"], shown.json["has_api_key"]) == (1, True)
    slower = {"connector": "nomod", "invoice_sync": {"outbound": True}, "config": {"base_url": rig.nomod.url}}
    assert (await put(who, f"/connections/{NOMOD}", slower)).json["secrets"] == ["api_key"]
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await rig.check(all_linked=True)
    dropped = await put(who, f"/sources/{SOURCE}", {**kept, "api_key": None})
    assert dropped.json["has_api_key"] is False
    refused = await who.administrator.ask(
        "PUT", f"{API}/connections/{NOMOD}", {"connector": "nomod", "config": {"api_key": None}}
    )
    assert (refused.status, refused.code) == (400, "config_invalid")
    assert "api_key" in refused.json["detail"]


async def test_references_are_taken_literally(rig: Rig, who: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the server's environment and files is not for the API's callers."""
    monkeypatch.setenv("NOT_FOR_YOU", rig.nomod.api_key)
    assert os.environ["NOT_FOR_YOU"]
    await put(who, f"/connections/{NOMOD}", a_connection(rig, api_key="env:NOT_FOR_YOU"))
    answer = await who.operator.ask("POST", f"{API}/connections/{NOMOD}/test")
    assert (answer.status, answer.code) == (502, "authentication_failed")
    row = await who.administrator.ask("PUT", f"{API}/sources/s", a_source(rig, secrets=["file:/etc/hostname"]))
    assert row.status in (200, 400)
    assert rig.nomod.api_key not in row.body.decode()


NO_SOURCES: tuple[dict[str, Any], ...] = (
    {"platform": "stripe"}, {"verification": "none"}, {"secrets": []}, {"secrets": ["short"]}, {"secrets": "x"},
    {"header": "X-Key"}, {"api_url": "ftp://x"}, {"unknown": 1}, {"options": {"unknown": 1}}, {"poll": {}},
    {"platform": None}, {"secrets": ["whsec_" + "A" * 40] * 9}, {"tenant_id": ""}, {"options": []},
)  # fmt: skip


async def test_a_source_that_makes_no_sense_is_refused_with_a_word_about_where(rig: Rig, who: Callers) -> None:
    for change in NO_SOURCES:
        answer = await who.administrator.ask("PUT", f"{API}/sources/{SOURCE}", {**a_source(rig), **change})
        assert answer.status == 400, (change, answer.body)
        assert answer.code in ("request_invalid", "config_invalid")
        assert rig.secret not in answer.body.decode()
        assert await who.viewer.items("/sources") == []


NO_CONNECTIONS: tuple[dict[str, Any], ...] = (
    {"connector": "stripe"}, {"config": {}}, {"config": {"api_key": 5}}, {"config": {"api_key": "x", "y": 1}},
    {"invoice_sync": {"outbound": "yes"}}, {"invoice_sync": {"inbound": True}}, {"status": "paused"},
    {"config": {"api_key": "k" * 20, "base_url": "nowhere"}}, {"config": None}, {"connector": 1},
)  # fmt: skip


async def test_a_connection_that_makes_no_sense_is_refused(rig: Rig, who: Callers) -> None:
    for change in NO_CONNECTIONS:
        answer = await who.administrator.ask("PUT", f"{API}/connections/{NOMOD}", {**a_connection(rig), **change})
        assert answer.status == 400, (change, answer.body)
        assert answer.code in ("request_invalid", "config_invalid", "plugin_unusable")
        assert await who.viewer.items("/connections") == []


NO_NAMES = ("UPPER", "a b", "", ".x", "a" * 64, "ü", "a%2Fb")


async def test_a_name_that_is_none_is_refused(rig: Rig, who: Callers) -> None:
    for name in NO_NAMES:
        answer = await who.administrator.ask("PUT", f"{API}/sources/{name.replace(' ', '%20')}", a_source(rig))
        assert answer.status in (400, 404, 405)
        for noun, body in (("sources", a_source(rig)), ("connections", a_connection(rig))):
            answer = await who.administrator.ask("POST", f"{API}/{noun}", {"name": name, **body})
            assert (answer.status, answer.code) == (400, "request_invalid"), body


async def test_the_body_may_choose_the_tenant_only_where_the_admin_key_sends_no_headers(rig: Rig, who: Callers) -> None:
    plain = Caller(rig, who.admin.session, ADMIN_KEY)
    body = {"name": "elsewhere", **a_source(rig), "tenant_id": OTHER_TENANT, "environment_id": "test"}
    made = await plain.post("/sources", body, status=201)
    assert (made["tenant_id"], made["environment_id"]) == (OTHER_TENANT, "test")
    for caller in (who.admin, who.administrator):
        answer = await caller.ask("POST", f"{API}/sources", {**body, "name": "other"})
        assert (answer.status, answer.code) == (403, "forbidden")
        answer = await caller.ask("POST", f"{API}/keys", {"name": "k", "role": "viewer", "tenant_id": OTHER_TENANT})
        assert (answer.status, answer.code) == (403, "forbidden")
    default = await plain.post("/connections", {"name": "here", **a_connection(rig)}, status=201)
    assert (default["tenant_id"], default["environment_id"]) == ("default", "prod")


# Sources -----------------------------------------------------------------------------------------------------------


async def test_a_disabled_source_refuses_and_an_enabled_one_receives_again(rig: Rig, who: Callers) -> None:
    await put(who, f"/sources/{SOURCE}", a_source(rig))
    assert (await who.administrator.post(f"/sources/{SOURCE}/disable"))["status"] == "disabled"
    assert (await rig.post({"event_type": "x"})).attempts[-1].status == 404
    assert (await who.administrator.post(f"/sources/{SOURCE}/enable"))["status"] == "active"
    assert (await rig.post({"event_type": "x"})).attempts[-1].status == 202


async def test_a_removed_source_is_gone_and_its_deliveries_stay(rig: Rig, who: Callers) -> None:
    await put(who, f"/sources/{SOURCE}", a_source(rig))
    await rig.send({"event_type": "x"})
    await rig.finish()
    answer = await who.administrator.ask("DELETE", f"{API}/sources/{SOURCE}")
    assert (answer.status, answer.body) == (204, b"")
    assert (await who.administrator.ask("GET", f"{API}/sources/{SOURCE}")).status == 404
    assert (await rig.post({"event_type": "x"})).attempts[-1].status == 404
    assert len(await who.viewer.items("/deliveries")) == 1


async def test_a_secret_is_rotated_with_the_old_one_beside_it_and_then_without(rig: Rig, who: Callers) -> None:
    await put(who, f"/sources/{SOURCE}", a_source(rig))
    made = await who.administrator.post(f"/sources/{SOURCE}/rotate-secret")
    assert (await rig.post({"event_type": "x"})).attempts[-1].status == 202
    rig.secret, old = made["secret"], rig.secret
    assert (await rig.post({"event_type": "x"})).attempts[-1].status == 202
    given = new_secret()
    told = await who.administrator.ask(
        "POST", f"{API}/sources/{SOURCE}/rotate-secret", {"secret": given, "keep_old": False}
    )
    assert (told.status, told.json["secret"]) == (200, None)
    for secret, status in ((old, 401), (made["secret"], 401), (given, 202)):
        rig.secret = secret
        assert (await rig.post({"event_type": "x"})).attempts[-1].status == status
    weak = await who.administrator.ask("POST", f"{API}/sources/{SOURCE}/rotate-secret", {"secret": "weak"})
    assert (weak.status, weak.code) == (400, "config_invalid")


async def test_a_source_is_tried_out_with_a_signed_event_that_triggers_nothing(rig: Rig, who: Callers) -> None:
    await put(who, f"/sources/{SOURCE}", a_source(rig))
    told = await who.operator.post(f"/sources/{SOURCE}/test")
    assert (told["accepted"], told["status"], told["delivery_status"]) == (True, 202, "ignored")
    await who.administrator.post(f"/sources/{SOURCE}/disable")
    told = await who.operator.post(f"/sources/{SOURCE}/test")
    assert (told["accepted"], told["status"], told["code"]) == (False, 404, "source_unknown")


# Connections -------------------------------------------------------------------------------------------------------


async def test_a_connection_is_proven_and_its_account_remembered(rig: Rig, who: Callers) -> None:
    await rig.add_quickbooks()
    told = await who.operator.post(f"/connections/{QUICKBOOKS}/test")
    assert (told["account_id"], told["name"]) == (rig.intuit.realm_id, "Sandbox Company_US_1")
    shown = await who.viewer.get(f"/connections/{QUICKBOOKS}")
    assert shown["account"]["account_id"] == rig.intuit.realm_id


async def test_what_speaks_against_a_connection_is_the_answer_of_its_test(rig: Rig, who: Callers) -> None:
    await put(who, f"/connections/{NOMOD}", a_connection(rig, api_key="sk_test_wrong"))
    answer = await who.operator.ask("POST", f"{API}/connections/{NOMOD}/test")
    assert (answer.status, answer.code) == (502, "authentication_failed")
    await put(who, f"/connections/{NOMOD}", a_connection(rig))
    rig.nomod.faults.add(Fault(kind=FaultKind.HTML, times=99))
    answer = await who.operator.ask("POST", f"{API}/connections/{NOMOD}/test")
    assert answer.status == 502


async def test_a_paused_connections_jobs_wait_and_go_on_when_it_is_resumed(rig: Rig, who: Callers) -> None:
    await put(who, f"/sources/{SOURCE}", a_source(rig))
    await put(who, f"/connections/{NOMOD}", a_connection(rig))
    paused = await who.operator.post(f"/connections/{NOMOD}/pause", {"reason": "stock-taking until noon"})
    assert (paused["status"], paused["pause_detail"]) == ("paused", "stock-taking until noon")
    ada = rig.flexprice.add_customer(**ADA)
    await rig.finalize(ada["id"])
    await rig.finish()
    assert [each["attempts"] for each in await who.viewer.items("/jobs?status=pending")] == [0]
    resumed = await who.operator.post(f"/connections/{NOMOD}/resume")
    assert (resumed["status"], resumed["pause_reason"]) == ("active", None)
    await rig.finish()
    assert await rig.linked(ada["id"]) is not None


async def test_a_removed_connection_is_gone_its_waiting_jobs_are_cancelled_and_its_mappings_stay(
    rig: Rig, who: Callers
) -> None:
    await put(who, f"/sources/{SOURCE}", a_source(rig))
    await put(who, f"/connections/{NOMOD}", a_connection(rig))
    await rig.finalize(rig.flexprice.add_customer(**ADA)["id"])
    await rig.finish()
    await who.operator.post(f"/connections/{NOMOD}/pause")
    await rig.finalize(rig.flexprice.add_customer(name="Bea", email="bea@example.com")["id"])
    await rig.finish()
    answer = await who.administrator.ask("DELETE", f"{API}/connections/{NOMOD}")
    assert (answer.status, answer.json["status"], answer.json["cancelled_jobs"]) == (200, "removed", 1)
    assert (await who.viewer.ask("GET", f"{API}/connections/{NOMOD}")).status == 404
    assert len(await who.viewer.items("/mappings")) == 2  # the customer and its invoice
    assert (await who.administrator.ask("DELETE", f"{API}/connections/{NOMOD}")).status == 404
