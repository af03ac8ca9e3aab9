"""Who may do what: every route against every kind of key, and the tenant next door, who gets nothing anywhere."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gateway import keys
from gateway.access import Role
from gateway.configuration.channels import ChannelSpec
from gateway.throttle import BURST
from gateway.web.api.endpoint import PREFIX, Endpoint
from gateway.web.api.routes import endpoints
from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import ADMIN_KEY, NOMOD, Rig
from tests.integration.api_setup import OTHER_TENANT, Caller, Callers, configured, exchange

ADA = {"name": "Ada Lovelace", "email": "ada@example.com"}
CHANNEL = "ops"
EVERY = {each.name: each for each in endpoints()}
BODIES: dict[str, Any] = {
    "replay_deliveries": {"all": True},
    "retry_jobs": {"all": True},
    "cancel_jobs": {"all": True},
    "resolve_review": {"decision": "ignore"},
    "put_mapping": {"provider_entity_id": "94bcffbe-ea9c-4d50-8aa2-b20216935487"},
    "import_mappings": [],
    "create_payment_link": {"invoice_id": "inv_1", "connection": NOMOD},
    "create_source": {
        "name": "taken-over", "platform": "tithely", "verification": "static-header", "secrets": ["s" * 32],
    },
    "put_source": {"platform": "flexprice", "verification": "static-header", "secrets": ["s" * 32]},
    "create_connection": {"name": "taken-over", "connector": "nomod", "config": {"api_key": "k" * 20}},
    "put_connection": {"connector": "nomod"},
    "create_key": {"name": "another", "role": "viewer"},
    "create_channel": {"name": "taken-over", "to": ["stranger@example.com"]},
    "put_channel": {"to": ["somebody@example.com"]},
}  # fmt: skip
"""What the routes that need a body are sent."""


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    """A tenant with one customer linked and one under review; and keys."""
    async with configured(rig) as made:
        yield made


async def a_life(rig: Rig) -> dict[str, str]:
    """Have a customer linked, and another under review; return the names of all that there is."""
    for name in ("Bea One", "Bea Two"):
        rig.nomod.seed(first_name=name, email="bea@example.com")
    linked = rig.flexprice.add_customer(**ADA)
    delivery = await rig.finalize(linked["id"])
    asked = rig.flexprice.add_customer(name="Bea", email="bea@example.com")
    await rig.finalize(asked["id"])
    await rig.finish()
    review = await rig.open_review()
    spec = ChannelSpec(name=CHANNEL, tenant_id=TENANT, environment_id=ENVIRONMENT, to=("ops@example.com",))
    await rig.gateway.app[keys.CONFIGURATION].put_channel(spec, actor="tests")
    watch = rig.gateway.app[keys.ALERTS]
    await watch.stop()  # so that nothing more comes by itself
    await watch.turn()
    return {
        "delivery_id": delivery, "job_id": str(review.job_id), "review_id": review.review_id,
        "customer_id": linked["id"], "source": SOURCE, "entity_type": "customer", "entity_id": linked["id"],
        "connection": NOMOD, "name": NOMOD, "key_id": "viewer",
        "alert_id": (await rig.store.list_alerts()).items[0].alert_id,
    }  # fmt: skip


def filled(each: Endpoint, names: dict[str, str]) -> str:
    """Return a route's path with the names of what is there."""
    noun = each.path.split("/")[3]
    known = {**names, "name": {"sources": SOURCE, "channels": CHANNEL}.get(noun, NOMOD)}
    return re.sub(r"{(\w+)}", lambda found: known[found[1]], each.path)


async def send(caller: Caller, each: Endpoint, path: str, headers: dict[str, str] | None = None) -> Any:
    body: Any = BODIES.get(each.name)
    if each.name == "put_connection":
        body = {**body, "config": {"base_url": caller.rig.nomod.url}}
    return await caller.ask(each.method, path, body, headers=headers)


def test_every_route_of_the_application_below_the_api_is_an_endpoint_with_a_role(rig: Rig) -> None:
    routes = {
        (route.method, route.resource.canonical)
        for route in rig.gateway.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith(PREFIX) and route.method != "HEAD"
    }
    assert routes == {(each.method, each.path) for each in EVERY.values()}
    assert all(isinstance(each.role, Role) for each in EVERY.values())
    writing = {each.name for each in EVERY.values() if each.method != "GET"}
    assert all(EVERY[name].role is not Role.VIEWER for name in writing)


@pytest.mark.parametrize("key", [None, "lgk_wrong", "", "Bearer", "ключ", "x" * 4000])
async def test_without_a_key_that_exists_every_route_answers_401(who: Callers, key: str | None) -> None:
    caller = Caller(who.admin.rig, who.admin.session, None)
    given = {} if key is None else {"Authorization": f"Bearer {key}"}
    for each in EVERY.values():
        answer = await send(caller, each, filled(each, dict.fromkeys(NAMES, "x")), given)
        assert (answer.status, answer.code) == (401, "unauthorized"), each.name
        assert answer.headers["WWW-Authenticate"] == "Bearer"


NAMES = (
    "delivery_id", "job_id", "review_id", "customer_id", "source", "entity_type", "entity_id", "connection", "key_id",
    "alert_id",
)  # fmt: skip


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer  ", "Token {}", "Bearer {} extra"])
async def test_a_key_that_is_not_sent_as_bearer_counts_as_none(who: Callers, header: str) -> None:
    caller = Caller(who.admin.rig, who.admin.session, None)
    answer = await caller.ask("GET", f"{PREFIX}/jobs", headers={"Authorization": header.format(ADMIN_KEY)})
    assert (answer.status, answer.code) == (401, "unauthorized")


async def test_the_word_bearer_may_be_written_in_any_way(who: Callers) -> None:
    for word in ("bearer", "BEARER", "Bearer"):
        caller = Caller(who.admin.rig, who.admin.session, None)
        given = {"Authorization": f"{word} {ADMIN_KEY}"}
        assert (await caller.ask("GET", f"{PREFIX}/jobs", headers=given)).status == 200


async def test_two_authorization_headers_count_as_none(who: Callers) -> None:
    url = f"{who.admin.rig.gateway.url}{PREFIX}/jobs"
    given = [("Authorization", f"Bearer {ADMIN_KEY}"), ("Authorization", f"Bearer {ADMIN_KEY}")]
    async with who.admin.session.get(url, headers=given) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_may_do_what_its_routes_say_and_nothing_else(rig: Rig, who: Callers, role: Role) -> None:
    names = await a_life(rig)
    caller = who.of(role)
    for each in EVERY.values():
        if each.name in ("delete_source", "delete_connection", "delete_channel", "revoke_key") and role.covers(
            each.role
        ):
            continue  # they would take away what the others are tried on; they have tests of their own
        answer = await send(caller, each, filled(each, names))
        if role.covers(each.role):
            assert answer.status not in (401, 403), (each.name, answer.body)
            assert answer.status < 500, (each.name, answer.body)
        else:
            assert (answer.status, answer.code) == (403, "forbidden"), each.name


@pytest.mark.parametrize("header", ["X-Tenant-ID", "X-Environment-ID"])
async def test_a_bound_key_that_names_another_tenant_or_environment_gets_403_everywhere(
    who: Callers, header: str
) -> None:
    for each in EVERY.values():
        path = filled(each, dict.fromkeys(NAMES, "x"))
        answer = await send(who.administrator, each, path, {header: "another"})
        assert (answer.status, answer.code) == (403, "forbidden"), each.name


async def test_a_bound_key_may_name_its_own_tenant(who: Callers) -> None:
    own = {"X-Tenant-ID": TENANT, "X-Environment-ID": ENVIRONMENT}
    assert (await who.viewer.ask("GET", f"{PREFIX}/jobs", headers=own)).status == 200


async def test_another_tenants_key_sees_nothing_and_changes_nothing(rig: Rig, who: Callers) -> None:
    names = await a_life(rig)
    before = await everything(who.admin)
    for each in EVERY.values():
        if each.name in ("create_source", "create_connection", "create_channel", "create_key"):
            continue  # they make something of the stranger's own
        answer = await send(who.stranger, each, filled(each, names))
        if each.status == 200 and "{" not in each.path:
            assert nothing_in(answer, each), (each.name, answer.body)
        elif each.name == "replay_deliveries":
            assert answer.json["matched"] == 0
        else:
            assert answer.status in (400, 404), (each.name, answer.status, answer.body)
            assert answer.code in ("not_found", "customer_not_found", "config_invalid"), each.name
        for secret in (ADA["email"], names["customer_id"], rig.secret, rig.nomod.api_key):
            assert secret not in answer.body.decode() or each.name == "get_customer_integrations", each.name
    assert await everything(who.admin) == before


def nothing_in(answer: Any, each: Endpoint) -> bool:
    """Whether an answer without a name in its path shows none of the first tenant's things."""
    told = answer.json
    if each.name == "list_keys":
        return [key["name"] for key in told["items"]] == ["stranger"]
    if each.name == "list_audit":
        return {entry["tenant_id"] for entry in told["items"]} <= {OTHER_TENANT}
    if isinstance(told, dict) and "items" in told:
        return not told["items"]
    return bool(told == [] or told.get("matched", told.get("rows")) == 0)


async def everything(caller: Caller) -> dict[str, Any]:
    """Return all that a tenant can see of itself, without the counts that reading changes."""
    seen = {}
    for noun in (
        "deliveries",
        "jobs",
        "mappings",
        "reviews",
        "sources",
        "connections",
        "customers",
        "audit",
        "alerts",
        "channels",
    ):
        seen[noun] = await caller.items(f"/{noun}?limit=200")
    return seen


async def test_the_admin_key_works_everywhere_and_the_headers_choose(rig: Rig, who: Callers) -> None:
    await a_life(rig)
    assert len(await who.admin.items("/customers")) == 2
    elsewhere = Caller(rig, who.admin.session, ADMIN_KEY, {"X-Tenant-ID": OTHER_TENANT, "X-Environment-ID": "prod"})
    assert await elsewhere.items("/customers") == []
    default = Caller(rig, who.admin.session, ADMIN_KEY)
    assert await default.items("/customers") == []
    made = await default.post("/keys", {"name": "d", "role": "viewer"}, status=201)
    assert (made["tenant_id"], made["environment_id"]) == ("default", "prod")


@pytest.mark.parametrize("value", ["\x1f", "x" * 256, "\udcff"])
async def test_a_header_that_names_no_tenant_is_refused(who: Callers, value: str) -> None:
    lines = (
        f"GET {PREFIX}/jobs HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {ADMIN_KEY}",
        f"X-Tenant-ID: {value}", "", "",
    )  # fmt: skip
    answer = await exchange(who.admin.rig, "\r\n".join(lines).encode("utf-8", "surrogateescape"))
    assert (answer.status, answer.code) in {(400, "request_invalid"), (400, "malformed_request")}


async def test_a_revoked_key_is_refused_at_once(who: Callers) -> None:
    made = await who.administrator.post("/keys", {"name": "short", "role": "viewer"}, status=201)
    caller = Caller(who.admin.rig, who.admin.session, made["key"])
    assert (await caller.ask("GET", f"{PREFIX}/jobs")).status == 200
    revoked = await who.administrator.ask("DELETE", f"{PREFIX}/keys/{made['key_id']}")
    assert (revoked.status, revoked.json["status"]) == (200, "revoked")
    assert (await caller.ask("GET", f"{PREFIX}/jobs")).status == 401


async def test_after_many_wrong_keys_an_address_is_told_to_wait_and_right_keys_go_on_working(who: Callers) -> None:
    assert (await who.viewer.ask("GET", f"{PREFIX}/jobs")).status == 200
    answers = []
    for number in range(BURST + 5):
        caller = Caller(who.admin.rig, who.admin.session, f"lgk_wrong_{number}")
        answers.append(await caller.ask("GET", f"{PREFIX}/jobs"))
    assert {answer.status for answer in answers[: BURST - 1]} == {401}
    assert (answers[-1].status, answers[-1].code) == (429, "too_many_requests")
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert (await who.viewer.ask("GET", f"{PREFIX}/jobs")).status == 200


async def test_reads_and_their_answers_are_kept_by_no_cache(who: Callers) -> None:
    answer = await who.viewer.ask("GET", f"{PREFIX}/jobs")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_every_answer_carries_a_request_id_the_callers_own_where_it_is_a_plain_word(who: Callers) -> None:
    made = (await who.viewer.ask("GET", f"{PREFIX}/jobs")).headers["X-Request-ID"]
    assert made.startswith("req_")
    own = await who.viewer.ask("GET", f"{PREFIX}/nothing", headers={"X-Request-ID": "my-own.1"})
    assert own.headers["X-Request-ID"] == "my-own.1"
    odd = await who.viewer.ask("GET", f"{PREFIX}/jobs", headers={"X-Request-ID": "a b"})
    assert odd.headers["X-Request-ID"].startswith("req_")


def test_an_endpoint_cannot_be_declared_without_a_role() -> None:
    from gateway.web.api.endpoint import endpoint  # noqa: PLC0415 - only here

    with pytest.raises(TypeError):
        endpoint("GET", "/x")  # type: ignore[call-arg]


def test_the_application_holds_one_registry(rig: Rig) -> None:
    assert isinstance(rig.gateway.app, web.Application)
    assert rig.gateway.app[keys.OPERATIONS].mappings.registry is rig.gateway.app[keys.REGISTRY]
