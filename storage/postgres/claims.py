"""Jobs on lease: claimed under a fence, kept, handed back, and taken from workers that have gone."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from storage import rows, values
from storage.postgres.budgets import allowed, give_back_probe
from storage.postgres.connection import Session, columns
from storage.postgres.database import Database
from storage.postgres.driver import AVOIDABLE
from storage.postgres.parking import call_next
from storage.records import Claimed, EntityMapping, Intent, Job, MappingStatus
from storage.rows import Row
from storage.scalars import micros, moment_or_none

# The jobs of workers that are just settling are locked, and left to them.
_GIVE_BACK = """
WITH gone AS (
    SELECT number, lease_owner FROM jobs WHERE status = 'running' AND lease_until <= $1 FOR UPDATE SKIP LOCKED),
back AS (
    UPDATE jobs j SET status = 'pending', attempts = attempts + 1, lease_owner = NULL, lease_until = NULL,
                      next_attempt_at = $1, updated_at = $1
      FROM gone WHERE j.number = gone.number
    RETURNING j.job_id, j.attempts, coalesce(j.claimed_at, $1) AS begun, coalesce(gone.lease_owner, '') AS worker)
INSERT INTO attempts (job_id, number, started_at, finished_at, outcome, worker)
SELECT job_id, attempts, begun, $1, 'lease_expired', worker FROM back"""
# Takes the first of each lock key that is free, and parks the others (storage/postgres/parking.py). Where the holder of
# a key is being settled at this moment, its row is locked: those who wait for it are left alone until the next claim.
_CLAIM = """
WITH room AS (
    SELECT r.gate, r.free FROM unnest($1::text[], $2::bigint[]) AS r (gate, free)
      LEFT JOIN connections c ON c.name = r.gate
     WHERE r.free > 0 AND (c.name IS NULL OR c.status = 'active')),
due AS (
    SELECT d.*, room.gate, room.free
      FROM room CROSS JOIN LATERAL (
        SELECT j.number, j.lock_key, j.next_attempt_at FROM jobs j
         WHERE j.status = 'pending' AND j.gate = room.gate AND j.next_attempt_at <= $3
         ORDER BY j.next_attempt_at, j.number LIMIT room.free * 2 + 8
         FOR UPDATE OF j SKIP LOCKED) d),
held AS (
    SELECT lock_key FROM jobs WHERE status = 'running' AND lock_key IN (SELECT lock_key FROM due)),
holders AS (
    SELECT lock_key, lease_until FROM jobs WHERE status = 'running' AND lock_key IN (SELECT lock_key FROM held)
       FOR SHARE SKIP LOCKED),
firsts AS (
    SELECT DISTINCT ON (lock_key) number, lock_key, gate, free, next_attempt_at FROM due
     WHERE lock_key NOT IN (SELECT lock_key FROM held) ORDER BY lock_key, next_attempt_at, number),
placed AS (
    SELECT number, lock_key, free, row_number() OVER (PARTITION BY gate ORDER BY next_attempt_at, number) AS place
      FROM firsts),
chosen AS (
    SELECT number, lock_key FROM placed WHERE place <= free),
parked AS (
    UPDATE jobs j SET parked_at = coalesce(j.parked_at, j.next_attempt_at), next_attempt_at = w.until
      FROM (SELECT due.number, holders.lease_until AS until FROM due JOIN holders USING (lock_key)
            UNION ALL
            SELECT due.number, $5 FROM due JOIN chosen USING (lock_key) WHERE due.number <> chosen.number) w
     WHERE j.number = w.number RETURNING 1),
taken AS (
    UPDATE jobs j SET status = 'running', fence = fence + 1, lease_owner = $4, lease_until = $5, claimed_at = $3,
                      updated_at = $3, next_attempt_at = coalesce(j.parked_at, j.next_attempt_at), parked_at = NULL
      FROM chosen WHERE j.number = chosen.number
    RETURNING j.*)
SELECT taken.*, p.parked FROM (SELECT count(*) AS parked FROM parked) p LEFT JOIN taken ON true
 ORDER BY taken.next_attempt_at, taken.number"""
_MAPPINGS = """
SELECT m.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (source, entity_type, entity_id, connection)
  JOIN mappings m USING (source, entity_type, entity_id, connection)"""
_INTENTS = """
SELECT i.*, (SELECT count(*) FROM intents l
              WHERE l.source = i.source AND l.entity_type = i.entity_type AND l.entity_id = i.entity_id
                AND l.connection = i.connection AND l.epoch = i.epoch AND l.result = 'absent') AS lost
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k (source, entity_type, entity_id, connection)
  JOIN intents i USING (source, entity_type, entity_id, connection) WHERE i.closed_at IS NULL"""
_DONE_BEFORE = """
SELECT k.job_id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
                     AS k (job_id, subject, connection, kind, source)
 WHERE EXISTS (SELECT 1 FROM jobs j
                WHERE j.subject = k.subject AND j.connection = k.connection AND j.kind = k.kind
                  AND j.status = 'succeeded' AND j.outcome = 'done' AND j.source = k.source AND j.job_id <> k.job_id
                  AND j.delivery_id IS NOT NULL)"""
_HELD = """
  FROM unnest($1::text[], $2::bigint[]) AS h (job_id, fence)
 WHERE j.job_id = h.job_id AND j.fence = h.fence AND j.status = 'running' AND j.lease_owner = $3"""
_EXTEND = f"UPDATE jobs j SET lease_until = $4 {_HELD} RETURNING j.job_id"
_RELEASE = f"""
UPDATE jobs j SET status = 'pending', lease_owner = NULL, lease_until = NULL, next_attempt_at = $4, updated_at = $4
{_HELD} RETURNING j.lock_key"""
_NEXT = """
SELECT min(at) FROM (
    SELECT min(lease_until) AS at FROM jobs WHERE status = 'running'
    UNION ALL
    SELECT (SELECT min(next_attempt_at) FROM jobs
             WHERE status = 'pending' AND gate = g.gate AND next_attempt_at > $2)
      FROM unnest($1::text[]) AS g (gate)
    UNION ALL
    SELECT min(claimed_until) FROM deliveries
     WHERE status = 'pending' AND status NOT IN ('processed', 'ignored') AND dispatched = 0 AND claimed_until > 0
    UNION ALL
    SELECT min(greatest(held_until, open_until, probe_until)) FROM circuits
     WHERE connection = ANY($1::text[]) AND greatest(held_until, open_until, probe_until) > $2) times"""
MAX_LOOKS = 16
"""How often one claim looks on, past jobs that had to be parked, before it leaves the rest to the next claim."""
Keys = list[tuple[str, str, str, str]]


class Claims:
    """The part of the store that deals with jobs on lease."""

    _db: Database

    async def claim_jobs(
        self, room: Mapping[str, int], *, owner: str, now: datetime, lease: timedelta
    ) -> Sequence[Claimed]:
        """Take due jobs, up to `room[gate]` for each gate; jobs with a lock key that is running elsewhere wait.

        Jobs of a paused or removed connection are not taken. Leases that have ended are given back first.
        """
        at, until = micros(now), micros(now + lease)

        async def work(db: Session) -> list[Claimed]:
            await db.execute(_GIVE_BACK, at)
            free, probes = await allowed(db, room, now, until=now + lease)
            taken = await _claim(db, free, at, owner, until)
            for gate in probes - {row["gate"] for row in taken}:
                await give_back_probe(db, gate, until=now + lease)
            return await _with_subjects(db, taken)

        return await self._db.run(work)

    async def extend_leases(self, held: Mapping[str, int], *, owner: str, until: datetime) -> set[str]:
        """Keep the leases of running jobs (id → fence); return the ids that were lost to another worker."""
        if not held:
            return set()
        bound = (list(held), list(held.values()), owner, micros(until))
        kept = await self._db.run(lambda db: db.rows(_EXTEND, *bound))
        return set(held) - {row["job_id"] for row in kept}

    async def release_jobs(self, held: Mapping[str, int], *, owner: str, now: datetime) -> None:
        """Hand back jobs that were claimed and not begun, or whose attempt was stopped: they are due at once."""
        if held:
            bound = (list(held), list(held.values()), owner, micros(now))
            await self._db.write(lambda db: _release(db, bound))

    async def next_due(self, gates: Sequence[str], *, after: datetime) -> datetime | None:
        """Return when the next job of these gates falls due, later than `after`, or a lease ends; None for never.

        A lease that has ended by `after` is returned too: its job can be had at once. The end of a claim on deliveries
        counts as well, and the moment at which a circuit of these gates lets a job begin.
        """
        return moment_or_none(await self._db.run(lambda db: db.value(_NEXT, list(gates), micros(after))))


async def _claim(db: Session, room: Mapping[str, int], at: int, owner: str, until: int) -> list[Row]:
    """Take jobs. Where others had to be parked, look on; where another node was first by a moment, look again."""
    free, taken = dict(room), list[Row]()
    for _ in range(MAX_LOOKS):
        try:
            found = await db.rows(_CLAIM, list(free), list(free.values()), at, owner, until)
        except AVOIDABLE:
            continue
        for row in found:
            if row["number"] is not None:
                taken.append(row)
                free[row["gate"]] -= 1
        if not found[0]["parked"]:
            break
    return taken


async def _release(db: Session, held: Sequence[object]) -> None:
    freed = await db.rows(_RELEASE, *held)
    if freed:
        await call_next(db, [row["lock_key"] for row in freed])


async def _with_subjects(db: Session, claimed: Sequence[Row]) -> list[Claimed]:
    """Look up, for all jobs together, what is known about their subjects."""
    jobs = [rows.job(row) for row in claimed]
    keys = {job.job_id: _key(job) for job in jobs if job.entity_id is not None and job.connection is not None}
    mappings = await _mappings(db, list(keys.values()))
    unlinked = [key for key, mapping in mappings.items() if mapping.status is not MappingStatus.LINKED]
    intents = await _intents(db, unlinked)
    done = await _done_before(db, jobs)
    return [
        Claimed(
            job=job, mapping=mappings.get(_key(job)), intent=intents.get(_key(job)), done_before=job.job_id in done
        )
        for job in jobs
    ]  # fmt: skip


def _key(job: Job) -> tuple[str, str, str, str]:
    return job.source, job.entity_type, job.entity_id or "", job.connection or ""


async def _mappings(db: Session, keys: Keys) -> dict[tuple[str, str, str, str], EntityMapping]:
    found = await db.rows(_MAPPINGS, *columns(keys, 4)) if keys else []
    return {values.key(mapping.key): mapping for mapping in map(rows.mapping, found)}


async def _intents(db: Session, keys: Keys) -> dict[tuple[str, str, str, str], Intent]:
    found = await db.rows(_INTENTS, *columns(keys, 4)) if keys else []
    return {values.key(intent.key): intent for intent in (rows.intent(row, lost_before=row["lost"]) for row in found)}


async def _done_before(db: Session, jobs: Sequence[Job]) -> set[str]:
    asked = [
        (job.job_id, job.subject, job.connection, job.kind, job.source)
        for job in jobs
        if job.subject is not None and job.connection is not None
    ]
    return {row["job_id"] for row in await db.rows(_DONE_BEFORE, *columns(asked, 5))} if asked else set()
