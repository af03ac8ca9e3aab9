"""Intents: creates that are about to be sent, and those whose outcome is not known yet."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import ids, rows, values
from storage.errors import ConflictError, GuardBusyError, LeaseLostError
from storage.records import Intent, MappingKey, NewIntent
from storage.scalars import array, micros
from storage.sqlite.database import Database

_KEY = "source = ? AND entity_type = ? AND entity_id = ? AND connection = ?"
_NUMBERED = "source = ?1 AND entity_type = ?2 AND entity_id = ?3 AND connection = ?4"
_OPEN = f"SELECT * FROM intents WHERE {_KEY} AND closed_at IS NULL"
_LOST = f"SELECT count(*) FROM intents WHERE {_KEY} AND epoch = ? AND result = 'absent'"
_HELD = "SELECT 1 FROM jobs WHERE job_id = ? AND fence = ? AND status = 'running'"
_BUSY = """
SELECT 1 FROM guards g CROSS JOIN intents i USING (intent_id)
 WHERE g.connection = ? AND g.guard IN (SELECT value FROM json_each(?)) AND (g.closed_at IS NULL OR g.closed_at >= ?)
   AND NOT (i.source = ? AND i.entity_type = ? AND i.entity_id = ?) LIMIT 1"""
# "WHERE true" keeps SQLite from reading ON as that of a join: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
_GUARD = """
INSERT INTO guards (connection, guard, intent_id) SELECT ?, value, ? FROM json_each(?) WHERE true
ON CONFLICT (connection, guard) DO UPDATE SET intent_id = excluded.intent_id, closed_at = NULL"""
# The epoch of the next create, how many creates it has had of a variant, and how many that were proven absent.
_BEFORE = f"""
WITH known (epoch) AS (
    SELECT max((SELECT coalesce(max(epoch) + 1, 0) FROM intents
                 WHERE {_NUMBERED} AND result IN ('created', 'operator', 'unlinked')),
               coalesce((SELECT epoch FROM mappings WHERE {_NUMBERED}), 0)))
SELECT epoch, (SELECT count(*) FROM intents WHERE {_NUMBERED} AND epoch = known.epoch AND variant = ?5),
       (SELECT count(*) FROM intents WHERE {_NUMBERED} AND epoch = known.epoch AND result = 'absent')
  FROM known"""
_INTEND = """
INSERT INTO mappings (source, entity_type, entity_id, connection, connector, tenant_id, environment_id, status, epoch,
                      created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 'intended', ?, ?, ?)
ON CONFLICT (source, entity_type, entity_id, connection) DO UPDATE SET
    status = 'intended', epoch = excluded.epoch, updated_at = excluded.updated_at
 WHERE mappings.status <> 'linked'"""
_INSERT = """
INSERT INTO intents (intent_id, source, entity_type, entity_id, connection, idempotency_key, epoch, variant, attempt,
                     snapshot, digest, guards, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *"""
_CLOSE = """
UPDATE intents SET closed_at = ?, result = ?, snapshot = NULL
 WHERE intent_id = ? AND closed_at IS NULL RETURNING *"""
_CLOSE_OPEN = f"""
UPDATE intents SET closed_at = ?, result = ?, snapshot = NULL WHERE {_KEY} AND closed_at IS NULL RETURNING *"""
_CLOSE_GUARDS = """
UPDATE guards SET closed_at = ?
 WHERE connection = ? AND guard IN (SELECT value FROM json_each(?)) AND intent_id = ?"""
_ITS_MAPPING = """(source, entity_type, entity_id, connection)
       = (SELECT source, entity_type, entity_id, connection FROM intents WHERE intent_id = ?)"""
_NOT_COMING = f"""
DELETE FROM mappings WHERE status = 'intended' AND provider_entity_id IS NULL
   AND {_ITS_MAPPING}"""
_DEAD_AGAIN = f"""
UPDATE mappings SET status = 'stale', updated_at = ? WHERE status = 'intended'
   AND {_ITS_MAPPING}"""
_LOOKED = "UPDATE intents SET looked_at = ? WHERE intent_id = ? AND closed_at IS NULL"
_REFUSED = "UPDATE intents SET refused_at = ?, looked_at = NULL WHERE intent_id = ? AND closed_at IS NULL"


def open_intent(db: sqlite3.Connection, mapping: MappingKey) -> Intent | None:
    """Return the open intent of a mapping, or None."""
    key = values.key(mapping)
    row = db.execute(_OPEN, key).fetchone()
    if row is None:
        return None
    return rows.intent(row, lost_before=db.execute(_LOST, (*key, row["epoch"])).fetchone()[0])


def close_intent(db: sqlite3.Connection, intent_id: str, result: str, now: datetime) -> MappingKey | None:
    """Close an intent: its outcome is known. The customer's data in it is dropped. A closed one stays as it is.

    Return whose it was, None when it was closed before. A mapping has one open intent at most.
    """
    at = micros(now)
    return _close_guards(db, db.execute(_CLOSE, (at, result, intent_id)).fetchone(), at)


def close_open_intent(db: sqlite3.Connection, mapping: MappingKey, result: str, now: datetime) -> None:
    """Close whatever intent of a mapping is open."""
    at = micros(now)
    _close_guards(db, db.execute(_CLOSE_OPEN, (at, result, *values.key(mapping))).fetchone(), at)


def _close_guards(db: sqlite3.Connection, closed: rows.Row | None, at: int) -> MappingKey | None:
    if closed is None:
        return None
    if rows.intent_guards(closed):
        db.execute(_CLOSE_GUARDS, (at, closed["connection"], closed["guards"], closed["intent_id"]))
    return rows.mapping_key(closed)


def nothing_is_coming(db: sqlite3.Connection, intent_id: str, now: datetime) -> None:
    """Take away the mapping that was only intended: its create has ended in nothing.

    One that was to replace a dead record is about that one again.
    """
    db.execute(_NOT_COMING, (intent_id,))
    db.execute(_DEAD_AGAIN, (micros(now), intent_id))


def mark_looked(db: sqlite3.Connection, intent_id: str, now: datetime) -> None:
    """Note that a complete look-up, ending now, has found nothing of this intent."""
    db.execute(_LOOKED, (micros(now), intent_id))


def assert_free(db: sqlite3.Connection, mapping: MappingKey, guards: Sequence[str], since: datetime) -> None:
    """Raise GuardBusyError while a create for an equal customer is open, or when one has ended since `since`."""
    asked = (mapping.connection, array(guards), micros(since), *values.key(mapping)[:3])
    if guards and db.execute(_BUSY, asked).fetchone() is not None:
        raise GuardBusyError


class Intents:
    """The part of the store that deals with creates under way."""

    _db: Database

    async def begin_intent(self, new: NewIntent, *, job_id: str, fence: int) -> Intent:
        """Commit that a create is about to be sent, before its first byte; the mapping becomes `intended`.

        The idempotency key is made here from `new.seed`, the epoch, the variant and the count of creates before, so
        that no two creates share one. Raises LeaseLostError when another worker has the job. Raises GuardBusyError when
        a create for an equal customer is open, or has ended since `new.searched_since`, when this job began to look.
        Raises ConflictError when the mapping was linked meanwhile, or has an open intent that `new` does not replace.
        """

        def work(db: sqlite3.Connection) -> Intent:
            if db.execute(_HELD, (job_id, fence)).fetchone() is None:
                raise LeaseLostError
            return _begin(db, new)

        return await self._db.write(work)

    async def refuse_intent(self, intent_id: str, *, now: datetime) -> None:
        """Note that the provider refused this create: its name is taken. It stays open while the holder is sought."""
        await self._db.write(lambda db: db.execute(_REFUSED, (micros(now), intent_id)).rowcount)


def _begin(db: sqlite3.Connection, new: NewIntent) -> Intent:
    key, at = values.key(new.key), micros(new.started_at)
    if new.replaces is not None:
        close_intent(db, new.replaces, new.replaces_result, new.started_at)
    assert_free(db, new.key, new.guards, new.searched_since)
    if new.guards:
        db.execute(_GUARD, (new.key.connection, new.intent_id, array(list(set(new.guards)))))
    epoch, before, lost = db.execute(_BEFORE, (*key, new.variant)).fetchone()
    attempt = before + 1
    idempotency_key = ids.idempotency_key(new.seed, epoch=epoch, variant=new.variant, attempt=attempt)
    intended = (*key, new.connector, new.tenant_id, new.environment_id, epoch, at, at)
    if db.execute(_INTEND, intended).rowcount == 0:
        raise ConflictError("the mapping was linked meanwhile")
    made = values.intent(new, idempotency_key=idempotency_key, epoch=epoch, attempt=attempt)
    return rows.intent(db.execute(_INSERT, made).fetchone(), lost_before=lost)
