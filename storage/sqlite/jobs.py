"""Jobs: claimed under lease and fence, settled in one transaction, retried and cancelled by people, listed."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from storage.errors import ConflictError, LeaseLostError, NotFoundError
from storage.records import (
    EVERYWHERE,
    Attempt,
    Backlog,
    Claimed,
    Job,
    JobStatus,
    MappingStatus,
    NewJob,
    Page,
    Scope,
    SeenCustomer,
    Settlement,
)
from storage.sqlite import rows
from storage.sqlite.database import Database
from storage.sqlite.mappings import close_intent, link, mark_looked, mark_stale, open_intent, read_mapping
from storage.sqlite.reviews import insert_review
from storage.sqlite.rollup import roll_up

_INSERT = """
INSERT INTO jobs (job_id, kind, source, tenant_id, environment_id, gate, lock_key, delivery_id, connection,
                  entity_type, entity_id, subject, payload, status, next_attempt_at, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)"""
_EXPIRED = "SELECT * FROM jobs WHERE status = 'running' AND lease_until <= ?"
_DUE = """
SELECT job_id, lock_key FROM jobs j
 WHERE status = 'pending' AND gate = :gate AND next_attempt_at <= :now
   AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.status = 'running' AND r.lock_key = j.lock_key)
 ORDER BY next_attempt_at, job_id LIMIT :limit"""
_TAKE = """
UPDATE jobs SET status = 'running', fence = fence + 1, lease_owner = ?, lease_until = ?, claimed_at = ?, updated_at = ?
 WHERE job_id = ? RETURNING *"""
_DONE_BEFORE = """
SELECT 1 FROM jobs WHERE subject = ? AND connection IS ? AND kind = ? AND status = 'succeeded' AND outcome = 'done'
   AND source = ? AND job_id <> ? LIMIT 1"""
_SETTLE = """
UPDATE jobs SET status = ?, outcome = ?, reason = ?, error = ?, attempts = attempts + 1, failures = failures + ?,
                next_attempt_at = ?, entity_id = coalesce(?, entity_id), lock_key = coalesce(?, lock_key),
                payload = coalesce(?, payload), lease_owner = NULL, lease_until = NULL, updated_at = ?
 WHERE job_id = ?"""
_ATTEMPT = "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "*"


def insert_job(db: sqlite3.Connection, job: NewJob, now: datetime) -> None:
    """Insert a job that waits."""
    at = rows.micros(now)
    db.execute(
        _INSERT,
        (
            job.job_id, job.kind, job.source, job.tenant_id, job.environment_id, job.gate, job.lock_key,
            job.delivery_id, job.connection, job.entity_type, job.entity_id, job.subject, rows.dumps(job.payload),
            rows.micros(job.due_at), at, at,
        ),
    )  # fmt: skip


def see_customer(db: sqlite3.Connection, customer: SeenCustomer, now: datetime) -> None:
    """Remember that a customer was seen; a name or e-mail that is known is not overwritten by nothing."""
    db.execute(
        "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, customer_id) DO UPDATE SET"
        " name = CASE excluded.name WHEN '' THEN name ELSE excluded.name END,"
        " email = CASE excluded.email WHEN '' THEN email ELSE excluded.email END, seen_at = excluded.seen_at",
        (
            customer.source, customer.customer_id, customer.tenant_id, customer.environment_id, customer.name,
            customer.email, rows.micros(now),
        ),
    )  # fmt: skip


class Jobs:
    """The part of the store that deals with jobs."""

    _db: Database

    async def claim_jobs(
        self, room: Mapping[str, int], *, owner: str, now: datetime, lease: timedelta
    ) -> Sequence[Claimed]:
        """Take due jobs, up to `room[gate]` for each gate; jobs with a lock key that is running elsewhere wait.

        Jobs of a paused or removed connection are not taken. Leases that have ended are given back first.
        """
        at, until = rows.micros(now), rows.micros(now + lease)
        if not await self._db.read(lambda db: _anything_due(db, room, at)):
            return []

        def work(db: sqlite3.Connection) -> list[Claimed]:
            _give_back(db, at)
            claimed = []
            for gate, free in room.items():
                if free <= 0 or not _gate_open(db, gate):
                    continue
                taken: set[str] = set()
                due = db.execute(_DUE, {"gate": gate, "now": at, "limit": free * 2 + 8}).fetchall()
                for job_id, lock_key in due:
                    if lock_key in taken or len(taken) >= free:
                        continue
                    taken.add(lock_key)
                    row = db.execute(_TAKE, (owner, until, at, at, job_id)).fetchone()
                    claimed.append(_with_subject(db, rows.job(row)))
            return claimed

        return await self._db.write(work)

    async def extend_leases(self, held: Mapping[str, int], *, owner: str, until: datetime) -> set[str]:
        """Keep the leases of running jobs (id → fence); return the ids that were lost to another worker."""

        def work(db: sqlite3.Connection) -> set[str]:
            lost = set()
            for job_id, fence in held.items():
                changed = db.execute(
                    "UPDATE jobs SET lease_until = ? WHERE job_id = ? AND fence = ? AND status = 'running'"
                    " AND lease_owner = ?",
                    (rows.micros(until), job_id, fence, owner),
                )
                if changed.rowcount == 0:
                    lost.add(job_id)
            return lost

        return await self._db.write(work)

    async def settle(self, settlement: Settlement) -> None:
        """Write all that an attempt changes, in one transaction.

        Raises LeaseLostError when another worker has the job by now; ConflictError when the record that it wants to
        link belongs to another customer. In both cases nothing was written.
        """
        await self._db.write(lambda db: _settle(db, settlement))

    async def release_jobs(self, held: Mapping[str, int], *, owner: str, now: datetime) -> None:
        """Hand back jobs that were claimed and not begun, or whose attempt was stopped: they are due at once."""

        def work(db: sqlite3.Connection) -> None:
            for job_id, fence in held.items():
                db.execute(
                    "UPDATE jobs SET status = 'pending', lease_owner = NULL, lease_until = NULL, next_attempt_at = ?"
                    " WHERE job_id = ? AND fence = ? AND status = 'running' AND lease_owner = ?",
                    (rows.micros(now), job_id, fence, owner),
                )

        await self._db.write(work)

    async def next_due(self, gates: Sequence[str], *, after: datetime) -> datetime | None:
        """Return when the next job of these gates falls due or a lease ends, later than `after`; None for never."""
        at = rows.micros(after)

        def work(db: sqlite3.Connection) -> int | None:
            times = [db.execute("SELECT min(lease_until) FROM jobs WHERE status = 'running'").fetchone()[0]]
            times += [
                db.execute(
                    "SELECT min(next_attempt_at) FROM jobs WHERE status = 'pending' AND gate = ?"
                    " AND next_attempt_at > ?", (gate, at),
                ).fetchone()[0]
                for gate in gates
            ]  # fmt: skip
            return min((time for time in times if time is not None), default=None)

        return rows.moment_or_none(await self._db.read(work))

    async def get_job(self, job_id: str, scope: Scope = EVERYWHERE) -> Job:
        """Return a job. Raises NotFoundError."""
        where = rows.Where(scope)
        where.add("job_id = ?", job_id)
        return await self._db.read(lambda db: _one(db, where))

    async def list_attempts(self, job_id: str) -> Sequence[Attempt]:
        """Return a job's attempts, oldest first."""
        query = "SELECT * FROM attempts WHERE job_id = ? ORDER BY number"
        return await self._db.read(lambda db: [rows.attempt(row) for row in db.execute(query, (job_id,))])

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
    ) -> Page[Job]:
        """Return jobs, newest first."""
        where = rows.Where(scope)
        where.equal("status", status)
        if status is not None and status not in (JobStatus.SUCCEEDED, JobStatus.CANCELLED):
            where.add("status NOT IN ('succeeded', 'cancelled')")
        where.equal("connection", connection)
        where.equal("kind", kind)
        where.equal("source", source)
        where.equal("delivery_id", delivery_id)
        where.equal("entity_id", entity_id)
        where.equal("error ->> 'code'", error_code)
        if cursor is not None:
            where.add("job_id < ?", *rows.decode_cursor(cursor, 1))
        query = f"SELECT {_COLUMNS} FROM jobs{where} ORDER BY job_id DESC LIMIT ?"
        found = await self._db.read(lambda db: [rows.job(row) for row in db.execute(query, (*where.values, limit + 1))])
        return rows.page(found, limit, lambda last: rows.encode_cursor(last.job_id))

    async def retry_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> Job:
        """Make a job due at once and give it a whole retry schedule again. Raises NotFoundError, ConflictError."""
        where = rows.Where(scope)
        where.add("job_id = ?", job_id)

        def work(db: sqlite3.Connection) -> Job:
            job = _one(db, where)
            if job.status in (JobStatus.RUNNING, JobStatus.SUCCEEDED):
                msg = f"the job is {job.status}"
                raise ConflictError(msg)
            at = rows.micros(now)
            db.execute(
                "UPDATE jobs SET status = 'pending', outcome = NULL, failures = 0, next_attempt_at = ?, updated_at = ?"
                " WHERE job_id = ?", (at, at, job_id),
            )  # fmt: skip
            db.execute(
                "UPDATE reviews SET status = 'resolved', decision = 'retry', resolved_at = ? WHERE job_id = ?"
                " AND status = 'open'", (at, job_id),
            )  # fmt: skip
            if job.delivery_id is not None:
                roll_up(db, job.delivery_id)
            return _one(db, where)

        return await self._db.write(work)

    async def cancel_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime, reason: str) -> Job:
        """End a job that waits, has failed or is under review. Raises NotFoundError, ConflictError.

        A job with an open intent may have created a record: its mapping stays `intended`.
        """
        where = rows.Where(scope)
        where.add("job_id = ?", job_id)

        def work(db: sqlite3.Connection) -> Job:
            job = _one(db, where)
            if job.status in (JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.CANCELLED):
                msg = f"the job is {job.status}"
                raise ConflictError(msg)
            at = rows.micros(now)
            db.execute(
                "UPDATE jobs SET status = 'cancelled', outcome = 'cancelled', reason = ?, next_attempt_at = NULL,"
                " updated_at = ? WHERE job_id = ?", (reason, at, job_id),
            )  # fmt: skip
            db.execute(
                "UPDATE reviews SET status = 'resolved', decision = 'ignore', resolved_at = ? WHERE job_id = ?"
                " AND status = 'open'", (at, job_id),
            )  # fmt: skip
            if job.delivery_id is not None:
                roll_up(db, job.delivery_id)
            return _one(db, where)

        return await self._db.write(work)

    async def add_job(self, job: NewJob, *, now: datetime) -> None:
        """Queue a job that no delivery asked for."""
        await self._db.write(lambda db: insert_job(db, job, now))

    async def backlog(self) -> Backlog:
        """Return how much waits, and since when."""

        def work(db: sqlite3.Connection) -> Backlog:
            waiting = db.execute(
                "SELECT count(*) FROM deliveries WHERE status = 'pending' AND status NOT IN ('processed', 'ignored')"
                " AND dispatched = 0"
            ).fetchone()[0]
            by_status = {
                row[0]: row[1]
                for row in db.execute(
                    "SELECT status, count(*) FROM jobs WHERE status NOT IN ('succeeded', 'cancelled') GROUP BY status"
                )
            }
            oldest = db.execute("SELECT min(next_attempt_at) FROM jobs WHERE status = 'pending'").fetchone()[0]
            reviews = db.execute("SELECT count(*) FROM reviews WHERE status = 'open'").fetchone()[0]
            return Backlog(
                deliveries=waiting, jobs=by_status, reviews=reviews, oldest_due_at=rows.moment_or_none(oldest)
            )

        return await self._db.read(work)


def _one(db: sqlite3.Connection, where: rows.Where) -> Job:
    row = db.execute(f"SELECT {_COLUMNS} FROM jobs{where}", where.values).fetchone()
    if row is None:
        raise NotFoundError
    return rows.job(row)


def _gate_open(db: sqlite3.Connection, gate: str) -> bool:
    row = db.execute("SELECT status FROM connections WHERE name = ?", (gate,)).fetchone()
    return row is None or row["status"] == "active"


def _anything_due(db: sqlite3.Connection, room: Mapping[str, int], at: int) -> bool:
    if db.execute("SELECT 1 FROM jobs WHERE status = 'running' AND lease_until <= ? LIMIT 1", (at,)).fetchone():
        return True
    query = "SELECT 1 FROM jobs WHERE status = 'pending' AND gate = ? AND next_attempt_at <= ? LIMIT 1"
    return any(free > 0 and db.execute(query, (gate, at)).fetchone() for gate, free in room.items())


def _give_back(db: sqlite3.Connection, at: int) -> None:
    """Return jobs whose lease has ended to the queue, with an attempt that says so."""
    for row in db.execute(_EXPIRED, (at,)).fetchall():
        job = rows.job(row)
        begun = row["claimed_at"] or at
        db.execute(
            _ATTEMPT, (job.job_id, job.attempts + 1, begun, at, "lease_expired", None, None, None, row["lease_owner"])
        )
        db.execute(
            "UPDATE jobs SET status = 'pending', attempts = attempts + 1, lease_owner = NULL, lease_until = NULL,"
            " next_attempt_at = ?, updated_at = ? WHERE job_id = ?",
            (at, at, job.job_id),
        )


def _with_subject(db: sqlite3.Connection, job: Job) -> Claimed:
    mapping = intent = None
    if job.entity_id is not None and job.connection is not None:
        mapping = read_mapping(db, job.source, job.entity_type, job.entity_id, job.connection)
        if mapping is not None and mapping.status is not MappingStatus.LINKED:
            intent = open_intent(db, mapping.key)
    done = job.subject is not None and job.connection is not None and db.execute(
        _DONE_BEFORE, (job.subject, job.connection, job.kind, job.source, job.job_id)
    ).fetchone() is not None  # fmt: skip
    return Claimed(job=job, mapping=mapping, intent=intent, done_before=done)


def _settle(db: sqlite3.Connection, s: Settlement) -> None:
    row = db.execute(
        "SELECT * FROM jobs WHERE job_id = ? AND fence = ? AND status = 'running' AND lease_owner = ?",
        (s.job_id, s.fence, s.owner),
    ).fetchone()
    if row is None:
        raise LeaseLostError
    job, now = rows.job(row), s.attempt.finished_at
    at = rows.micros(now)
    if s.link is not None:
        link(db, s.link, now)
    if s.stale is not None:
        mark_stale(db, s.stale, now)
    if s.written_back is not None:
        k = s.written_back
        db.execute(
            "UPDATE mappings SET written_back_at = ?, updated_at = ? WHERE source = ? AND entity_type = ?"
            " AND entity_id = ? AND connection = ?",
            (at, at, k.source, k.entity_type, k.entity_id, k.connection),
        )
    if s.close_intent is not None:
        close_intent(db, s.close_intent, s.intent_result or "closed", now)
    if s.looked is not None:
        mark_looked(db, s.looked, now)
    if s.customer is not None:
        see_customer(db, s.customer, now)
    db.execute(
        _ATTEMPT,
        (
            s.job_id, job.attempts + 1, rows.micros(s.attempt.started_at), at, s.attempt.outcome,
            rows.dumps(s.attempt.error), rows.dumps(s.attempt.exchanges), rows.dumps(s.attempt.decision), s.owner,
        ),
    )  # fmt: skip
    db.execute(
        _SETTLE,
        (
            s.status, s.outcome, s.reason, rows.dumps(s.error), int(s.burn), rows.micros_or_none(s.next_attempt_at),
            s.entity_id, s.lock_key, rows.dumps(s.payload), at, s.job_id,
        ),
    )  # fmt: skip
    for follow_up in s.follow_ups:
        insert_job(db, follow_up, now)
    if s.review is not None:
        insert_review(
            db, s.review, rows.job(db.execute("SELECT * FROM jobs WHERE job_id = ?", (s.job_id,)).fetchone()), now
        )
    if s.pause is not None:
        connection, code, detail = s.pause
        db.execute(
            "UPDATE connections SET status = 'paused', pause_reason = ?, pause_detail = ?, updated_at = ?"
            " WHERE name = ? AND status = 'active'",
            (code, detail, at, connection),
        )
        db.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'config_version'")
    if job.delivery_id is not None and (s.status is not JobStatus.PENDING):
        roll_up(db, job.delivery_id)
