"""Mappings: which record of a provider belongs to which billing customer."""

from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError, RecordMovedError
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.postgres.intents import close_open_intent
from storage.postgres.waiting import wake_waiting
from storage.postgres.where import Where
from storage.records import EVERYWHERE, EntityMapping, Held, Link, MappingKey, MappingStatus, Note, Page, Scope
from storage.scalars import dumps, micros

_KEY = "source = ? AND entity_type = ? AND entity_id = ? AND connection = ?"
_HOLDERS = """
SELECT provider_entity_id, source, entity_type, entity_id, connection FROM mappings
 WHERE provider_entity_id = ANY($1::text[]) AND connection = $2 AND entity_type = $3 AND status = 'linked'
 ORDER BY source DESC, entity_id DESC"""
_HELD_BY_ANOTHER = """
SELECT 1 FROM mappings
 WHERE provider_entity_id = $1 AND connection = $2 AND entity_type = $3 AND status = 'linked'
   AND NOT (source = $4 AND entity_id = $5)"""
_LINK = """
INSERT INTO mappings (source, entity_type, entity_id, connection, connector, tenant_id, environment_id,
                      provider_entity_id, status, origin, why, shared, details, synced_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'linked', $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (source, entity_type, entity_id, connection) DO UPDATE SET
    provider_entity_id = excluded.provider_entity_id, status = 'linked', origin = excluded.origin,
    why = excluded.why, shared = excluded.shared, details = excluded.details, synced_at = excluded.synced_at,
    connector = excluded.connector, updated_at = excluded.updated_at,
    written_back_at = CASE WHEN mappings.provider_entity_id IS NOT DISTINCT FROM excluded.provider_entity_id
                           THEN mappings.written_back_at END,
    notes = CASE WHEN mappings.provider_entity_id IS NOT DISTINCT FROM excluded.provider_entity_id
                 THEN mappings.notes END"""
_UNLESS_LINKED_ELSEWHERE = """
 WHERE mappings.status <> 'linked' OR mappings.provider_entity_id = excluded.provider_entity_id"""
_IS = "source = $2 AND entity_type = $3 AND entity_id = $4 AND connection = $5"
_HELD = f"{_IS} AND provider_entity_id = $6"
_STALE = f"UPDATE mappings SET status = 'stale', epoch = epoch + 1, updated_at = $1 WHERE {_HELD} AND status = 'linked'"
_LINKED = """
SELECT 1 FROM mappings
 WHERE source = $1 AND entity_type = $2 AND entity_id = $3 AND connection = $4 AND status = 'linked'"""
_WRITTEN_BACK = f"UPDATE mappings SET written_back_at = $1, updated_at = $1 WHERE {_HELD}"
_NOTES = """
SELECT notes FROM mappings
 WHERE source = $1 AND entity_type = $2 AND entity_id = $3 AND connection = $4 AND provider_entity_id = $5
   FOR UPDATE"""
_NOTE = f"UPDATE mappings SET updated_at = $1, notes = $7, details = coalesce($8, details) WHERE {_HELD}"


async def link(db: Session, new: Link, now: datetime, *, by_hand: bool = False) -> None:
    """Make a mapping linked, and due what waits for it or has asked about it. Only a person may move one elsewhere.

    Raises ConflictError when the record belongs to another customer, or the customer was linked elsewhere meanwhile.
    """
    held = (new.provider_entity_id, new.key.connection, new.key.entity_type, new.key.source, new.key.entity_id)
    if not new.shared and await db.row(_HELD_BY_ANOTHER, *held) is not None:
        msg = f"record {new.provider_entity_id} on {new.key.connection} is linked to another customer"
        raise ConflictError(msg)
    statement = _LINK if by_hand else _LINK + _UNLESS_LINKED_ELSEWHERE
    if await db.execute(statement, *values.link(new, now=now)) == 0:
        msg = f"customer {new.key.entity_id} was linked to another record on {new.key.connection} meanwhile"
        raise ConflictError(msg)
    await wake_waiting(db, new.key, now)


async def mark_stale(db: Session, dead: Held, now: datetime) -> None:
    """Note that the linked record has died; the next create belongs to a new epoch.

    Raises RecordMovedError when another one is linked by now.
    """
    marked = await db.execute(_STALE, micros(now), *values.held(dead))
    if not marked and await db.row(_LINKED, *values.key(dead.key)) is not None:
        raise RecordMovedError


async def note(db: Session, new: Note, now: datetime) -> None:
    """Note something with a mapping, beside what was noted before. Raises RecordMovedError."""
    held = values.held(new.about)
    row = await db.row(_NOTES, *held)
    if row is None:
        raise RecordMovedError
    await db.execute(_NOTE, micros(now), *held, values.noted(row["notes"], new), dumps(new.details))


async def mark_written_back(db: Session, told: Held, now: datetime) -> None:
    """Note that the source knows of the link; where it is another by now, of that one it does not."""
    await db.execute(_WRITTEN_BACK, micros(now), *values.held(told))


class Mappings:
    """The part of the store that deals with mappings."""

    _db: Database

    async def get_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE) -> EntityMapping | None:
        """Return a mapping, or None."""
        row = await self._db.run(lambda db: db.row(f"SELECT * FROM mappings{_where(key, scope)}", *_bound(key, scope)))
        return None if row is None else rows.mapping(row)

    async def holders(
        self, connection: str, entity_type: str, provider_entity_ids: Sequence[str]
    ) -> dict[str, MappingKey]:
        """Return which of these records are linked already, and to whom; the first by name where a record is shared."""
        if not provider_entity_ids:
            return {}
        asked = (list(provider_entity_ids), connection, entity_type)
        found = await self._db.run(lambda db: db.rows(_HOLDERS, *asked))
        return {row["provider_entity_id"]: rows.mapping_key(row) for row in found}

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
        entity_ids: Sequence[str] | None = None,
    ) -> Page[EntityMapping]:
        """Return mappings, in the order of their keys."""
        where = Where(scope)
        where.equal("entity_id", entity_id)
        where.equal("provider_entity_id", provider_entity_id)
        if entity_ids is not None:
            where.add("entity_id = ANY(?::text[])", list(entity_ids))
        where.equal("status", status)
        if status is not None and status != MappingStatus.LINKED:
            where.add("status <> 'linked'")
        where.equal("connection", connection)
        where.equal("source", source)
        where.equal("entity_type", entity_type)
        if cursor is not None:
            where.add("(source, entity_type, entity_id, connection) > (?, ?, ?, ?)", *cursors.decode(cursor, 4))
        query = f"""SELECT * FROM mappings{where} ORDER BY source, entity_type, entity_id, connection
                     LIMIT {cursors.bounded(limit) + 1:d}"""
        found = await self._db.run(lambda db: db.rows(query, *where.values))
        return cursors.page(found, limit, rows.mapping, "source", "entity_type", "entity_id", "connection")

    async def put_mapping(self, new: Link, *, now: datetime) -> EntityMapping:
        """Link by hand; an open intent of the mapping is closed. Raises ConflictError when the record is taken."""

        async def work(db: Session) -> EntityMapping:
            await link(db, new, now, by_hand=True)
            await close_open_intent(db, new.key, "operator", now)
            return await _one(db, new.key, EVERYWHERE)

        return await self._db.write(work)

    async def delete_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE, *, now: datetime) -> EntityMapping:
        """Unlink: the mapping goes, and an open intent of it is closed. Raises NotFoundError.

        Its epoch is kept in the closed intents, so that a later create has another idempotency key.
        """

        async def work(db: Session) -> EntityMapping:
            gone = await _one(db, key, scope, lock=True)
            await close_open_intent(db, key, "unlinked", now)
            await db.execute(f"DELETE FROM mappings{_where(key, EVERYWHERE)}", *_bound(key, EVERYWHERE))
            return gone

        return await self._db.write(work)


def _conditions(key: MappingKey, scope: Scope) -> Where:
    where = Where(scope)
    where.add(_KEY, *values.key(key))
    return where


def _where(key: MappingKey, scope: Scope) -> str:
    return str(_conditions(key, scope))


def _bound(key: MappingKey, scope: Scope) -> Sequence[object]:
    return _conditions(key, scope).values


async def _one(db: Session, key: MappingKey, scope: Scope, *, lock: bool = False) -> EntityMapping:
    query = f"SELECT * FROM mappings{_where(key, scope)}{' FOR UPDATE' if lock else ''}"
    row = await db.row(query, *_bound(key, scope))
    if row is None:
        raise NotFoundError
    return rows.mapping(row)
