"""Jobs as people see them: looked up, listed, retried, cancelled; and how many wait."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.records import EVERYWHERE, Attempt, Backlog, Job, JobStatus, NewJob, Page, Scope
from storage.scalars import micros, moment_or_none
from storage.sqlite import timeline
from storage.sqlite.database import Database
from storage.sqlite.rollup import roll_up
from storage.sqlite.searching import JOBS, newest
from storage.sqlite.timeline import SLACK, number_at
from storage.sqlite.together import Insert
from storage.sqlite.where import Where

_INSERT = """
INSERT INTO jobs (job_id, kind, source, tenant_id, environment_id, gate, lock_key, delivery_id, connection,
                  entity_type, entity_id, subject, payload, dispatch, status, next_attempt_at, created_at, updated_at)
VALUES {rows}"""
_insert = Insert(_INSERT, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)")
_ATTEMPTS = "SELECT * FROM attempts WHERE job_id = ? ORDER BY number"
_RETRY = """
UPDATE jobs SET status = 'pending', outcome = NULL, failures = 0, next_attempt_at = ?, parked_at = NULL, updated_at = ?
 WHERE job_id = ?"""
_CANCEL = """
UPDATE jobs SET status = 'cancelled', outcome = 'cancelled', reason = ?, next_attempt_at = NULL, parked_at = NULL,
                updated_at = ?
 WHERE job_id = ?"""
_END_REVIEW = """
UPDATE reviews SET status = 'resolved', decision = ?, resolved_at = ? WHERE job_id = ? AND status = 'open'"""
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


def insert_jobs(db: sqlite3.Connection, jobs: Sequence[tuple[NewJob, int]], now: datetime) -> None:
    """Insert jobs that wait, each with the count of its delivery's replays when it was decided upon."""
    _insert(db, [values.job(job, dispatch=dispatch, now=now) for job, dispatch in jobs])


class Jobs:
    """The part of the store that shows and steers jobs."""

    _db: Database

    async def add_job(self, job: NewJob, *, now: datetime) -> None:
        """Queue a job that no delivery asked for. Raises ConflictError when there is one with this id."""
        await self._db.write(lambda db: insert_jobs(db, [(job, 0)], now))

    async def get_job(self, job_id: str, scope: Scope = EVERYWHERE) -> Job:
        """Return a job. Raises NotFoundError."""
        where = Where(scope)
        where.add("job_id = ?", job_id)
        return await self._db.read(lambda db: _one(db, where))

    async def list_attempts(self, job_id: str, scope: Scope = EVERYWHERE) -> Sequence[Attempt]:
        """Return a job's attempts, oldest first. Raises NotFoundError when there is no such job in the scope."""
        where = Where(scope)
        where.add("job_id = ?", job_id)

        def work(db: sqlite3.Connection) -> list[Attempt]:
            _one(db, where)
            return [rows.attempt(row) for row in db.execute(_ATTEMPTS, (job_id,))]

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
        open_status = status is not None and status not in (JobStatus.SUCCEEDED, JobStatus.CANCELLED)
        narrower = delivery_id or entity_id or error_code or about is not None
        where = Where(scope, narrowed=bool(narrower) or open_status)
        sieve = Where()
        if open_status:
            where.equal("+status" if narrower else "status", status)
            where.add("status NOT IN ('succeeded', 'cancelled')")
        else:
            sieve.equal("status", status)
        where.equal("delivery_id" if about is None else "+delivery_id", delivery_id)
        where.equal("+entity_id" if delivery_id or about is not None else "entity_id", entity_id)
        where.equal("+error_code" if delivery_id or entity_id or about is not None else "error_code", error_code)
        for column, wanted in (("connection", connection), ("kind", kind), ("source", source)):
            sieve.equal(column, wanted)
        if since is not None:
            where.add("created_at >= ?", micros(since))
        if until is not None:
            where.add("created_at < ?", micros(until))
        if cursor is not None:
            where.add("number < ?", cursors.decode_number(cursor))

        def work(db: sqlite3.Connection) -> tuple[list[sqlite3.Row], int | None]:
            if since is not None:
                where.add("number >= ?", number_at(db, since - SLACK, timeline.JOBS))
            if until is not None:
                where.add("number < ?", number_at(db, until + SLACK, timeline.JOBS))
            return newest(db, "jobs", where, sieve, places=JOBS, about=about, limit=cursors.bounded(limit) + 1)

        found, looked_to = await self._db.read(work, slow=True)
        return cursors.page(found, limit, rows.job, "number", looked_to=looked_to)

    async def retry_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> Job:
        """Make a job due at once and give it a whole retry schedule again. Raises NotFoundError, ConflictError."""
        where = Where(scope)
        where.add("job_id = ?", job_id)
        at = micros(now)

        def work(db: sqlite3.Connection) -> Job:
            job = _one(db, where)
            _refuse(job, JobStatus.RUNNING, JobStatus.SUCCEEDED)
            db.execute(_RETRY, (at, at, job_id))
            db.execute(_END_REVIEW, ("retry", at, job_id))
            if job.delivery_id is not None:
                roll_up(db, job.delivery_id)
            return _one(db, where)

        return await self._db.write(work)

    async def cancel_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime, reason: str) -> Job:
        """End a job that waits, has failed or is under review. Raises NotFoundError, ConflictError.

        A job with an open intent may have created a record: its mapping stays `intended`.
        """
        where = Where(scope)
        where.add("job_id = ?", job_id)
        at = micros(now)

        def work(db: sqlite3.Connection) -> Job:
            job = _one(db, where)
            _refuse(job, JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.CANCELLED)
            db.execute(_CANCEL, (reason, at, job_id))
            db.execute(_END_REVIEW, ("ignore", at, job_id))
            if job.delivery_id is not None:
                roll_up(db, job.delivery_id)
            return _one(db, where)

        return await self._db.write(work)

    async def backlog(self) -> Backlog:
        """Return how much waits, and since when."""

        def work(db: sqlite3.Connection) -> Backlog:
            return Backlog(
                deliveries=db.execute(_UNDISPATCHED).fetchone()[0],
                jobs={row[0]: row[1] for row in db.execute(_BY_STATUS)},
                reviews=db.execute(_REVIEWS).fetchone()[0],
                oldest_due_at=moment_or_none(db.execute(_OLDEST).fetchone()[0]),
            )

        return await self._db.read(work, slow=True)


def _one(db: sqlite3.Connection, where: Where) -> Job:
    row = db.execute(f"SELECT * FROM jobs{where}", where.values).fetchone()
    if row is None:
        raise NotFoundError
    return rows.job(row)


def _refuse(job: Job, *states: JobStatus) -> None:
    if job.status in states:
        msg = f"the job is {job.status}"
        raise ConflictError(msg)
