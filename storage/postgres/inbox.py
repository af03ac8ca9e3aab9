"""Deliveries: stored once, dispatched once, replayed on purpose, listed, pruned."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.postgres.connection import Session, columns
from storage.postgres.customers import see_customers
from storage.postgres.database import Database
from storage.postgres.jobs import insert_jobs
from storage.postgres.rollup import lock_delivery, roll_up
from storage.postgres.searching import DELIVERIES, newest, with_connection, with_error
from storage.postgres.timeline import DELIVERY_AT, SLACK
from storage.postgres.where import Where
from storage.records import EVERYWHERE, Delivery, DeliveryStatus, Dispatched, NewDelivery, Page, Scope
from storage.rows import Row
from storage.scalars import micros

# One order for all nodes, so that two batches with the same keys never wait for each other.
_INSERT = """
WITH new AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                         $8::bigint[], $9::bigint[], $10::bytea[], $11::bytea[]) WITH ORDINALITY
        AS n (delivery_id, source, tenant_id, environment_id, delivery_key, received_at, scheme, secret_index,
              body_bytes, headers, body, place)),
stored AS (
    INSERT INTO deliveries (delivery_id, source, tenant_id, environment_id, delivery_key, received_at, scheme,
                            secret_index, body_bytes)
    SELECT delivery_id, source, tenant_id, environment_id, delivery_key, received_at, scheme, secret_index, body_bytes
      FROM new ORDER BY delivery_key, source, place
    ON CONFLICT (delivery_key, source) DO NOTHING
    RETURNING number, delivery_id),
kept AS (
    INSERT INTO bodies (number, headers, body)
    SELECT stored.number, new.headers, new.body FROM stored JOIN new USING (delivery_id))
SELECT delivery_id FROM stored"""
_KNOWN = """
SELECT d.delivery_id, d.delivery_key, d.source
  FROM unnest($1::text[], $2::text[]) AS n (delivery_key, source) JOIN deliveries d USING (delivery_key, source)"""
_ONE = "SELECT d.*, b.headers, b.body FROM deliveries d LEFT JOIN bodies b USING (number)"
_CLAIM = """
WITH due AS (
    SELECT number FROM deliveries
     WHERE status = 'pending' AND status NOT IN ('processed', 'ignored') AND dispatched = 0 AND claimed_until <= $1
     ORDER BY number LIMIT $3 FOR UPDATE SKIP LOCKED),
taken AS (
    UPDATE deliveries d SET claimed_until = $2 FROM due WHERE d.number = due.number RETURNING d.*)
SELECT t.*, b.headers, b.body FROM taken t LEFT JOIN bodies b USING (number) ORDER BY t.number"""
_DISPATCHED = """
UPDATE deliveries d
   SET dispatched = 1, claimed_until = 0, status = r.status, reason = r.reason, event_type = r.event_type,
       entity_id = r.entity_id, subject = r.subject
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
       AS r (delivery_id, status, reason, event_type, entity_id, subject)
 WHERE d.delivery_id = r.delivery_id AND d.dispatched = 0 RETURNING d.delivery_id, d.replays"""
_REPLAY = """
UPDATE deliveries SET dispatched = 0, claimed_until = 0, status = 'pending', reason = NULL, replays = replays + 1
 WHERE delivery_id = $1"""
_PRUNE = f"""
WITH old AS (
    SELECT b.number FROM bodies b JOIN deliveries d USING (number)
     WHERE b.number < {DELIVERY_AT.replace("?", "$1")}
       AND d.received_at < $2 AND d.status IN ('processed', 'ignored', 'failed')
     ORDER BY b.number LIMIT $3 FOR UPDATE OF d SKIP LOCKED)
DELETE FROM bodies USING old WHERE bodies.number = old.number"""
_SUBJECTS = "SELECT DISTINCT subject FROM deliveries WHERE subject = ANY($1::text[]) AND source = $2"


async def insert_deliveries(db: Session, deliveries: Sequence[NewDelivery]) -> list[tuple[str, bool]]:
    """Insert a batch; return, for each, the id under which it is stored and whether it was there before."""
    new = [(*values.delivery(delivery), delivery.headers, delivery.body) for delivery in deliveries]
    stored = {row["delivery_id"] for row in await db.rows(_INSERT, *columns(new, 11))}
    missing = [delivery for delivery in deliveries if delivery.delivery_id not in stored]
    if not missing:
        return [(delivery.delivery_id, False) for delivery in deliveries]
    kept = await _kept(db, missing)
    return [
        (delivery.delivery_id, False)
        if delivery.delivery_id in stored
        else (kept[delivery.delivery_key, delivery.source], True)
        for delivery in deliveries
    ]


class Inbox:
    """The part of the store that deals with deliveries."""

    _db: Database

    def add_delivery(self, delivery: NewDelivery) -> "asyncio.Future[tuple[str, bool]]":
        """Store a delivery; the future tells, once it is synced to disk, its id and whether it was stored before.

        Deliveries that arrive together share one transaction. Raises OverloadedError, StoreUnavailableError.
        """
        return self._db.door.add(delivery)

    @property
    def deliveries_waiting(self) -> int:
        """Return how many deliveries wait for the disk at this moment."""
        return self._db.waiting

    async def claim_deliveries(self, *, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
        """Take deliveries that were not dispatched yet, oldest first; nobody else gets them until the lease ends."""
        taken = await self._db.run(lambda db: db.rows(_CLAIM, micros(now), micros(now + lease), limit))
        return [rows.delivery(row, whole=True) for row in taken]

    async def settle_dispatch(self, results: Sequence[Dispatched], *, now: datetime) -> None:
        """Write what dispatch decided: end states, or jobs. A delivery that was dispatched meanwhile is left alone."""
        decided = [
            (each.delivery_id, each.end_status, each.reason, each.event_type, each.entity_id, each.subject)
            for each in results
        ]

        async def work(db: Session) -> None:
            changed = await db.rows(_DISPATCHED, *columns(decided, 6))
            dispatches = {row["delivery_id"]: row["replays"] for row in changed}
            written = [each for each in results if each.delivery_id in dispatches]
            await see_customers(db, [each.customer for each in written if each.customer is not None], now)
            jobs = [(job, dispatches[each.delivery_id]) for each in written for job in each.jobs]
            await insert_jobs(db, jobs, now)

        await self._db.write(work)

    async def known_subjects(self, source: str, subjects: Sequence[str]) -> set[str]:
        """Return which of these invoices or transactions a dispatched delivery of the source is about."""
        found = await self._db.run(lambda db: db.rows(_SUBJECTS, list(subjects), source))
        return {row["subject"] for row in found}

    async def get_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Return a delivery with headers and body. Raises NotFoundError."""
        where = Where(scope)
        where.add("delivery_id = ?", delivery_id)
        return await self._db.run(lambda db: _one(db, where))

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
        where = Where(scope)
        where.equal("source", source)
        open_status = status is not None and status not in (DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED)
        if open_status:
            where.equal("status", status)
            where.add("status NOT IN ('processed', 'ignored')")
        if since is not None:
            where.add("received_at >= ?", micros(since))
            where.add(f"number >= {DELIVERY_AT}", micros(since - SLACK))
        if until is not None:
            where.add("received_at < ?", micros(until))
            where.add(f"number < {DELIVERY_AT}", micros(until + SLACK))
        if cursor is not None:
            where.add("number < ?", cursors.decode_number(cursor))
        with_error(where, error_code, connection=connection)
        sieve = where.beside()
        sieve.equal("status", None if open_status else status)
        sieve.equal("event_type", event_type)
        with_connection(sieve, connection if error_code is None else None, searched=about is not None)
        most = cursors.bounded(limit) + 1
        found, looked_to = await (self._db.read if sieve else self._db.run)(
            lambda db: newest(db, "deliveries", where, sieve, places=DELIVERIES, about=about, limit=most)
        )
        return cursors.page(found, limit, rows.delivery, "number", looked_to=looked_to)

    async def replay_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Dispatch a delivery again, past dedupe and on purpose; its earlier jobs stay. Raises NotFoundError.

        Raises ConflictError when the body was pruned, or when the delivery is still being worked on.
        """
        where = Where(scope)
        where.add("delivery_id = ?", delivery_id)

        async def work(db: Session) -> Delivery:
            await lock_delivery(db, delivery_id)
            found = await _one(db, where)
            if found.body is None:
                raise ConflictError("its body was pruned")
            if found.status is DeliveryStatus.PENDING:
                raise ConflictError("it is still being worked on")
            await db.execute(_REPLAY, delivery_id)
            return await _one(db, where)

        return await self._db.write(work)

    async def roll_up_delivery(self, delivery_id: str) -> None:
        """Work out a delivery's status from its jobs again."""

        async def work(db: Session) -> None:
            await lock_delivery(db, delivery_id)
            await roll_up(db, delivery_id)

        await self._db.write(work)

    async def prune_deliveries(self, *, before: datetime, limit: int = 1000) -> int:
        """Drop headers and bodies of up to `limit` ended deliveries older than `before`; return how many. Keys stay."""
        return await self._db.run(lambda db: db.execute(_PRUNE, micros(before + SLACK), micros(before), limit))


async def _kept(db: Session, missing: Sequence[NewDelivery]) -> dict[tuple[str, str], str]:
    """Return the ids under which deliveries with these keys were stored before."""
    keys = [(delivery.delivery_key, delivery.source) for delivery in missing]
    found: dict[tuple[str, str], Row] = {}
    for row in await db.rows(_KNOWN, *columns(keys, 2)):
        found[row["delivery_key"], row["source"]] = row
    return {key: found[key[0].replace("\x00", "\ufffd"), key[1]]["delivery_id"] for key in keys}


async def _one(db: Session, where: Where) -> Delivery:
    row = await db.row(f"{_ONE}{where}", *where.values)
    if row is None:
        raise NotFoundError
    return rows.delivery(row, whole=True)
