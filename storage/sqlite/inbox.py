"""Deliveries: stored once, dispatched once, replayed on purpose, listed, pruned."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from storage.errors import ConflictError, NotFoundError
from storage.records import (
    EVERYWHERE,
    Delivery,
    DeliveryStatus,
    Dispatched,
    NewDelivery,
    Page,
    Rejection,
    Scope,
    SourceActivity,
)
from storage.sqlite import rows
from storage.sqlite.database import Database
from storage.sqlite.jobs import insert_job, see_customer
from storage.sqlite.rollup import roll_up

_INSERT = """
INSERT INTO deliveries (delivery_id, source, tenant_id, environment_id, delivery_key, received_at, scheme,
                        secret_index, body_bytes, headers, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, delivery_key) DO NOTHING"""
_KNOWN = "SELECT delivery_id FROM deliveries WHERE source = ? AND delivery_key = ?"
_LIST = """delivery_id, source, tenant_id, environment_id, delivery_key, received_at, scheme, secret_index, status,
           replays, event_type, entity_id, subject, reason, body_bytes"""
_CLAIM = """
UPDATE deliveries SET claimed_until = :until
 WHERE delivery_id IN (
       SELECT delivery_id FROM deliveries
        WHERE status = 'pending' AND status NOT IN ('processed', 'ignored') AND dispatched = 0
          AND claimed_until <= :now
        ORDER BY delivery_id LIMIT :limit)
RETURNING *"""
KEPT_REJECTIONS = 20


def insert_deliveries(db: sqlite3.Connection, deliveries: Sequence[NewDelivery]) -> list[tuple[str, bool]]:
    """Insert a batch; return, for each, the id under which it is stored and whether it was there before."""
    before = db.total_changes
    db.executemany(
        _INSERT,
        [
            (
                d.delivery_id, d.source, d.tenant_id, d.environment_id, d.delivery_key, rows.micros(d.received_at),
                d.scheme, d.secret_index, len(d.body), d.headers, d.body,
            )
            for d in deliveries
        ],
    )  # fmt: skip
    if db.total_changes - before == len(deliveries):
        return [(d.delivery_id, False) for d in deliveries]
    answers = []
    for d in deliveries:
        known: str = db.execute(_KNOWN, (d.source, d.delivery_key)).fetchone()[0]
        answers.append((known, known != d.delivery_id))
    return answers


class Inbox:
    """The part of the store that deals with deliveries."""

    _db: Database

    async def add_delivery(self, delivery: NewDelivery) -> tuple[str, bool]:
        """Store a delivery; return, once it is synced to disk, its id and whether it was stored before.

        Deliveries that arrive together share one transaction. Raises OverloadedError, StoreUnavailableError.
        """
        answer: tuple[str, bool] = await self._db.add(delivery)
        return answer

    @property
    def deliveries_waiting(self) -> int:
        """Return how many deliveries wait for the disk at this moment."""
        return self._db.waiting

    async def claim_deliveries(self, *, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
        """Take deliveries that were not dispatched yet; nobody else gets them until the lease ends."""
        values = {"now": rows.micros(now), "until": rows.micros(now + lease), "limit": limit}
        if not await self._db.read(_any_undispatched):
            return []
        return await self._db.write(lambda db: [rows.delivery(row) for row in db.execute(_CLAIM, values)])

    async def settle_dispatch(self, results: Sequence[Dispatched], *, now: datetime) -> None:
        """Write what dispatch decided: end states, or jobs. A delivery that was dispatched meanwhile is left alone."""

        def work(db: sqlite3.Connection) -> None:
            for result in results:
                changed = db.execute(
                    "UPDATE deliveries SET dispatched = 1, claimed_until = 0, status = ?, reason = ?, event_type = ?,"
                    " entity_id = ?, subject = ? WHERE delivery_id = ? AND dispatched = 0",
                    (
                        result.status, result.reason, result.event_type, result.entity_id, result.subject,
                        result.delivery_id,
                    ),
                )  # fmt: skip
                if changed.rowcount == 0:
                    continue
                if result.customer is not None:
                    see_customer(db, result.customer, now)
                for job in result.jobs:
                    insert_job(db, job, now)

        await self._db.write(work)

    async def get_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Return a delivery with headers and body. Raises NotFoundError."""
        where = rows.Where(scope)
        where.add("delivery_id = ?", delivery_id)

        def work(db: sqlite3.Connection) -> Delivery:
            row = db.execute(f"SELECT * FROM deliveries{where}", where.values).fetchone()
            if row is None:
                raise NotFoundError
            return rows.delivery(row)

        return await self._db.read(work)

    async def list_deliveries(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        source: str | None = None,
        status: DeliveryStatus | None = None,
        event_type: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        text: str | None = None,
    ) -> Page[Delivery]:
        """Return deliveries, newest first. `text` is a delivery id, delivery key, entity id or subject."""
        where = rows.Where(scope)
        where.equal("source", source)
        where.equal("event_type", event_type)
        if status is not None:
            where.equal("status", status)
            if status not in (DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED):
                where.add("status NOT IN ('processed', 'ignored')")
        if since is not None:
            where.add("received_at >= ?", rows.micros(since))
        if until is not None:
            where.add("received_at < ?", rows.micros(until))
        if text:
            where.add("(delivery_id = ? OR delivery_key = ? OR entity_id = ? OR subject = ?)", text, text, text, text)
        if cursor is not None:
            where.add("delivery_id < ?", *rows.decode_cursor(cursor, 1))
        query = f"SELECT {_LIST} FROM deliveries{where} ORDER BY delivery_id DESC LIMIT ?"
        found = await self._db.read(
            lambda db: [rows.delivery(row) for row in db.execute(query, (*where.values, limit + 1))]
        )
        return rows.page(found, limit, lambda last: rows.encode_cursor(last.delivery_id))

    async def replay_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Dispatch a delivery again, past dedupe and on purpose; its earlier jobs stay. Raises NotFoundError.

        Raises ConflictError when the body was pruned, or when the delivery is still being worked on.
        """
        where = rows.Where(scope)
        where.add("delivery_id = ?", delivery_id)

        def work(db: sqlite3.Connection) -> Delivery:
            row = db.execute(f"SELECT * FROM deliveries{where}", where.values).fetchone()
            if row is None:
                raise NotFoundError
            if row["body"] is None:
                msg = "its body was pruned"
                raise ConflictError(msg)
            if row["status"] == DeliveryStatus.PENDING:
                msg = "it is still being worked on"
                raise ConflictError(msg)
            db.execute(
                "UPDATE deliveries SET dispatched = 0, claimed_until = 0, status = 'pending', reason = NULL,"
                " replays = replays + 1 WHERE delivery_id = ?",
                (delivery_id,),
            )
            return rows.delivery(
                db.execute("SELECT * FROM deliveries WHERE delivery_id = ?", (delivery_id,)).fetchone()
            )

        return await self._db.write(work)

    async def roll_up_delivery(self, delivery_id: str) -> None:
        """Work out a delivery's status from its jobs again."""
        await self._db.write(lambda db: roll_up(db, delivery_id))

    async def prune_deliveries(self, *, before: datetime, limit: int = 1000) -> int:
        """Drop headers and bodies of up to `limit` deliveries older than `before`; ids and keys stay. Return how many."""
        bound = f"dlv_{int(before.timestamp() * 1000):012x}"

        def work(db: sqlite3.Connection) -> int:
            start = db.execute("SELECT value FROM meta WHERE key = 'pruned_until'").fetchone()
            found = db.execute(
                "SELECT delivery_id FROM deliveries WHERE delivery_id > ? AND delivery_id < ? AND body IS NOT NULL"
                " AND status IN ('processed', 'ignored', 'failed') ORDER BY delivery_id LIMIT ?",
                (start[0] if start else "", bound, limit),
            ).fetchall()
            db.executemany("UPDATE deliveries SET body = NULL, headers = NULL WHERE delivery_id = ?", found)
            if len(found) == limit:
                open_before = db.execute(
                    "SELECT 1 FROM deliveries WHERE delivery_id < ? AND status NOT IN ('processed', 'ignored')"
                    " AND status IN ('pending', 'needs_review') LIMIT 1",
                    (found[-1][0],),
                ).fetchone()
                if open_before is None:
                    db.execute("INSERT OR REPLACE INTO meta VALUES ('pruned_until', ?)", (found[-1][0],))
            return len(found)

        return await self._db.write(work)

    async def note_activity(
        self, *, accepted: dict[str, datetime], rejected: Sequence[Rejection], counts: dict[tuple[str, str], int]
    ) -> None:
        """Write down when sources were heard and refused; the last few refusals of each source are kept."""

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO source_activity VALUES (?, ?) ON CONFLICT (source)"
                " DO UPDATE SET last_accepted_at = max(last_accepted_at, excluded.last_accepted_at)",
                [(name, rows.micros(at)) for name, at in accepted.items()],
            )
            db.executemany(
                "INSERT INTO rejections VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (r.source, rows.micros(r.at), r.reason, rows.dumps(r.headers), r.body_sha256, r.body_bytes)
                    for r in rejected
                ],
            )
            db.executemany(
                "INSERT INTO rejection_counts VALUES (?, ?, ?)"
                " ON CONFLICT (source, reason) DO UPDATE SET count = count + excluded.count",
                [(source, reason, count) for (source, reason), count in counts.items()],
            )
            for name in {r.source for r in rejected}:
                db.execute(
                    "DELETE FROM rejections WHERE source = ? AND rowid NOT IN"
                    " (SELECT rowid FROM rejections WHERE source = ? ORDER BY at DESC, rowid DESC LIMIT ?)",
                    (name, name, KEPT_REJECTIONS),
                )

        await self._db.write(work)

    async def source_activity(self, source: str) -> SourceActivity:
        """Return when a source last was heard and refused, with counts by reason."""

        def work(db: sqlite3.Connection) -> SourceActivity:
            accepted = db.execute("SELECT last_accepted_at FROM source_activity WHERE source = ?", (source,)).fetchone()
            last = _rejections(db, source, 1)
            counts = db.execute("SELECT reason, count FROM rejection_counts WHERE source = ?", (source,))
            return SourceActivity(
                last_accepted_at=rows.moment_or_none(accepted[0] if accepted else None),
                last_rejected=last[0] if last else None,
                rejected={row[0]: row[1] for row in counts},
            )

        return await self._db.read(work)

    async def list_rejections(self, source: str) -> Sequence[Rejection]:
        """Return the last refused requests of a source, newest first."""
        return await self._db.read(lambda db: _rejections(db, source, KEPT_REJECTIONS))


def _rejections(db: sqlite3.Connection, source: str, limit: int) -> list[Rejection]:
    found = db.execute(
        "SELECT * FROM rejections WHERE source = ? ORDER BY at DESC, rowid DESC LIMIT ?", (source, limit)
    )
    return [
        Rejection(
            source=row["source"], at=rows.moment(row["at"]), reason=row["reason"], headers=rows.loads(row["headers"]),
            body_sha256=row["body_sha256"], body_bytes=row["body_bytes"],
        )
        for row in found
    ]  # fmt: skip


def _any_undispatched(db: sqlite3.Connection) -> bool:
    query = """SELECT 1 FROM deliveries WHERE status = 'pending' AND status NOT IN ('processed', 'ignored')
                  AND dispatched = 0 LIMIT 1"""
    return db.execute(query).fetchone() is not None
