"""Whatever changes something leaves a trace of who did it: every route of the API that is no GET, in one life."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.access import Role
from storage.records import AuditEntry
from tests.configuring import SOURCE
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.integration import test_api_access as api
from tests.integration.api_setup import Callers, configured
from tests.receivers import Endpoint, endpoint

LOOKING = {
    "test_source": "posts a test event to our own door, which is a delivery of its own",
    "test_connection": "reads the account behind the credentials",
}
"""Routes that are no GET, and change nothing that a person has to answer for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the steps are taken on."""

    names: dict[str, str]
    hook: Endpoint
    record: str
    invoice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change: what the request holds, and on what it is made."""

    body: Callable[[World], Any] = lambda _world: None
    path: dict[str, str] = field(default_factory=dict)


def fixed(body: Any) -> Callable[[World], Any]:
    return lambda _world: body


STEPS: dict[str, Step] = {
    "replay_delivery": Step(),
    "replay_deliveries": Step(body=fixed({"all": True})),
    "retry_job": Step(),
    "retry_jobs": Step(body=fixed({"all": True})),
    "cancel_job": Step(),
    "cancel_jobs": Step(body=fixed({"all": True})),
    "resolve_review": Step(body=fixed({"decision": "ignore"})),
    "put_mapping": Step(body=lambda world: {"provider_entity_id": world.record}),
    "delete_mapping": Step(),
    "import_mappings": Step(
        body=lambda world: [
            {"source": SOURCE, "entity_type": "customer", "entity_id": world.names["customer_id"], "connection": NOMOD,
             "provider_entity_id": world.record},
        ]
    ),
    "create_payment_link": Step(body=lambda world: {"invoice_id": world.invoice, "connection": NOMOD}),
    "create_source": Step(
        body=fixed({"name": "made", "platform": "tithely", "verification": "static-header", "secrets": ["s" * 32]})
    ),
    "put_source": Step(
        body=fixed({"platform": "tithely", "verification": "static-header", "secrets": ["t" * 32]}),
        path={"name": "made"},
    ),
    "rotate_source_secret": Step(),
    "disable_source": Step(),
    "enable_source": Step(),
    "delete_source": Step(path={"name": "made"}),
    "create_connection": Step(
        body=fixed({"name": "made", "connector": "nomod", "config": {"api_key": "k" * 20}})
    ),
    "put_connection": Step(
        body=fixed({"connector": "nomod", "config": {"api_key": "l" * 20}}), path={"name": "made"}
    ),
    "pause_connection": Step(),
    "resume_connection": Step(),
    "authorize_connection": Step(path={"name": QUICKBOOKS}),
    "delete_connection": Step(path={"name": "made"}),
    "create_channel": Step(
        body=lambda world: {"name": "made", "url": world.hook.url, "secrets": [world.hook.secret]}
    ),
    "put_channel": Step(body=fixed({"kinds": ["dead_letter"]}), path={"name": "made"}),
    "test_channel": Step(path={"name": "made"}),
    "delete_channel": Step(path={"name": "made"}),
    "create_key": Step(body=fixed({"name": "made", "role": "viewer"})),
    "revoke_key": Step(path={"key_id": "made"}),
}  # fmt: skip
"""Every route that changes something, in an order in which there is something to change."""


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    async with configured(rig) as made:
        yield made


def test_every_route_that_is_no_get_is_tried_or_has_a_reason() -> None:
    writing = {each.name for each in api.EVERY.values() if each.method != "GET"}
    assert writing == {*STEPS, *LOOKING}
    assert not STEPS.keys() & LOOKING.keys()


async def test_every_change_is_noted_with_who_did_it_and_without_anybody_elses_name(rig: Rig, who: Callers) -> None:
    names = await api.a_life(rig)
    del names["name"]
    await rig.add_quickbooks(outbound=False)
    for email in ("", "not an address"):
        await rig.finalize(rig.flexprice.add_customer(name="No Mail", email=email)["id"])
    await rig.finish()
    names["job_id"] = (await rig.store.list_jobs(status="failed")).items[0].job_id  # type: ignore[arg-type]
    async with endpoint(rig.clock.unix) as hook:
        record = rig.nomod.seed(first_name="Bea", email="other@example.com")
        unlinked = rig.flexprice.add_customer(name="No Mail", email="")["id"]
        invoice = rig.flexprice.add_invoice(unlinked)["id"]
        world = World(names=names, hook=hook, record=record, invoice=invoice)
        for name, step in STEPS.items():
            before = {entry.audit_id for entry in await entries(rig)}
            path = filled(api.EVERY[name].path, {**names, **step.path})
            answer = await who.of(Role.ADMIN).ask(api.EVERY[name].method, path, step.body(world))
            assert answer.status < 300, (name, path, answer.status, answer.body)
            fresh = [entry for entry in await entries(rig) if entry.audit_id not in before]
            assert [entry for entry in fresh if entry.actor == "key:administrator"], name
            told = " ".join(f"{entry.subject} {entry.detail}" for entry in fresh)
            assert not [word for word in ("ada@", "bea@", "Lovelace", hook.secret, "s" * 32) if word in told], name
            await rig.refresh()
            await rig.finish()


def filled(path: str, names: dict[str, str]) -> str:
    """Return a route's path with the names of what is there."""
    known = {"name": SOURCE if "/sources/" in path else NOMOD, **names}
    return re.sub(r"{(\w+)}", lambda found: known[found[1]], path)


async def entries(rig: Rig) -> list[AuditEntry]:
    return list((await rig.store.list_audit(limit=500)).items)
