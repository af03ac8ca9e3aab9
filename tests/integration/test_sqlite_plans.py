"""The hot paths of the SQLite store look things up: they scan no table, and cost the same however much there is."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from storage.records import DeliveryStatus, JobStatus, MappingStatus
from storage.scalars import micros
from storage.sqlite.store import SqliteStore
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

Call = Callable[[SqliteStore], Awaitable[Any]]


async def _claim_and_settle(store: SqliteStore) -> None:
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


async def _lease_expires(store: SqliteStore) -> None:
    await running_job(store, "slow")
    await store.release_jobs(
        {each.job.job_id: each.job.fence for each in await claim(store, seconds=99)}, owner="w1", now=T0
    )


async def _review(store: SqliteStore) -> None:
    claimed = await running_job(store, "odd")
    await store.settle(make_settlement(claimed, JobStatus.NEEDS_REVIEW, review=make_review()))
    review = (await store.list_reviews(HERE, job_id=claimed.job.job_id)).items[0]
    await store.resolve_review(review.review_id, HERE, decision="create", provider_entity_id=None, by="a", now=T0)
    await store.cancel_job(claimed.job.job_id, HERE, now=T0, reason="r")
    await store.retry_job(claimed.job.job_id, HERE, now=T0)


async def _by_hand(store: SqliteStore) -> None:
    await store.put_mapping(make_link("rec_hand", make_key("hand")), now=T0)
    await store.delete_mapping(make_key("hand"), HERE, now=T0)


async def _replay(store: SqliteStore) -> None:
    delivery_id = await dispatch_jobs(store, "replayed")
    await store.replay_delivery(delivery_id, HERE)
    await store.prune_deliveries(before=at(1))


async def _one_of_each(store: SqliteStore) -> None:
    delivery = (await store.list_deliveries(HERE)).items[0]
    await store.get_delivery(delivery.delivery_id, HERE)
    job = (await store.list_jobs(HERE)).items[0]
    await store.get_job(job.job_id, HERE)
    await store.list_attempts(job.job_id, HERE)
    await store.roll_up_delivery(delivery.delivery_id)


async def _small_things(store: SqliteStore) -> None:
    await store.save_tokens("qbo", b"t", replaces=0, now=T0)
    await store.load_tokens("qbo")
    await store.put_fact("nomod", "k", "v", now=T0)
    await store.get_fact("nomod", "k")
    await store.take_lease("poll", owner="a", now=T0, lease=LEASE)
    await store.config_version()
    await store.ping(now=T0)


async def _next(listing: Callable[..., Awaitable[Any]]) -> None:
    first = await listing(HERE, limit=1)
    assert first.next_cursor is not None
    await listing(HERE, limit=1, cursor=first.next_cursor)


HOT: dict[str, Call] = {
    "add": lambda s: s.add_delivery(make_delivery("fresh")),
    "add a repeat": lambda s: s.add_delivery(make_delivery("old_1")),
    "dispatch, claim, begin, settle": _claim_and_settle,
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
    "rejections": lambda s: s.list_rejections("flex"),
    "tokens, facts, leases": _small_things,
}
HARMLESS = ("SCAN json_each", "SCAN CONSTANT ROW", "SCAN (", "SCAN gates")
"""What is scanned and is not a table: the values of a question, a row made up, a sub-query, the gates there are."""


# What has gathered over the years, all of one tenant and source: ended deliveries and jobs, jobs that wait for a later
# time, linked customers, closed intents, resolved reviews.
PAST = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO {table} ({columns}) SELECT {values} FROM n"""
TABLES = {
    "deliveries": {
        "delivery_id": "'dlv_0' || i", "source": "'flex'", "tenant_id": "'tenant_a'", "environment_id": "'prod'",
        "delivery_key": "'past_' || i", "received_at": f"{micros(T0)} - 1000000000000 + i", "scheme": "'s'",
        "secret_index": "0", "body_bytes": "9", "status": "'processed'", "dispatched": "1",
        "event_type": "'invoice.finalized'", "entity_id": "'past_' || i", "subject": "'past_' || i",
    },
    "jobs": {
        "job_id": "'job_0' || i", "kind": "'ensure_customer'", "source": "'flex'", "tenant_id": "'tenant_a'",
        "environment_id": "'prod'", "gate": "'nomod'", "lock_key": "'past_' || i", "delivery_id": "'dlv_0' || i",
        "connection": "'nomod'", "entity_type": "'customer'", "entity_id": "'past_' || i", "subject": "'past_' || i",
        "dispatch": "0", "status": "CASE i % 2 WHEN 0 THEN 'succeeded' ELSE 'pending' END",
        "outcome": "CASE i % 2 WHEN 0 THEN 'done' END", "next_attempt_at": f"{micros(T0)} + 100000000000 + i",
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
FEW, MANY = 300, 30_000


async def gather_past(store: SqliteStore, count: int) -> None:
    """Fill every table that grows with so many rows from the past."""

    def work(db: sqlite3.Connection) -> None:
        for table, columns in TABLES.items():
            names, expressions = ", ".join(columns), ", ".join(columns.values())
            db.execute(PAST.format(count=count, table=table, columns=names, values=expressions))

    await store._db.write(work)


class Traced:
    """A store, every statement that its connections run, and how many steps of SQLite's machine these take."""

    def __init__(self, store: SqliteStore, path: Path) -> None:
        self.store = store
        self.statements: list[str] = []
        self.steps = 0
        self._path = path

    async def begin(self) -> None:
        """Have all connections made, then listen to them."""
        for slow in (False, True):
            barrier = [self.store._db.read(_rest, slow=slow) for _ in range(8)]
            await asyncio.gather(*barrier)
        for connection in [*self.store._db._readers._connections, *self.store._db._lists._connections]:
            self._listen(connection)
        await self.store._db.write(self._listen)
        self.forget()

    def _listen(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self.statements.append)
        connection.set_progress_handler(self._count, 10)

    def _count(self) -> None:
        self.steps += 10

    def forget(self) -> None:
        """Forget what was heard."""
        self.statements.clear()
        self.steps = 0

    def scans(self) -> list[str]:
        """Return what the statements scan, with the statement."""
        with sqlite3.connect(self._path) as plain:
            found = []
            for statement in self.statements:
                if statement.split(None, 1)[0].upper() not in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
                    continue
                steps = [row[3] for row in plain.execute(f"EXPLAIN QUERY PLAN {statement}")]
                scans = [step for step in steps if step.startswith("SCAN") and not step.startswith(HARMLESS)]
                found += [f"{step}: {' '.join(statement.split())}" for step in scans]
        plain.close()
        return found


def _rest(db: sqlite3.Connection) -> None:
    db.execute("SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
               " SELECT i FROM n)").fetchone()  # fmt: skip


async def open_traced(path: Path, *, past: int = 0) -> Traced:
    """Return a store with a little that is new on top of what is past."""
    store = SqliteStore(path)
    await store.open()
    if past:
        await gather_past(store, past)
    for n in range(1, 4):
        await dispatch_jobs(store, f"old_{n}", make_job(f"cust_{n}", due=9000), seconds=n)
        await store.put_mapping(make_link(f"rec_{n}", make_key(f"cust_{n}")), now=T0)
    await _one_of_each(store)
    traced = Traced(store, path)
    await traced.begin()
    return traced


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    opened = await open_traced(tmp_path / "store.db")
    yield opened
    await opened.store.close()


@pytest.mark.parametrize("what", HOT)
async def test_no_table_is_scanned(traced: Traced, what: str) -> None:
    await HOT[what](traced.store)
    assert any(" FROM " in statement or "INSERT" in statement for statement in traced.statements)
    assert traced.scans() == []


async def test_a_scan_would_be_noticed(traced: Traced) -> None:
    await traced.store._db.read(lambda db: db.execute("SELECT * FROM jobs WHERE reason = 'x'").fetchall())
    assert [scan.split(":")[0] for scan in traced.scans()] == ["SCAN jobs"]


async def test_a_hundred_times_as_much_past_costs_no_more(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, which depend on nothing but the statements and the data."""
    steps: dict[str, list[int]] = {what: [] for what in HOT}
    for past in (FEW, MANY):
        traced = await open_traced(tmp_path / f"{past}.db", past=past)
        for what, call in HOT.items():
            traced.forget()
            await call(traced.store)
            steps[what].append(traced.steps)
        traced.forget()
        await traced.store.list_deliveries(HERE, event_type="none")
        steps.setdefault("control", []).append(traced.steps)
        await traced.store.close()
    control = steps.pop("control")
    assert control[1] > 20 * control[0]
    grown = {what: counts for what, counts in steps.items() if counts[1] > 1.3 * counts[0] + 1000}
    assert grown == {}
