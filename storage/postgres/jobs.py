"""Jobs as people see them: looked up, listed, retried, cancelled; and how many wait."""

from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.postgres.connection import Session, columns
from storage.postgres.database import Database
from storage.postgres.rollup import lock_delivery, roll_up
from storage.postgres.searching import JOBS, newest
from storage.postgres.timeline import JOB_AT, SLACK
from storage.postgres.where import Where
from storage.records import EVERYWHERE, Attempt, Backlog, Job, JobStatus, NewJob, Page, Scope
from storage.scalars import micros, moment_or_none

_INSERT = """
INSERT INTO jobs (job_id, kind, source, tenant_id, environment_id, gate, lock_key, delivery_id, connection,
                  entity_type, entity_id, subject, payload, dispatch, status, next_attempt_at, created_at, updated_at)
SELECT job_id, kind, source, tenant_id, environment_id, gate, lock_key, delivery_id, connection, entity_type, entity_id,
       subject, payload, dispatch, 'pending', due_at, created_at, updated_at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[],
              $16::bigint[], $17::bigint[]) WITH ORDINALITY
       AS n (job_id, kind, source, tenant_id, environment_id, gate, lock_key, delivery_id, connection, entity_type,
             entity_id, subject, payload, dispatch, due_at, created_at, updated_at, place)
 ORDER BY place"""
_ATTEMPTS = "SELECT * FROM attempts WHERE job_id = $1 ORDER BY number"
_RETRY = """
UPDATE jobs SET status = 'pending', outcome = NULL, failures = 0, next_attempt_at = $1, parked_at = NULL,
                updated_at = $1
 WHERE job_id = $2"""
_CANCEL = """
UPDATE jobs SET status = 'cancelled', outcome = 'cancelled', reason = $3, next_attempt_at = NULL, parked_at = NULL,
                updated_at = $1
 WHERE job_id = $2"""
_END_REVIEW = """
UPDATE reviews SET status = 'resolved', decision = $3, resolved_at = $1 WHERE job_id = $2 AND status = 'open'"""
_UNDISPATCHED = """
SELECT count(*) FROM deliveries
 WHERE status = 'pending' AND status NOT IN ('processed', 'ignored') AND dispatched = 0"""
_BY_STATUS = "SELECT status, count(*) FROM jobs WHERE status NOT IN ('succeeded', 'cancelled') GROUP BY status"
# One look-up for each gate, however much waits behind it.
_OLDEST = """
WITH RECURSIVE gates (gate) AS (
    SELECT min(gate) FROM jobs WHERE status = 'pending'
    UNION ALL
    SELECT (SELECT min(gate) FROM jobs WHERE status = 'pending' AND gate > gates.gate)
      FROM gates WHERE gate IS NOT NULL)
SELECT min((SELECT min(next_attempt_at) FROM jobs WHERE status = 'pending' AND gate = gates.gate))
  FROM gates WHERE gate IS NOT NULL"""
_REVIEWS = "SELECT count(*) FROM reviews WHERE status = 'open'"


async def insert_jobs(db: Session, jobs: Sequence[tuple[NewJob, int]], now: datetime) -> None:
    """Insert jobs that wait, each with the count of its delivery's replays when it was decided upon."""
    if jobs:
        await db.execute(_INSERT, *columns([values.job(job, dispatch=dispatch, now=now) for job, dispatch in jobs], 17))


class Jobs:
    """The part of the store that shows and steers jobs."""

    _db: Database

    async def add_job(self, job: NewJob, *, now: datetime) -> None:
        """Queue a job that no delivery asked for. Raises ConflictError when there is one with this id."""
        await self._db.run(lambda db: insert_jobs(db, [(job, 0)], now), rings=True)

    async def get_job(self, job_id: str, scope: Scope = EVERYWHERE) -> Job:
        """Return a job. Raises NotFoundError."""
        return await self._db.run(lambda db: _one(db, job_id, scope))

    async def list_attempts(self, job_id: str, scope: Scope = EVERYWHERE) -> Sequence[Attempt]:
        """Return a job's attempts, oldest first. Raises NotFoundError when there is no such job in the scope."""

        async def work(db: Session) -> list[Attempt]:
            await _one(db, job_id, scope)
            return [rows.attempt(row) for row in await db.rows(_ATTEMPTS, job_id)]

        return await self._db.read(work)

    async def list_jobs(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: JobStatus | None = None,
        connection: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        delivery_id: str | None = None,
        entity_id: str | None = None,
        error_code: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        about: Sequence[str] | None = None,
    ) -> Page[Job]:
        """Return jobs, newest first; `since` and `until` are about when they were queued. `about`: see JobStore."""
        where = Where(scope)
        open_status = status is not None and status not in (JobStatus.SUCCEEDED, JobStatus.CANCELLED)
        if open_status:
            where.equal("status", status)
            where.add("status NOT IN ('succeeded', 'cancelled')")
        for column, wanted in (("delivery_id", delivery_id), ("entity_id", entity_id), ("error_code", error_code)):
            where.equal(column, wanted)
        if since is not None:
            where.add("created_at >= ?", micros(since))
            where.add(f"number >= {JOB_AT}", micros(since - SLACK))
        if until is not None:
            where.add("created_at < ?", micros(until))
            where.add(f"number < {JOB_AT}", micros(until + SLACK))
        if cursor is not None:
            where.add("number < ?", cursors.decode_number(cursor))
        sieve = where.beside()
        sieve.equal("status", None if open_status else status)
        for column, wanted in (("connection", connection), ("kind", kind), ("source", source)):
            sieve.equal(column, wanted)
        found, looked_to = await (self._db.read if sieve else self._db.run)(
            lambda db: newest(db, "jobs", where, sieve, places=JOBS, about=about, limit=cursors.bounded(limit) + 1)
        )
        return cursors.page(found, limit, rows.job, "number", looked_to=looked_to)

    async def retry_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> Job:
        """Make a job due at once and give it a whole retry schedule again. Raises NotFoundError, ConflictError."""
        refused = (JobStatus.RUNNING, JobStatus.SUCCEEDED)
        change = (_RETRY, micros(now), job_id)
        return await self._db.write(
            lambda db: _steer(db, job_id, scope, refused=refused, change=change, answer=(micros(now), job_id, "retry"))
        )

    async def cancel_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime, reason: str) -> Job:
        """End a job that waits, has failed or is under review. Raises NotFoundError, ConflictError.

        A job with an open intent may have created a record: its mapping stays `intended`.
        """
        refused = (JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.CANCELLED)
        change = (_CANCEL, micros(now), job_id, reason)
        return await self._db.write(
            lambda db: _steer(db, job_id, scope, refused=refused, change=change, answer=(micros(now), job_id, "ignore"))
        )

    async def backlog(self) -> Backlog:
        """Return how much waits, and since when."""

        async def work(db: Session) -> Backlog:
            return Backlog(
                deliveries=await db.value(_UNDISPATCHED),
                jobs={row["status"]: row["count"] for row in await db.rows(_BY_STATUS)},
                reviews=await db.value(_REVIEWS),
                oldest_due_at=moment_or_none(await db.value(_OLDEST)),
            )

        return await self._db.read(work)


async def _one(db: Session, job_id: str, scope: Scope, *, lock: bool = False) -> Job:
    where = Where(scope)
    where.add("job_id = ?", job_id)
    row = await db.row(f"SELECT * FROM jobs{where}{' FOR UPDATE' if lock else ''}", *where.values)
    if row is None:
        raise NotFoundError
    return rows.job(row)


async def _steer(
    db: Session,
    job_id: str,
    scope: Scope,
    *,
    refused: Sequence[JobStatus],
    change: tuple[str, *tuple[object, ...]],
    answer: Sequence[object],
) -> Job:
    """Change a job that is in none of the refused states, and answer its open review."""
    job = await _one(db, job_id, scope, lock=True)
    if job.status in refused:
        msg = f"the job is {job.status}"
        raise ConflictError(msg)
    if job.delivery_id is not None:
        await lock_delivery(db, job.delivery_id)
    await db.execute(*change)
    await db.execute(_END_REVIEW, *answer)
    if job.delivery_id is not None:
        await roll_up(db, job.delivery_id)
    return await _one(db, job_id, scope)
