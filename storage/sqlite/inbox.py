"""Deliveries: stored once, dispatched once, replayed on purpose, listed, pruned."""

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.records import (
    EVERYWHERE,
    Delivery,
    DeliveryStatus,
    Dispatched,
    NewDelivery,
    NewJob,
    Page,
    Scope,
    SeenCustomer,
)
from storage.scalars import array, micros
from storage.sqlite.customers import see_customers
from storage.sqlite.database import Database
from storage.sqlite.jobs import insert_jobs
from storage.sqlite.rollup import roll_up
from storage.sqlite.searching import DELIVERIES, newest, with_connection, with_error
from storage.sqlite.timeline import SLACK, number_at
from storage.sqlite.together import Insert
from storage.sqlite.where import Where

_INSERT = """
INSERT INTO deliveries (delivery_id, source, tenant_id, environment_id, delivery_key, received_at, scheme,
                        secret_index, body_bytes)
VALUES {rows} ON CONFLICT (delivery_key, source) DO NOTHING"""
_insert = Insert(_INSERT, "(?, ?, ?, ?, ?, ?, ?, ?, ?)")
_insert_bodies = Insert("INSERT INTO bodies (number, headers, body) VALUES {rows}", "(?, ?, ?)")
_KNOWN = "SELECT number, delivery_id FROM deliveries WHERE delivery_key = ? AND source = ?"
_ONE = "SELECT d.*, b.headers, b.body FROM deliveries d LEFT JOIN bodies b USING (number)"
_CLAIM = """
UPDATE deliveries SET claimed_until = :until
 WHERE number IN (
       SELECT number FROM deliveries
        WHERE status = 'pending' AND status NOT IN ('processed', 'ignored') AND dispatched = 0
          AND claimed_until <= :now
        ORDER BY number LIMIT :limit)
RETURNING number"""
_CLAIMED = f"{_ONE} WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number"
_DISPATCHED = """
UPDATE deliveries SET dispatched = 1, claimed_until = 0, status = ?, reason = ?, event_type = ?, entity_id = ?,
                      subject = ?
 WHERE delivery_id = ? AND dispatched = 0 RETURNING replays"""
_REPLAY = """
UPDATE deliveries SET dispatched = 0, claimed_until = 0, status = 'pending', reason = NULL, replays = replays + 1
 WHERE delivery_id = ?"""
_OLD = """
SELECT b.number FROM bodies b CROSS JOIN deliveries d USING (number)
 WHERE b.number < ? AND d.received_at < ? AND d.status IN ('processed', 'ignored', 'failed')
 ORDER BY b.number LIMIT ?"""
_PRUNE = """
DELETE FROM bodies
 WHERE number = ?1 AND (SELECT status FROM deliveries WHERE number = ?1) IN ('processed', 'ignored', 'failed')"""
# The plus keeps the index on the source out of it, which knows nothing of subjects.
_SUBJECTS = """
SELECT DISTINCT subject FROM deliveries WHERE subject IN (SELECT value FROM json_each(?)) AND +source = ?"""


def insert_deliveries(db: sqlite3.Connection, deliveries: Sequence[NewDelivery]) -> list[tuple[str, bool]]:
    """Insert a batch; return, for each, the id under which it is stored and whether it was there before."""
    before = db.total_changes
    last = _insert(db, [values.delivery(new) for new in deliveries])
    if db.total_changes - before == len(deliveries):
        # Rows that one transaction adds are numbered one after the other: https://www.sqlite.org/autoinc.html
        first = last - len(deliveries) + 1
        _insert_bodies(db, [(number, new.headers, new.body) for number, new in enumerate(deliveries, first)])
        return [(new.delivery_id, False) for new in deliveries]
    kept = [db.execute(_KNOWN, (new.delivery_key, new.source)).fetchone() for new in deliveries]
    pairs = list(zip(kept, deliveries, strict=True))
    stored = [(number, new.headers, new.body) for (number, known), new in pairs if known == new.delivery_id]
    _insert_bodies(db, stored)
    return [(known, known != new.delivery_id) for (_, known), new in pairs]


class Inbox:
    """The part of the store that deals with deliveries."""

    _db: Database

    def add_delivery(self, delivery: NewDelivery) -> "asyncio.Future[tuple[str, bool]]":
        """Store a delivery; the future tells, once it is synced to disk, its id and whether it was stored before.

        Deliveries that arrive together share one transaction. Raises OverloadedError, StoreUnavailableError. No
        coroutine: the door has many of these under way, and needs no task for each.
        """
        return self._db.add(delivery)

    @property
    def deliveries_waiting(self) -> int:
        """Return how many deliveries wait for the disk at this moment."""
        return self._db.waiting

    async def claim_deliveries(self, *, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
        """Take deliveries that were not dispatched yet, oldest first; nobody else gets them until the lease ends."""
        bounds = {"now": micros(now), "until": micros(now + lease), "limit": limit}

        def work(db: sqlite3.Connection) -> list[Delivery]:
            taken = [row[0] for row in db.execute(_CLAIM, bounds).fetchall()]
            return [rows.delivery(row, whole=True) for row in db.execute(_CLAIMED, (array(taken),))] if taken else []

        return await self._db.write(work)

    async def settle_dispatch(self, results: Sequence[Dispatched], *, now: datetime) -> None:
        """Write what dispatch decided: end states, or jobs. A delivery that was dispatched meanwhile is left alone."""

        def work(db: sqlite3.Connection) -> None:
            seen: list[SeenCustomer] = []
            jobs: list[tuple[NewJob, int]] = []
            for result in results:
                row = db.execute(
                    _DISPATCHED,
                    (
                        result.end_status, result.reason, result.event_type, result.entity_id, result.subject,
                        result.delivery_id,
                    ),
                ).fetchone()  # fmt: skip
                if row is None:
                    continue
                if result.customer is not None:
                    seen.append(result.customer)
                jobs += [(job, row["replays"]) for job in result.jobs]
            see_customers(db, seen, now)
            insert_jobs(db, jobs, now)

        await self._db.write(work)

    async def known_subjects(self, source: str, subjects: Sequence[str]) -> set[str]:
        """Return which of these invoices or transactions a dispatched delivery of the source is about."""
        bound = (array(subjects), source)
        return await self._db.read(lambda db: {row[0] for row in db.execute(_SUBJECTS, bound)})

    async def get_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Return a delivery with headers and body. Raises NotFoundError."""
        where = Where(scope)
        where.add("delivery_id = ?", delivery_id)
        return await self._db.read(lambda db: _one(db, where))

    async def list_deliveries(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        source: str | None = None,
        status: DeliveryStatus | None = None,
        event_type: str | None = None,
        connection: str | None = None,
        error_code: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        about: Sequence[str] | None = None,
    ) -> Page[Delivery]:
        """Return deliveries, newest first; `about` are ids: of delivery, entity or subject, or delivery keys.

        `connection` and `error_code`: see InboxStore.
        """
        open_status = status is not None and status not in (DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED)
        narrower = about is not None or error_code is not None
        where = Where(scope, narrowed=narrower or open_status or source is not None)
        where.equal("+source" if narrower or open_status else "source", source)
        sieve = Where()
        if open_status:
            where.equal("+status" if narrower else "status", status)
            where.add("status NOT IN ('processed', 'ignored')")
        else:
            sieve.equal("status", status)
        sieve.equal("event_type", event_type)
        with_error(where, error_code, connection=connection)
        with_connection(sieve, connection if error_code is None else None, searched=about is not None)
        if since is not None:
            where.add("received_at >= ?", micros(since))
        if until is not None:
            where.add("received_at < ?", micros(until))
        if cursor is not None:
            where.add("number < ?", cursors.decode_number(cursor))

        def work(db: sqlite3.Connection) -> tuple[list[sqlite3.Row], int | None]:
            if since is not None:
                where.add("number >= ?", number_at(db, since - SLACK))
            if until is not None:
                where.add("number < ?", number_at(db, until + SLACK))
            most = cursors.bounded(limit) + 1
            return newest(db, "deliveries", where, sieve, places=DELIVERIES, about=about, limit=most)

        found, looked_to = await self._db.read(work, slow=True)
        return cursors.page(found, limit, rows.delivery, "number", looked_to=looked_to)

    async def replay_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Dispatch a delivery again, past dedupe and on purpose; its earlier jobs stay. Raises NotFoundError.

        Raises ConflictError when the body was pruned, or when the delivery is still being worked on.
        """
        where = Where(scope)
        where.add("delivery_id = ?", delivery_id)

        def work(db: sqlite3.Connection) -> Delivery:
            found = _one(db, where)
            if found.body is None:
                raise ConflictError("its body was pruned")
            if found.status is DeliveryStatus.PENDING:
                raise ConflictError("it is still being worked on")
            db.execute(_REPLAY, (delivery_id,))
            return _one(db, where)

        return await self._db.write(work)

    async def roll_up_delivery(self, delivery_id: str) -> None:
        """Work out a delivery's status from its jobs again."""
        await self._db.write(lambda db: roll_up(db, delivery_id))

    async def prune_deliveries(self, *, before: datetime, limit: int = 1000) -> int:
        """Drop headers and bodies of up to `limit` ended deliveries older than `before`; return how many. Keys stay."""

        def work(db: sqlite3.Connection) -> list[tuple[int]]:
            bounds = (number_at(db, before + SLACK), micros(before), limit)
            return [(row[0],) for row in db.execute(_OLD, bounds)]

        old = await self._db.read(work, slow=True)
        return await self._db.write(lambda db: db.executemany(_PRUNE, old).rowcount) if old else 0


def _one(db: sqlite3.Connection, where: Where) -> Delivery:
    row = db.execute(f"{_ONE}{where}", where.values).fetchone()
    if row is None:
        raise NotFoundError
    return rows.delivery(row, whole=True)
