"""Reviews: what only a person may decide, and what was decided."""

from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.postgres.rollup import lock_delivery, roll_up
from storage.postgres.searching import ABOUT_REVIEW
from storage.postgres.where import Where
from storage.records import EVERYWHERE, Job, JobStatus, NewReview, Page, Review, ReviewStatus, Scope
from storage.scalars import dumps, micros

_INSERT = """
INSERT INTO reviews (review_id, job_id, source, tenant_id, environment_id, connection, entity_type, entity_id, kind,
                     reason, candidates, customer, status, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'open', $13)
ON CONFLICT (job_id) WHERE status = 'open' DO UPDATE SET
    kind = excluded.kind, reason = excluded.reason, candidates = excluded.candidates, customer = excluded.customer"""
_VOIDED = """
UPDATE reviews SET voided_at = $1
 WHERE source = $2 AND entity_type = $3 AND entity_id = $4 AND connection = $5 AND voided_at IS NULL
   AND (status = 'open' OR resolved_at = $6)"""
_RESOLVE = """
UPDATE reviews SET status = 'resolved', decision = $1, provider_entity_id = $2, resolved_at = $3, resolved_by = $4
 WHERE review_id = $5"""
_JOB = "SELECT * FROM jobs WHERE job_id = $1 FOR UPDATE"
_IGNORE = """
UPDATE jobs SET status = 'cancelled', outcome = 'ignored', reason = 'ignored by a person', next_attempt_at = NULL,
                updated_at = $1
 WHERE job_id = $2"""
_GO_ON = """
UPDATE jobs SET status = 'pending', payload = $3, failures = 0, next_attempt_at = $1, updated_at = $1
 WHERE job_id = $2"""


async def insert_review(db: Session, review: NewReview, job: Job, now: datetime) -> None:
    """Ask a person about a job; an open question of the same job is renewed."""
    await db.execute(_INSERT, *values.review(review, job, now=now))


async def note_voided(db: Session, about: Job, voided_at: datetime, now: datetime) -> None:
    """Note on the questions about a job's invoice that the platform has voided it, unless they say so.

    On those that are open, and those that the transaction of this moment, `now`, has answered.
    """
    mine = (about.source, about.entity_type, about.entity_id, about.connection)
    await db.execute(_VOIDED, micros(voided_at), *mine, micros(now))


class Reviews:
    """The part of the store that deals with reviews."""

    _db: Database

    async def get_review(self, review_id: str, scope: Scope = EVERYWHERE) -> Review:
        """Return a review. Raises NotFoundError."""
        return await self._db.run(lambda db: _one(db, review_id, scope))

    async def list_reviews(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: ReviewStatus | None = None,
        connection: str | None = None,
        kind: str | None = None,
        entity_id: str | None = None,
        job_id: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        about: Sequence[str] | None = None,
    ) -> Page[Review]:
        """Return reviews, newest first; `about` are ids: of the review, its job, delivery or entity."""
        where = Where(scope)
        for column, wanted in (
            ("job_id", job_id), ("entity_id", entity_id), ("status", status), ("connection", connection),
            ("kind", kind), ("source", source),
        ):  # fmt: skip
            where.equal(column, wanted)
        if since is not None:
            where.add("created_at >= ?", micros(since))
        if until is not None:
            where.add("created_at < ?", micros(until))
        if about is not None:
            where.add(ABOUT_REVIEW, *[list(about)] * ABOUT_REVIEW.count("?"))
        if cursor is not None:
            where.add("number < ?", cursors.decode_number(cursor))
        query = f"SELECT * FROM reviews{where} ORDER BY number DESC LIMIT {cursors.bounded(limit) + 1:d}"
        found = await self._db.run(lambda db: db.rows(query, *where.values))
        return cursors.page(found, limit, rows.review, "number")

    async def resolve_review(
        self,
        review_id: str,
        scope: Scope = EVERYWHERE,
        *,
        decision: str,
        provider_entity_id: str | None,
        by: str,
        now: datetime,
    ) -> Review:
        """Record a decision and make the job due, which carries it out; `ignore` cancels the job instead.

        Raises NotFoundError, and ConflictError when somebody has decided before.
        """
        at = micros(now)

        async def work(db: Session) -> Review:
            # Job, delivery, review: the order in which everybody takes these locks.
            job_id = (await _one(db, review_id, scope)).job_id
            row = None if job_id is None else await db.row(_JOB, job_id)
            job = None if row is None else rows.job(row)
            if job is not None and job.delivery_id is not None:
                await lock_delivery(db, job.delivery_id)
            review = await _one(db, review_id, scope, lock=True)
            if review.status is ReviewStatus.RESOLVED:
                raise ConflictError(f"it was resolved before: {review.decision}")
            await db.execute(_RESOLVE, decision, provider_entity_id, at, by, review_id)
            if job is not None and job.status is JobStatus.NEEDS_REVIEW:
                await _act(db, job, decision, provider_entity_id, at)
            return await _one(db, review_id, scope)

        return await self._db.write(work)


async def _act(db: Session, job: Job, decision: str, record: str | None, at: int) -> None:
    if decision == "ignore":
        await db.execute(_IGNORE, at, job.job_id)
    else:
        payload = {**(job.payload or {}), "decision": {"decision": decision, "record": record}}
        await db.execute(_GO_ON, at, job.job_id, dumps(payload))
    if job.delivery_id is not None:
        await roll_up(db, job.delivery_id)


async def _one(db: Session, review_id: str, scope: Scope, *, lock: bool = False) -> Review:
    where = Where(scope)
    where.add("review_id = ?", review_id)
    row = await db.row(f"SELECT * FROM reviews{where}{' FOR UPDATE' if lock else ''}", *where.values)
    if row is None:
        raise NotFoundError
    return rows.review(row)
