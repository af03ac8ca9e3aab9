"""Intents: creates that are about to be sent, and those whose outcome is not known yet."""

from collections.abc import Sequence
from datetime import datetime

from storage import ids, rows, values
from storage.errors import ConflictError, GuardBusyError, LeaseLostError
from storage.limits import CLOCK_SKEW
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.records import Intent, MappingKey, NewIntent
from storage.scalars import micros

_KEY = "source = $1 AND entity_type = $2 AND entity_id = $3 AND connection = $4"
_LOST = f"SELECT count(*) FROM intents WHERE {_KEY} AND epoch = $5 AND result = 'absent'"
_HELD = "SELECT 1 FROM jobs WHERE job_id = $1 AND fence = $2 AND status = 'running' FOR UPDATE"
# Locks the guards, in one order for all nodes, and changes none that is there: only then can be seen who has them.
_LOCK_GUARDS = """
INSERT INTO guards (connection, guard, intent_id)
SELECT $1, g.guard, $3 FROM unnest($2::text[]) AS g (guard) ORDER BY g.guard
ON CONFLICT (connection, guard) DO UPDATE SET intent_id = guards.intent_id"""
_BUSY = """
SELECT 1 FROM guards g JOIN intents i USING (intent_id)
 WHERE g.connection = $1 AND g.guard = ANY($2::text[]) AND (g.closed_at IS NULL OR g.closed_at >= $3)
   AND NOT (i.source = $4 AND i.entity_type = $5 AND i.entity_id = $6) LIMIT 1"""
_TAKE_GUARDS = """
UPDATE guards SET intent_id = $3, closed_at = NULL WHERE connection = $1 AND guard = ANY($2::text[])"""
_EPOCH = f"""
SELECT greatest((SELECT coalesce(max(epoch) + 1, 0) FROM intents
                  WHERE {_KEY} AND result IN ('created', 'operator', 'unlinked')),
                coalesce((SELECT epoch FROM mappings WHERE {_KEY}), 0))"""
_BEFORE = f"SELECT count(*) FROM intents WHERE {_KEY} AND epoch = $5 AND variant = $6"
_INTEND = """
INSERT INTO mappings (source, entity_type, entity_id, connection, connector, tenant_id, environment_id, status, epoch,
                      created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'intended', $8, $9, $9)
ON CONFLICT (source, entity_type, entity_id, connection) DO UPDATE SET
    status = 'intended', epoch = excluded.epoch, updated_at = excluded.updated_at
 WHERE mappings.status <> 'linked'"""
_INSERT = """
INSERT INTO intents (intent_id, source, entity_type, entity_id, connection, idempotency_key, epoch, variant, attempt,
                     snapshot, digest, guards, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING *"""
_CLOSE = """
UPDATE intents SET closed_at = $1, result = $2, snapshot = NULL
 WHERE intent_id = $3 AND closed_at IS NULL RETURNING intent_id, connection, guards"""
_CLOSE_OPEN = f"""
UPDATE intents SET closed_at = $5, result = $6, snapshot = NULL
 WHERE {_KEY} AND closed_at IS NULL RETURNING intent_id, connection, guards"""
_CLOSE_GUARDS = """
UPDATE guards SET closed_at = $1 WHERE connection = $2 AND guard = ANY($3::text[]) AND intent_id = $4"""
_LOOKED = "UPDATE intents SET looked_at = $1 WHERE intent_id = $2 AND closed_at IS NULL"
_ITS_MAPPING = """(source, entity_type, entity_id, connection)
       = (SELECT source, entity_type, entity_id, connection FROM intents WHERE intent_id = $1)"""
_NOT_COMING = f"""
DELETE FROM mappings WHERE status = 'intended' AND provider_entity_id IS NULL
   AND {_ITS_MAPPING}"""
_DEAD_AGAIN = f"""
UPDATE mappings SET status = 'stale', updated_at = $2 WHERE status = 'intended'
   AND {_ITS_MAPPING}"""
_REFUSED = "UPDATE intents SET refused_at = $1, looked_at = NULL WHERE intent_id = $2 AND closed_at IS NULL"


async def close_intent(db: Session, intent_id: str, result: str, now: datetime) -> None:
    """Close an intent: its outcome is known. The customer's data in it is dropped. A closed one stays as it is."""
    await _close_guards(db, await db.row(_CLOSE, micros(now), result, intent_id), now)


async def close_open_intent(db: Session, mapping: MappingKey, result: str, now: datetime) -> None:
    """Close whatever intent of a mapping is open."""
    await _close_guards(db, await db.row(_CLOSE_OPEN, *values.key(mapping), micros(now), result), now)


async def nothing_is_coming(db: Session, intent_id: str, now: datetime) -> None:
    """Take away the mapping that was only intended: its create has ended in nothing.

    One that was to replace a dead record is about that one again.
    """
    await db.execute(_NOT_COMING, intent_id)
    await db.execute(_DEAD_AGAIN, intent_id, micros(now))


async def mark_looked(db: Session, intent_id: str, now: datetime) -> None:
    """Note that a complete look-up, ending now, has found nothing of this intent."""
    await db.execute(_LOOKED, micros(now), intent_id)


async def assert_free(db: Session, mapping: MappingKey, guards: Sequence[str], since: datetime) -> None:
    """Raise GuardBusyError while a create for an equal customer is open, or when one has ended since `since`.

    What another node has noted is by its own clock, which may be behind.
    """
    since_at = micros(since - CLOCK_SKEW)
    if guards and await db.row(_BUSY, mapping.connection, list(guards), since_at, *values.key(mapping)[:3]) is not None:
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

        async def work(db: Session) -> Intent:
            if await db.row(_HELD, job_id, fence) is None:
                raise LeaseLostError
            return await _begin(db, new)

        return await self._db.write(work, rings=False)

    async def refuse_intent(self, intent_id: str, *, now: datetime) -> None:
        """Note that the provider refused this create: its name is taken. It stays open while the holder is sought."""
        await self._db.run(lambda db: db.execute(_REFUSED, micros(now), intent_id))


async def _begin(db: Session, new: NewIntent) -> Intent:
    key, at = values.key(new.key), micros(new.started_at)
    if new.replaces is not None:
        await close_intent(db, new.replaces, new.replaces_result, new.started_at)
    if new.guards:
        wanted = (new.key.connection, sorted(set(new.guards)), new.intent_id)
        await db.execute(_LOCK_GUARDS, *wanted)
        await assert_free(db, new.key, new.guards, new.searched_since)
        await db.execute(_TAKE_GUARDS, *wanted)
    epoch = await db.value(_EPOCH, *key)
    attempt = await db.value(_BEFORE, *key, epoch, new.variant) + 1
    idempotency_key = ids.idempotency_key(new.seed, epoch=epoch, variant=new.variant, attempt=attempt)
    if await db.execute(_INTEND, *key, new.connector, new.tenant_id, new.environment_id, epoch, at) == 0:
        raise ConflictError("the mapping was linked meanwhile")
    row = await db.row(_INSERT, *values.intent(new, idempotency_key=idempotency_key, epoch=epoch, attempt=attempt))
    if row is None:
        raise ConflictError
    return rows.intent(row, lost_before=await db.value(_LOST, *key, epoch))


async def _close_guards(db: Session, closed: rows.Row | None, now: datetime) -> None:
    if closed is None:
        return
    guards = rows.intent_guards(closed)
    if guards:
        await db.execute(_CLOSE_GUARDS, micros(now), closed["connection"], list(guards), closed["intent_id"])
