"""What the gateway does all the time, and what gathers over the years: for tests that it costs the same nonetheless."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from storage.base import Store
from storage.records import WELL, DeliveryStatus, JobStatus, MappingStatus
from storage.scalars import micros
from storage.testing.making import (
    HERE,
    LEASE,
    T0,
    at,
    claim,
    claim_one,
    dispatch_jobs,
    make_delivery,
    make_intent,
    make_job,
    make_key,
    make_link,
    make_review,
    make_seen,
    make_settlement,
    running_job,
)

Call = Callable[[Store], Awaitable[Any]]


async def _claim_and_settle(store: Store) -> None:
    await dispatch_jobs(store, "new", make_job("new", subject="inv"))
    claimed = await claim_one(store)
    new = make_intent(make_key("new"), guards=("mail:new", "name:new"))
    begun = await store.begin_intent(new, job_id=claimed.job.job_id, fence=1)
    await store.settle(make_settlement(claimed, JobStatus.PENDING, looked=begun.intent_id, burn=True))
    again = await claim_one(store, seconds=2)
    await store.extend_leases({again.job.job_id: again.job.fence}, owner="w1", until=at(90))
    await store.settle(
        make_settlement(
            again, link=make_link("rec_new", make_key("new")), close_intent=begun.intent_id, customer=make_seen("new"),
            follow_ups=[make_job("new", kind="write_back", lock_key="w", gate="source:flex")],
        )
    )  # fmt: skip
    await store.next_due(["nomod", "source:flex"], after=T0)


async def _lease_expires(store: Store) -> None:
    await running_job(store, "slow")
    await store.release_jobs(
        {each.job.job_id: each.job.fence for each in await claim(store, seconds=99)}, owner="w1", now=T0
    )


async def _review(store: Store) -> None:
    claimed = await running_job(store, "odd")
    await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review()))
    review = (await store.list_reviews(HERE, job_id=claimed.job.job_id)).items[0]
    await store.resolve_review(review.review_id, HERE, decision="create", provider_entity_id=None, by="a", now=T0)
    await store.cancel_job(claimed.job.job_id, HERE, now=T0, reason="r")
    await store.retry_job(claimed.job.job_id, HERE, now=T0)


async def _by_hand(store: Store) -> None:
    await store.put_mapping(make_link("rec_hand", make_key("hand")), now=T0)
    await store.delete_mapping(make_key("hand"), HERE, now=T0)


async def _replay(store: Store) -> None:
    delivery_id = await dispatch_jobs(store, "replayed")
    await store.replay_delivery(delivery_id, HERE)
    await store.prune_deliveries(before=at(1), limit=20)


async def _one_of_each(store: Store) -> None:
    delivery = (await store.list_deliveries(HERE)).items[0]
    await store.get_delivery(delivery.delivery_id, HERE)
    job = (await store.list_jobs(HERE)).items[0]
    await store.get_job(job.job_id, HERE)
    await store.list_attempts(job.job_id, HERE)
    await store.roll_up_delivery(delivery.delivery_id)


async def _small_things(store: Store) -> None:
    await store.save_tokens("qbo", b"t", replaces=0, now=T0)
    await store.load_tokens("qbo")
    await store.put_fact("nomod", "k", "v", now=T0)
    await store.get_fact("nomod", "k")
    await store.take_lease("poll", owner="a", now=T0, lease=LEASE)
    await store.config_version()
    await store.ping(now=T0)


async def _budgets(store: Store) -> None:
    await store.change_budget("nomod", lambda _state, _now: ({"taken": []}, None))
    await store.change_circuit("nomod", lambda was: replace(was, failures=1))
    await store.list_circuits()
    await store.claim_jobs({"nomod": 1}, owner="w1", now=T0, lease=LEASE)
    await store.change_circuit("nomod", lambda _: WELL)


async def _next(listing: Callable[..., Awaitable[Any]]) -> None:
    first = await listing(HERE, limit=1)
    assert first.next_cursor is not None
    await listing(HERE, limit=1, cursor=first.next_cursor)


async def _claim_beside_a_busy_customer(store: Store) -> None:
    """Thousands of jobs of one customer are due, of which one runs, and one job of another."""
    await store.add_job(make_job("beside", connection="crowded"), now=T0)
    await store.claim_jobs({"crowded": 4}, owner="w1", now=T0, lease=LEASE)
    await store.claim_jobs({"crowded": 4}, owner="w1", now=T0, lease=LEASE)


HOT: dict[str, Call] = {
    "add": lambda s: s.add_delivery(make_delivery("fresh")),
    "add a repeat": lambda s: s.add_delivery(make_delivery("old_1")),
    "dispatch, claim, begin, settle": _claim_and_settle,
    "claim beside a busy customer": _claim_beside_a_busy_customer,
    "a lease expires": _lease_expires,
    "claim deliveries": lambda s: s.claim_deliveries(now=T0, lease=LEASE, limit=10),
    "known subjects": lambda s: s.known_subjects("flex", ["inv_1", "inv_x"]),
    "mapping": lambda s: s.get_mapping(make_key(), HERE),
    "holders": lambda s: s.holders("nomod", "customer", ["rec_1", "rec_2"]),
    "link and unlink": _by_hand,
    "review": _review,
    "replay and prune": _replay,
    "list jobs of a delivery": lambda s: s.list_jobs(HERE, delivery_id="dlv_x"),
    "list failed jobs of a delivery": lambda s: s.list_jobs(HERE, delivery_id="dlv_x", status=JobStatus.FAILED),
    "one of each": _one_of_each,
    "list deliveries": lambda s: s.list_deliveries(HERE),
    "list deliveries, next page": lambda s: _next(s.list_deliveries),
    "list deliveries of a source": lambda s: s.list_deliveries(HERE, source="flex"),
    "list failed deliveries": lambda s: s.list_deliveries(HERE, status=DeliveryStatus.FAILED),
    "list failed deliveries of a source": lambda s: s.list_deliveries(
        HERE, source="flex", status=DeliveryStatus.FAILED
    ),
    "list deliveries of a connection": lambda s: s.list_deliveries(HERE, connection="nomod"),
    "list deliveries with an error": lambda s: s.list_deliveries(HERE, error_code="rate_limited", source="flex"),
    "list deliveries of a day": lambda s: s.list_deliveries(HERE, since=at(0), until=at(86400)),
    "search deliveries": lambda s: s.list_deliveries(HERE, about=["cust_1", "inv_1"]),
    "list jobs": lambda s: s.list_jobs(HERE),
    "list jobs, next page": lambda s: _next(s.list_jobs),
    "list failed jobs": lambda s: s.list_jobs(HERE, status=JobStatus.FAILED, connection="nomod"),
    "list jobs of a customer": lambda s: s.list_jobs(HERE, entity_id="cust_1", connection="nomod"),
    "list jobs of an error": lambda s: s.list_jobs(HERE, error_code="x"),
    "list jobs of a day": lambda s: s.list_jobs(HERE, since=at(0), until=at(86400)),
    "search jobs": lambda s: s.list_jobs(HERE, about=["cust_1", "inv_1"]),
    "search jobs of a day that have failed": lambda s: s.list_jobs(
        HERE, about=["cust_1", "inv_1"], since=at(0), status=JobStatus.FAILED
    ),
    "list mappings": lambda s: s.list_mappings(HERE),
    "list mappings, next page": lambda s: _next(s.list_mappings),
    "list mappings of a customer": lambda s: s.list_mappings(HERE, entity_id="cust_1"),
    "list mappings of a record": lambda s: s.list_mappings(HERE, provider_entity_id="rec_1"),
    "list mappings of a connection": lambda s: s.list_mappings(HERE, connection="nomod"),
    "list mappings that are not linked": lambda s: s.list_mappings(HERE, status=MappingStatus.INTENDED),
    "list customers": lambda s: s.list_customers(HERE),
    "find customers": lambda s: s.find_customers("cust_1", HERE),
    "list reviews": lambda s: s.list_reviews(HERE),
    "list open reviews": lambda s: s.list_reviews(HERE, status="open"),  # type: ignore[arg-type]
    "list audit": lambda s: s.list_audit(HERE),
    "list audit of a subject": lambda s: s.list_audit(HERE, subject="flex"),
    "attention": lambda s: s.attention(now=T0, refused_since=T0),
    "due messages": lambda s: s.due_alert_messages(now=T0, limit=10),
    "rejections": lambda s: s.list_rejections("flex"),
    "tokens, facts, leases": _small_things,
    "budgets and circuits": _budgets,
}


async def settle_in(store: Store) -> None:
    """Add the little that is new, on top of what is past."""
    for n in range(1, 4):
        await dispatch_jobs(store, f"old_{n}", make_job(f"cust_{n}", due=9000), seconds=n)
        await store.put_mapping(make_link(f"rec_{n}", make_key(f"cust_{n}")), now=T0)
    await _one_of_each(store)


PAST = {
    "deliveries": {
        "delivery_id": "'dlv_0' || i", "source": "'flex'", "tenant_id": "'tenant_a'", "environment_id": "'prod'",
        "delivery_key": "'past_' || i", "received_at": f"{micros(T0)} - 1000000000000 + i", "scheme": "'s'",
        "secret_index": "0", "body_bytes": "9", "status": "'processed'", "dispatched": "1",
        "event_type": "'invoice.finalized'", "entity_id": "'past_' || i", "subject": "'past_' || i",
    },
    "jobs": {
        "job_id": "'job_0' || i", "kind": "'ensure_customer'", "source": "'flex'", "tenant_id": "'tenant_a'",
        "environment_id": "'prod'", "gate": "CASE i % 4 WHEN 3 THEN 'crowded' ELSE 'nomod' END", "attempts": "1",
        "lock_key": "CASE i % 4 WHEN 3 THEN 'crowded' ELSE 'past_' || i END", "delivery_id": "'dlv_0' || i",
        "connection": "'nomod'", "entity_type": "'customer'", "entity_id": "'past_' || i", "subject": "'past_' || i",
        "dispatch": "0", "status": "CASE i % 2 WHEN 0 THEN 'succeeded' ELSE 'pending' END",
        "outcome": "CASE i % 2 WHEN 0 THEN 'done' END",
        "next_attempt_at": f"{micros(T0)} + CASE i % 4 WHEN 3 THEN -1000000000000 ELSE 100000000000 END + i",
        "created_at": "1", "updated_at": "1",
    },
    "attempts": {"job_id": "'job_0' || i", "number": "1", "started_at": "1", "finished_at": "1", "outcome": "'done'",
                 "worker": "'w'"},
    "mappings": {
        "source": "'flex'", "entity_type": "'customer'", "entity_id": "'past_' || i", "connection": "'nomod'",
        "connector": "'nomod'", "tenant_id": "'tenant_a'", "environment_id": "'prod'",
        "provider_entity_id": "'past_' || i", "status": "'linked'", "created_at": "1", "updated_at": "1",
    },
    "intents": {
        "intent_id": "'int_0' || i", "source": "'flex'", "entity_type": "'customer'", "entity_id": "'past_' || i",
        "connection": "'nomod'", "idempotency_key": "i", "epoch": "0", "variant": "0", "attempt": "1",
        "digest": "'d'", "started_at": "1", "result": "'created'", "closed_at": "1",
    },
    "guards": {"connection": "'nomod'", "guard": "'past_' || i", "intent_id": "'int_0' || i", "closed_at": "1"},
    "customers": {"source": "'flex'", "customer_id": "'past_' || i", "tenant_id": "'tenant_a'",
                  "environment_id": "'prod'", "seen_at": "1"},
    "reviews": {
        "review_id": "'rev_0' || i", "job_id": "'job_0' || i", "source": "'flex'", "tenant_id": "'tenant_a'",
        "environment_id": "'prod'", "connection": "'nomod'", "entity_type": "'customer'", "entity_id": "'past_' || i",
        "kind": "'k'", "reason": "'r'", "status": "'resolved'", "created_at": "1",
    },
    "audit": {"at": "1", "actor": "'a'", "tenant_id": "'tenant_a'", "environment_id": "'prod'", "action": "'x'",
              "subject": "'past_' || i"},
}  # fmt: skip
"""For each table that grows: its columns, and their values in the row number `i`.

All of one tenant and source: ended deliveries and jobs, jobs that wait for a later time, linked customers, closed
intents, resolved reviews.
"""
