"""Mappings: which record of a provider belongs to which billing customer."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError, RecordMovedError
from storage.records import EVERYWHERE, EntityMapping, Held, Link, MappingKey, MappingStatus, Note, Page, Scope
from storage.scalars import array, dumps, micros
from storage.sqlite.database import Database
from storage.sqlite.intents import close_open_intent
from storage.sqlite.waiting import wake_waiting
from storage.sqlite.where import Where

_KEY = "source = ? AND entity_type = ? AND entity_id = ? AND connection = ?"
_ONE = f"SELECT * FROM mappings WHERE {_KEY}"
_HOLDERS = """
SELECT provider_entity_id, source, entity_type, entity_id, connection FROM mappings
 WHERE provider_entity_id IN (SELECT value FROM json_each(?)) AND connection = ? AND entity_type = ?
   AND status = 'linked'
 ORDER BY source DESC, entity_id DESC"""
_HELD_BY_ANOTHER = f"""
SELECT 1 FROM mappings
 WHERE provider_entity_id = ? AND connection = ? AND entity_type = ? AND status = 'linked' AND NOT ({_KEY})"""
_LINK = """
INSERT INTO mappings (source, entity_type, entity_id, connection, connector, tenant_id, environment_id,
                      provider_entity_id, status, origin, why, shared, details, synced_at, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'linked', ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, entity_type, entity_id, connection) DO UPDATE SET
    provider_entity_id = excluded.provider_entity_id, status = 'linked', origin = excluded.origin,
    why = excluded.why, shared = excluded.shared, details = excluded.details, synced_at = excluded.synced_at,
    connector = excluded.connector, updated_at = excluded.updated_at,
    written_back_at = CASE WHEN mappings.provider_entity_id IS excluded.provider_entity_id
                           THEN mappings.written_back_at END,
    notes = CASE WHEN mappings.provider_entity_id IS excluded.provider_entity_id THEN mappings.notes END"""
_UNLESS_LINKED_ELSEWHERE = """
 WHERE mappings.status <> 'linked' OR mappings.provider_entity_id = excluded.provider_entity_id"""
_HELD = f"{_KEY} AND provider_entity_id = ?"
_STALE = f"UPDATE mappings SET status = 'stale', epoch = epoch + 1, updated_at = ? WHERE {_HELD} AND status = 'linked'"
_LINKED = f"SELECT 1 FROM mappings WHERE {_KEY} AND status = 'linked'"
_WRITTEN_BACK = f"UPDATE mappings SET written_back_at = ?, updated_at = ? WHERE {_HELD}"
_NOTES = f"SELECT notes FROM mappings WHERE {_HELD}"
_NOTE = f"UPDATE mappings SET notes = ?, details = coalesce(?, details), updated_at = ? WHERE {_HELD}"


def read_mapping(db: sqlite3.Connection, key: tuple[str, str, str, str]) -> EntityMapping | None:
    """Return a mapping, or None."""
    row = db.execute(_ONE, key).fetchone()
    return None if row is None else rows.mapping(row)


def link(db: sqlite3.Connection, new: Link, now: datetime, *, by_hand: bool = False) -> None:
    """Make a mapping linked, and due what waits for it or has asked about it. Only a person may move one elsewhere.

    Raises ConflictError when the record belongs to another customer, or the customer was linked elsewhere meanwhile.
    """
    record = (new.provider_entity_id, new.key.connection, new.key.entity_type)
    if not new.shared and db.execute(_HELD_BY_ANOTHER, (*record, *values.key(new.key))).fetchone() is not None:
        msg = f"record {new.provider_entity_id} on {new.key.connection} is linked to another customer"
        raise ConflictError(msg)
    statement = _LINK if by_hand else _LINK + _UNLESS_LINKED_ELSEWHERE
    if db.execute(statement, values.link(new, now=now)).rowcount == 0:
        msg = f"customer {new.key.entity_id} was linked to another record on {new.key.connection} meanwhile"
        raise ConflictError(msg)
    wake_waiting(db, new.key, now)


def mark_stale(db: sqlite3.Connection, dead: Held, now: datetime) -> None:
    """Note that the linked record has died; the next create belongs to a new epoch.

    Raises RecordMovedError when another one is linked by now.
    """
    marked = db.execute(_STALE, (micros(now), *values.held(dead))).rowcount
    if not marked and db.execute(_LINKED, values.key(dead.key)).fetchone() is not None:
        raise RecordMovedError


def note(db: sqlite3.Connection, new: Note, now: datetime) -> None:
    """Note something with a mapping, beside what was noted before. Raises RecordMovedError."""
    held = values.held(new.about)
    row = db.execute(_NOTES, held).fetchone()
    if row is None:
        raise RecordMovedError
    db.execute(_NOTE, (values.noted(row["notes"], new), dumps(new.details), micros(now), *held))


def mark_written_back(db: sqlite3.Connection, told: Held, now: datetime) -> None:
    """Note that the source knows of the link; where it is another by now, of that one it does not."""
    db.execute(_WRITTEN_BACK, (micros(now), micros(now), *values.held(told)))


class Mappings:
    """The part of the store that deals with mappings."""

    _db: Database

    async def get_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE) -> EntityMapping | None:
        """Return a mapping, or None."""
        where = Where(scope)
        where.add(_KEY, *values.key(key))

        def work(db: sqlite3.Connection) -> EntityMapping | None:
            row = db.execute(f"SELECT * FROM mappings{where}", where.values).fetchone()
            return None if row is None else rows.mapping(row)

        return await self._db.read(work)

    async def holders(
        self, connection: str, entity_type: str, provider_entity_ids: Sequence[str]
    ) -> dict[str, MappingKey]:
        """Return which of these records are linked already, and to whom; the first by name where a record is shared."""
        asked = (array(provider_entity_ids), connection, entity_type)

        def work(db: sqlite3.Connection) -> dict[str, MappingKey]:
            return {row["provider_entity_id"]: rows.mapping_key(row) for row in db.execute(_HOLDERS, asked)}

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
        entity_ids: Sequence[str] | None = None,
    ) -> Page[EntityMapping]:
        """Return mappings, in the order of their keys."""
        unlinked = status is not None and status != MappingStatus.LINKED
        narrower = entity_id or provider_entity_id or entity_ids is not None
        where = Where(scope, narrowed=bool(narrower or connection) or unlinked)
        where.equal("entity_id", entity_id)
        if entity_ids is not None:
            where.add("entity_id IN (SELECT value FROM json_each(?))", array(entity_ids))
        where.equal(
            "+provider_entity_id" if entity_id or entity_ids is not None else "provider_entity_id", provider_entity_id
        )
        where.equal("+status" if narrower else "status", status)
        if unlinked:
            where.add("status <> 'linked'")
        where.equal("+connection" if narrower or unlinked else "connection", connection)
        where.equal("+source" if narrower or unlinked else "source", source)
        where.equal("+entity_type", entity_type)
        if cursor is not None:
            where.add("(source, entity_type, entity_id, connection) > (?, ?, ?, ?)", *cursors.decode(cursor, 4))
        query = f"SELECT * FROM mappings{where} ORDER BY source, entity_type, entity_id, connection LIMIT ?"
        bound = [*where.values, cursors.bounded(limit) + 1]
        found = await self._db.read(lambda db: db.execute(query, bound).fetchall(), slow=True)
        return cursors.page(found, limit, rows.mapping, "source", "entity_type", "entity_id", "connection")

    async def put_mapping(self, new: Link, *, now: datetime) -> EntityMapping:
        """Link by hand; an open intent of the mapping is closed. Raises ConflictError when the record is taken."""

        def work(db: sqlite3.Connection) -> EntityMapping:
            link(db, new, now, by_hand=True)
            close_open_intent(db, new.key, "operator", now)
            return rows.mapping(db.execute(_ONE, values.key(new.key)).fetchone())

        return await self._db.write(work)

    async def delete_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE, *, now: datetime) -> EntityMapping:
        """Unlink: the mapping goes, and an open intent of it is closed. Raises NotFoundError.

        Its epoch is kept in the closed intents, so that a later create has another idempotency key.
        """
        where = Where(scope)
        where.add(_KEY, *values.key(key))

        def work(db: sqlite3.Connection) -> EntityMapping:
            row = db.execute(f"SELECT * FROM mappings{where}", where.values).fetchone()
            if row is None:
                raise NotFoundError
            close_open_intent(db, key, "unlinked", now)
            db.execute(f"DELETE FROM mappings WHERE {_KEY}", values.key(key))
            return rows.mapping(row)

        return await self._db.write(work)
