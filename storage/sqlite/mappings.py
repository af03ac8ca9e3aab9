"""Mappings and intents: what is linked to what, and which creates are under way."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import ids
from storage.errors import ConflictError, GuardBusyError, LeaseLostError, NotFoundError
from storage.records import (
    EVERYWHERE,
    EntityMapping,
    Intent,
    Link,
    MappingKey,
    MappingStatus,
    NewIntent,
    Page,
    Scope,
    SeenCustomer,
)
from storage.sqlite import rows
from storage.sqlite.database import Database

_KEY = "source = ? AND entity_type = ? AND entity_id = ? AND connection = ?"
_LINK = """
INSERT INTO mappings (source, entity_type, entity_id, connection, connector, tenant_id, environment_id,
                      provider_entity_id, status, origin, why, shared, details, synced_at, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'linked', ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, entity_type, entity_id, connection) DO UPDATE SET
    provider_entity_id = excluded.provider_entity_id, status = 'linked', origin = excluded.origin,
    why = excluded.why, shared = excluded.shared, details = excluded.details, synced_at = excluded.synced_at,
    connector = excluded.connector, updated_at = excluded.updated_at,
    written_back_at = CASE WHEN mappings.provider_entity_id IS excluded.provider_entity_id
                           THEN mappings.written_back_at END"""
_INTEND = """
INSERT INTO mappings (source, entity_type, entity_id, connection, connector, tenant_id, environment_id, status, epoch,
                      created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 'intended', ?, ?, ?)
ON CONFLICT (source, entity_type, entity_id, connection) DO UPDATE SET
    status = 'intended', epoch = excluded.epoch, updated_at = excluded.updated_at"""
_INTENT = """
INSERT INTO intents (intent_id, source, entity_type, entity_id, connection, idempotency_key, epoch, variant, attempt,
                     snapshot, digest, guards, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


def _values(key: MappingKey) -> tuple[str, str, str, str]:
    return key.source, key.entity_type, key.entity_id, key.connection


def read_mapping(
    db: sqlite3.Connection, source: str, entity_type: str, entity_id: str, connection: str
) -> EntityMapping | None:
    """Return a mapping, or None."""
    row = db.execute(f"SELECT * FROM mappings WHERE {_KEY}", (source, entity_type, entity_id, connection)).fetchone()
    return None if row is None else rows.mapping(row)


def open_intent(db: sqlite3.Connection, key: MappingKey) -> Intent | None:
    """Return the open intent of a mapping, or None."""
    row = db.execute(f"SELECT * FROM intents WHERE {_KEY} AND closed_at IS NULL", _values(key)).fetchone()
    if row is None:
        return None
    lost = db.execute(
        f"SELECT count(*) FROM intents WHERE {_KEY} AND epoch = ? AND result = 'absent'", (*_values(key), row["epoch"])
    ).fetchone()[0]
    return rows.intent(row, lost_before=lost)


def link(db: sqlite3.Connection, new: Link, now: datetime) -> None:
    """Make a mapping linked. Raises ConflictError when the record belongs to another customer."""
    at = rows.micros(now)
    try:
        db.execute(
            _LINK,
            (
                *_values(new.key), new.connector, new.tenant_id, new.environment_id, new.provider_entity_id, new.origin,
                new.why, int(new.shared), rows.dumps(new.details), at, at, at,
            ),
        )  # fmt: skip
    except sqlite3.IntegrityError as error:
        msg = f"record {new.provider_entity_id} on {new.key.connection} is linked to another customer"
        raise ConflictError(msg) from error


def mark_stale(db: sqlite3.Connection, key: MappingKey, now: datetime) -> None:
    """Note that the linked record has died; the next create belongs to a new epoch."""
    db.execute(
        f"UPDATE mappings SET status = 'stale', epoch = epoch + 1, updated_at = ? WHERE {_KEY} AND status = 'linked'",
        (rows.micros(now), *_values(key)),
    )


def close_intent(db: sqlite3.Connection, intent_id: str, result: str, now: datetime) -> None:
    """Close an intent: its outcome is known. The customer's data in it is dropped."""
    at = rows.micros(now)
    db.execute(
        "UPDATE intents SET closed_at = ?, result = ?, snapshot = NULL WHERE intent_id = ? AND closed_at IS NULL",
        (at, result, intent_id),
    )
    db.execute("UPDATE guards SET closed_at = ? WHERE intent_id = ?", (at, intent_id))


def mark_looked(db: sqlite3.Connection, intent_id: str, now: datetime) -> None:
    """Note that a complete look-up, ending now, has found nothing of this intent."""
    db.execute("UPDATE intents SET looked_at = ? WHERE intent_id = ?", (rows.micros(now), intent_id))


class Mappings:
    """The part of the store that deals with mappings and intents."""

    _db: Database

    async def begin_intent(self, new: NewIntent, *, job_id: str, fence: int) -> Intent:
        """Commit that a create is about to be sent, before its first byte; the mapping becomes `intended`.

        The idempotency key is made here from `new.seed`, the epoch, the variant and the count of creates before, so that
        no two creates share one. Raises LeaseLostError when another worker has the job. Raises GuardBusyError when a
        create for an equal customer is open, or has ended since `new.searched_since`, when this job began to look.
        """

        def work(db: sqlite3.Connection) -> Intent:
            held = db.execute(
                "SELECT 1 FROM jobs WHERE job_id = ? AND fence = ? AND status = 'running'", (job_id, fence)
            ).fetchone()
            if held is None:
                raise LeaseLostError
            return _begin(db, new)

        return await self._db.write(work)

    async def refuse_intent(self, intent_id: str, *, now: datetime) -> None:
        """Note that the provider refused this create since its name is taken; it stays open while the holder is sought."""
        await self._db.write(
            lambda db: db.execute(
                "UPDATE intents SET refused_at = ?, looked_at = NULL WHERE intent_id = ?", (rows.micros(now), intent_id)
            )
        )

    async def get_mapping(self, key: MappingKey) -> EntityMapping | None:
        """Return a mapping, or None."""
        return await self._db.read(lambda db: read_mapping(db, *_values(key)))

    async def holders(
        self, connection: str, entity_type: str, provider_entity_ids: Sequence[str]
    ) -> dict[str, MappingKey]:
        """Return which of these records are linked already, and to whom."""

        def work(db: sqlite3.Connection) -> dict[str, MappingKey]:
            found = {}
            for record in provider_entity_ids:
                row = db.execute(
                    "SELECT * FROM mappings WHERE provider_entity_id = ? AND connection = ? AND entity_type = ?"
                    " AND status = 'linked'",
                    (record, connection, entity_type),
                ).fetchone()
                if row is not None:
                    found[record] = rows.mapping(row).key
            return found

        return await self._db.read(work) if provider_entity_ids else {}

    async def list_mappings(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        entity_id: str | None = None,
        connection: str | None = None,
        entity_type: str | None = None,
        source: str | None = None,
        provider_entity_id: str | None = None,
        status: MappingStatus | None = None,
    ) -> Page[EntityMapping]:
        """Return mappings, in the order of their keys."""
        where = rows.Where(scope)
        where.equal("entity_id", entity_id)
        where.equal("connection", connection)
        where.equal("entity_type", entity_type)
        where.equal("source", source)
        where.equal("provider_entity_id", provider_entity_id)
        where.equal("status", status)
        if cursor is not None:
            where.add("(source, entity_type, entity_id, connection) > (?, ?, ?, ?)", *rows.decode_cursor(cursor, 4))
        query = f"SELECT * FROM mappings{where} ORDER BY source, entity_type, entity_id, connection LIMIT ?"
        found = await self._db.read(
            lambda db: [rows.mapping(row) for row in db.execute(query, (*where.values, limit + 1))]
        )
        return rows.page(found, limit, lambda last: rows.encode_cursor(*_values(last.key)))

    async def put_mapping(self, new: Link, *, now: datetime) -> EntityMapping:
        """Link by hand; an open intent of the mapping is closed. Raises ConflictError when the record is taken."""

        def work(db: sqlite3.Connection) -> EntityMapping:
            link(db, new, now)
            intent = open_intent(db, new.key)
            if intent is not None:
                close_intent(db, intent.intent_id, "operator", now)
            linked = read_mapping(db, *_values(new.key))
            if linked is None:
                raise NotFoundError
            return linked

        return await self._db.write(work)

    async def delete_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE, *, now: datetime) -> EntityMapping:
        """Unlink: the mapping goes, and an open intent of it is closed. Raises NotFoundError.

        Its epoch is kept in the closed intents, so that a later create has another idempotency key.
        """
        where = rows.Where(scope)
        where.add(_KEY, *_values(key))

        def work(db: sqlite3.Connection) -> EntityMapping:
            row = db.execute(f"SELECT * FROM mappings{where}", where.values).fetchone()
            if row is None:
                raise NotFoundError
            intent = open_intent(db, key)
            if intent is not None:
                close_intent(db, intent.intent_id, "unlinked", now)
            db.execute(f"DELETE FROM mappings WHERE {_KEY}", _values(key))
            return rows.mapping(row)

        return await self._db.write(work)

    async def find_customers(self, customer_id: str, scope: Scope = EVERYWHERE) -> Sequence[SeenCustomer]:
        """Return the customers with this id which any source of the scope has spoken of."""
        where = rows.Where(scope)
        where.add("customer_id = ?", customer_id)
        return await self._db.read(
            lambda db: [
                _seen(row) for row in db.execute(f"SELECT * FROM customers{where} ORDER BY source", where.values)
            ]
        )

    async def list_customers(
        self, scope: Scope = EVERYWHERE, *, limit: int = 50, cursor: str | None = None, text: str | None = None
    ) -> Page[SeenCustomer]:
        """Return customers seen; `text` is part of a name, e-mail address or id."""
        where = rows.Where(scope)
        if text:
            pattern = f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
            where.add("(name LIKE ? ESCAPE '!' OR email LIKE ? ESCAPE '!' OR customer_id = ?)", pattern, pattern, text)
        if cursor is not None:
            where.add("(source, customer_id) > (?, ?)", *rows.decode_cursor(cursor, 2))
        query = f"SELECT * FROM customers{where} ORDER BY source, customer_id LIMIT ?"
        found = await self._db.read(lambda db: [_seen(row) for row in db.execute(query, (*where.values, limit + 1))])
        return rows.page(found, limit, lambda last: rows.encode_cursor(last.source, last.customer_id))


def _begin(db: sqlite3.Connection, new: NewIntent) -> Intent:
    key, at = new.key, rows.micros(new.started_at)
    if new.replaces is not None:
        close_intent(db, new.replaces, new.replaces_result, new.started_at)
    for guard in new.guards:
        busy = db.execute(
            "SELECT 1 FROM guards g JOIN intents i USING (intent_id) WHERE g.connection = ? AND g.guard = ?"
            " AND (g.closed_at IS NULL OR g.closed_at >= ?) AND NOT (i.source = ? AND i.entity_id = ?)",
            (key.connection, guard, rows.micros(new.searched_since), key.source, key.entity_id),
        ).fetchone()
        if busy is not None:
            raise GuardBusyError
        db.execute(
            "INSERT INTO guards VALUES (?, ?, ?, NULL) ON CONFLICT (connection, guard)"
            " DO UPDATE SET intent_id = excluded.intent_id, closed_at = NULL",
            (key.connection, guard, new.intent_id),
        )
    used = db.execute(
        f"SELECT max(epoch) FROM intents WHERE {_KEY} AND result IN ('created', 'operator', 'unlinked')", _values(key)
    ).fetchone()[0]
    mapping = read_mapping(db, *_values(key))
    epoch = max(0 if used is None else used + 1, mapping.epoch if mapping else 0)
    before = db.execute(
        f"SELECT count(*) FROM intents WHERE {_KEY} AND epoch = ? AND variant = ?", (*_values(key), epoch, new.variant)
    ).fetchone()[0]
    idempotency_key = ids.idempotency_key(new.seed, epoch=epoch, variant=new.variant, attempt=before + 1)
    db.execute(_INTEND, (*_values(key), new.connector, new.tenant_id, new.environment_id, epoch, at, at))
    db.execute(
        _INTENT,
        (
            new.intent_id, *_values(key), idempotency_key, epoch, new.variant, before + 1, rows.dumps(new.snapshot),
            new.digest, rows.dumps(list(new.guards)), at,
        ),
    )  # fmt: skip
    begun = open_intent(db, key)
    if begun is None:
        msg = "an intent was written and cannot be read"
        raise LeaseLostError(msg)
    return begun


def _seen(row: sqlite3.Row) -> SeenCustomer:
    return SeenCustomer(
        source=row["source"], customer_id=row["customer_id"], tenant_id=row["tenant_id"],
        environment_id=row["environment_id"], name=row["name"], email=row["email"],
    )  # fmt: skip
