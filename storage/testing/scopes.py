"""Scopes: nothing of one tenant and environment can be seen or changed from another."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from storage.base import Store
from storage.errors import NotFoundError
from storage.records import AlertStatus, DeliveryStatus, JobStatus, Page, Scope
from storage.testing.fixtures import StoreFixtures
from storage.testing.lists import vars_of
from storage.testing.making import (
    ELSEWHERE,
    HERE,
    LEASE,
    OTHER_ENVIRONMENT,
    T0,
    at,
    claim,
    dispatch_jobs,
    make_alert,
    make_api_key,
    make_channel,
    make_connection,
    make_job,
    make_key,
    make_link,
    make_message,
    make_review,
    make_seen,
    make_settlement,
    make_source,
    settle_dispatch,
    write_alert,
)


@dataclass(frozen=True, slots=True)
class World:
    """What there is in one tenant and environment."""

    delivery_id: str
    job_id: str
    review_id: str


Ask = Callable[[Store, World, Scope], Awaitable[Any]]

SCOPED: dict[str, Ask] = {
    "get_delivery": lambda s, w, scope: s.get_delivery(w.delivery_id, scope),
    "list_deliveries": lambda s, w, scope: s.list_deliveries(scope),
    "tally_deliveries": lambda s, w, scope: s.tally_deliveries(scope, since=T0, until=at(60), step=LEASE),
    "replay_delivery": lambda s, w, scope: s.replay_delivery(w.delivery_id, scope),
    "get_job": lambda s, w, scope: s.get_job(w.job_id, scope),
    "list_attempts": lambda s, w, scope: s.list_attempts(w.job_id, scope),
    "list_jobs": lambda s, w, scope: s.list_jobs(scope),
    "retry_job": lambda s, w, scope: s.retry_job(w.job_id, scope, now=at(9)),
    "cancel_job": lambda s, w, scope: s.cancel_job(w.job_id, scope, now=at(9), reason="r"),
    "get_mapping": lambda s, w, scope: s.get_mapping(make_key(), scope),
    "list_mappings": lambda s, w, scope: s.list_mappings(scope),
    "delete_mapping": lambda s, w, scope: s.delete_mapping(make_key(), scope, now=at(9)),
    "find_customers": lambda s, w, scope: s.find_customers("cust_1", scope),
    "list_customers": lambda s, w, scope: s.list_customers(scope),
    "get_review": lambda s, w, scope: s.get_review(w.review_id, scope),
    "list_reviews": lambda s, w, scope: s.list_reviews(scope),
    "resolve_review": lambda s, w, scope: s.resolve_review(
        w.review_id, scope, decision="ignore", provider_entity_id=None, by="x", now=at(9)
    ),
    "list_sources": lambda s, w, scope: s.list_sources(scope),
    "delete_source": lambda s, w, scope: _done(s.delete_source("flex", scope)),
    "list_connections": lambda s, w, scope: s.list_connections(scope),
    "set_connection_status": lambda s, w, scope: _done(
        s.set_connection_status("nomod", scope, status="paused", now=at(9))
    ),
    "list_keys": lambda s, w, scope: s.list_keys(scope),
    "revoke_key": lambda s, w, scope: s.revoke_key("key_1", scope, now=at(9)),
    "list_audit": lambda s, w, scope: s.list_audit(scope),
    "list_alerts": lambda s, w, scope: s.list_alerts(scope),
    "list_alert_messages": lambda s, w, scope: s.list_alert_messages(scope),
    "list_channels": lambda s, w, scope: s.list_channels(scope),
    "delete_channel": lambda s, w, scope: _done(s.delete_channel("ops", scope)),
}
"""Every method that takes a scope and shows or changes something: with a foreign one it finds nothing."""

FILTERED: dict[str, Ask] = {
    "deliveries by what they are about": lambda s, w, scope: s.list_deliveries(scope, about=["cust_1"]),
    "deliveries by id": lambda s, w, scope: s.list_deliveries(scope, about=[w.delivery_id]),
    "deliveries by source": lambda s, w, scope: s.list_deliveries(scope, source="flex"),
    "deliveries by status": lambda s, w, scope: s.list_deliveries(scope, status=DeliveryStatus.NEEDS_REVIEW),
    "deliveries by connection": lambda s, w, scope: s.list_deliveries(scope, connection="nomod"),
    "deliveries by error": lambda s, w, scope: s.list_deliveries(scope, error_code="ambiguous"),
    "deliveries by time": lambda s, w, scope: s.list_deliveries(scope, since=T0, until=at(1)),
    "jobs by delivery": lambda s, w, scope: s.list_jobs(scope, delivery_id=w.delivery_id),
    "jobs by status": lambda s, w, scope: s.list_jobs(scope, status=JobStatus.NEEDS_REVIEW),
    "jobs by entity": lambda s, w, scope: s.list_jobs(scope, entity_id="cust_1", connection="nomod"),
    "jobs by what they are about": lambda s, w, scope: s.list_jobs(scope, about=["cust_1", w.delivery_id]),
    "jobs by time": lambda s, w, scope: s.list_jobs(scope, since=T0, until=at(9999)),
    "jobs by error": lambda s, w, scope: s.list_jobs(scope, error_code="ambiguous"),
    "mappings by entity": lambda s, w, scope: s.list_mappings(scope, entity_id="cust_1"),
    "mappings by record": lambda s, w, scope: s.list_mappings(scope, provider_entity_id="rec_1"),
    "mappings by connection": lambda s, w, scope: s.list_mappings(scope, connection="nomod", source="flex"),
    "customers by text": lambda s, w, scope: s.list_customers(scope, text="Name"),
    "reviews by job": lambda s, w, scope: s.list_reviews(scope, job_id=w.job_id),
    "reviews by status": lambda s, w, scope: s.list_reviews(scope, status="open"),  # type: ignore[arg-type]
    "audit by subject": lambda s, w, scope: s.list_audit(scope, subject="flex"),
    "alerts by status": lambda s, w, scope: s.list_alerts(scope, status=AlertStatus.OPEN),
    "messages by channel": lambda s, w, scope: s.list_alert_messages(scope, channel="ops"),
}
"""Lists with filters, since each may take another way through the database."""

UNSCOPED = {
    "of the installation": {
        "open", "close", "ping", "change_token", "wait_for_change", "backup", "config_version", "get_meta", "put_meta",
        "backlog", "prune_deliveries", "rewrite_secrets", "touch_keys", "attention",
    },
    "for the pipeline, which works for every tenant": {
        "claim_deliveries", "settle_dispatch", "roll_up_delivery", "claim_jobs", "extend_leases", "settle",
        "release_jobs", "next_due", "begin_intent", "refuse_intent", "holders", "take_lease", "drop_lease",
        "write_alerts", "due_alert_messages", "settle_alert_message",
    },
    "by the name of a source, connection or channel, which was looked up in a scope before": {
        "note_activity", "source_activity", "list_rejections", "load_tokens", "save_tokens", "delete_tokens",
        "get_fact", "put_fact", "keep_fact", "set_connection_account", "known_subjects", "change_budget",
        "change_circuit", "list_circuits", "channel_activity",
    },
    "writes the scope that it is given": {
        "add_delivery", "add_job", "put_mapping", "put_source", "put_connection", "add_key", "add_audit",
        "put_channel",
    },
}  # fmt: skip
"""Every other method, with the reason why it needs none."""


class ScopeContract(StoreFixtures):
    """One tenant and environment from the next."""

    @pytest.fixture
    async def world(self, store: Store) -> World:
        """Fill one tenant and environment with one of everything."""
        await store.put_source(make_source())
        await store.put_connection(make_connection())
        await store.add_key(make_api_key())
        await store.add_audit(actor="ada", action="put", subject="flex", scope=HERE, now=T0)
        await store.put_channel(make_channel())
        alert = make_alert()
        await write_alert(store, alert, make_message(alert))
        await store.put_mapping(make_link(), now=T0)
        delivery_id = await dispatch_jobs(store, "msg_1", make_job())
        claimed = (await claim(store))[0]
        await store.settle(
            make_settlement(
                claimed, JobStatus.NEEDS_REVIEW, review=make_review(), customer=make_seen(), error={"code": "ambiguous"}
            )
        )
        return World(delivery_id, claimed.job.job_id, (await store.list_reviews()).items[0].review_id)

    def test_every_method_has_a_scope_or_a_reason(self) -> None:
        """A new method of the store cannot be forgotten here."""
        methods = {name for name, method in vars_of(Store).items() if inspect.isfunction(method)}
        excused = [name for names in UNSCOPED.values() for name in names]
        assert sorted([*SCOPED, *excused]) == sorted(methods)
        taking = {name for name in methods if "scope" in inspect.signature(getattr(Store, name)).parameters}
        assert taking - {"add_audit"} == set(SCOPED)

    @pytest.mark.parametrize("name", [*SCOPED, *FILTERED])
    async def test_nothing_is_found_from_elsewhere(self, store: Store, world: World, name: str) -> None:
        ask = {**SCOPED, **FILTERED}[name]
        before = await _state(store, world)
        for scope in (ELSEWHERE, OTHER_ENVIRONMENT):
            assert not await _found(ask, store, world, scope), scope
            assert await _state(store, world) == before, scope
        if name == "replay_delivery":
            await settle_again(store, world)
        assert await _found(ask, store, world, HERE)


async def settle_again(store: Store, world: World) -> None:
    """End the world's delivery, so that it can be replayed."""
    await store.cancel_job(world.job_id, now=at(8), reason="r")
    await settle_dispatch(store, world.delivery_id)


async def _found(ask: Ask, store: Store, world: World, scope: Scope) -> bool:
    try:
        answer = await ask(store, world, scope)
    except NotFoundError:
        return False
    return bool(answer.items if isinstance(answer, Page) else answer)


async def _done(change: Awaitable[None]) -> bool:
    await change
    return True


async def _state(store: Store, world: World) -> list[Any]:
    return [
        await store.get_delivery(world.delivery_id), await store.get_job(world.job_id),
        await store.get_review(world.review_id), await store.get_mapping(make_key()), await store.list_sources(),
        await store.list_connections(), await store.list_keys(), (await store.list_audit()).items,
        await store.list_channels(),
    ]  # fmt: skip
