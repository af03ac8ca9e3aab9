"""Reviews: what only a person may decide, and what was decided."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.records import EVERYWHERE, Job, NewReview, Page, Review, ReviewStatus, Scope
from storage.scalars import array, dumps, loads, micros
from storage.sqlite.database import Database
from storage.sqlite.rollup import roll_up
from storage.sqlite.searching import ABOUT_REVIEW
from storage.sqlite.where import Where

_INSERT = """
INSERT INTO reviews (review_id, job_id, source, tenant_id, environment_id, connection, entity_type, entity_id, kind,
                     reason, candidates, customer, status, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?)
ON CONFLICT (job_id) WHERE status = 'open' DO UPDATE SET
    kind = excluded.kind, reason = excluded.reason, candidates = excluded.candidates, customer = excluded.customer"""

_VOIDED = """
UPDATE reviews SET voided_at = ?
 WHERE source = ? AND entity_type = ? AND entity_id = ? AND connection = ? AND voided_at IS NULL
   AND (status = 'open' OR resolved_at = ?)"""


def insert_review(db: sqlite3.Connection, review: NewReview, job: Job, now: datetime) -> None:
    """Ask a person about a job; an open question of the same job is renewed."""
    db.execute(_INSERT, values.review(review, job, now=now))


def note_voided(db: sqlite3.Connection, about: Job, voided_at: datetime, now: datetime) -> None:
    """Note on the questions about a job's invoice that the platform has voided it, unless they say so.

    On those that are open, and those that the transaction of this moment, `now`, has answered.
    """
    mine = (about.source, about.entity_type, about.entity_id, about.connection)
    db.execute(_VOIDED, (micros(voided_at), *mine, micros(now)))


class Reviews:
    """The part of the store that deals with reviews."""

    _db: Database

    async def get_review(self, review_id: str, scope: Scope = EVERYWHERE) -> Review:
        """Return a review. Raises NotFoundError."""
        where = Where(scope)
        where.add("review_id = ?", review_id)
        return await self._db.read(lambda db: _one(db, where))

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
        narrower = job_id or entity_id
        where = Where(scope, narrowed=bool(narrower) or status == ReviewStatus.OPEN)
        where.equal("job_id", job_id)
        where.equal("+entity_id" if job_id else "entity_id", entity_id)
        where.equal("+status" if narrower or status == ReviewStatus.RESOLVED else "status", status)
        where.equal("connection", connection)
        where.equal("kind", kind)
        where.equal("source", source)
        if since is not None:
            where.add("created_at >= ?", micros(since))
        if until is not None:
            where.add("created_at < ?", micros(until))
        if about is not None:
            where.add(ABOUT_REVIEW, *[array(about)] * ABOUT_REVIEW.count("?"))
        if cursor is not None:
            where.add("number < ?", cursors.decode_number(cursor))
        query = f"SELECT * FROM reviews{where} ORDER BY number DESC LIMIT ?"
        bound = [*where.values, cursors.bounded(limit) + 1]
        found = await self._db.read(lambda db: db.execute(query, bound).fetchall(), slow=True)
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
        where = Where(scope)
        where.add("review_id = ?", review_id)

        def work(db: sqlite3.Connection) -> Review:
            review = _one(db, where)
            if review.status is ReviewStatus.RESOLVED:
                raise ConflictError(f"it was resolved before: {review.decision}")
            at = micros(now)
            db.execute(
                "UPDATE reviews SET status = 'resolved', decision = ?, provider_entity_id = ?, resolved_at = ?,"
                " resolved_by = ? WHERE review_id = ?",
                (decision, provider_entity_id, at, by, review_id),
            )
            if review.job_id is not None:
                _act(db, review, decision, provider_entity_id, at)
            return _one(db, where)

        return await self._db.write(work)


def _act(db: sqlite3.Connection, review: Review, decision: str, record: str | None, at: int) -> None:
    row = db.execute("SELECT * FROM jobs WHERE job_id = ?", (review.job_id,)).fetchone()
    if row is None or row["status"] != "needs_review":
        return
    if decision == "ignore":
        db.execute(
            "UPDATE jobs SET status = 'cancelled', outcome = 'ignored', reason = 'ignored by a person',"
            " next_attempt_at = NULL, updated_at = ? WHERE job_id = ?",
            (at, review.job_id),
        )
    else:
        payload = {**(loads(row["payload"]) or {}), "decision": {"decision": decision, "record": record}}
        db.execute(
            "UPDATE jobs SET status = 'pending', payload = ?, failures = 0, next_attempt_at = ?, updated_at = ?"
            " WHERE job_id = ?",
            (dumps(payload), at, at, review.job_id),
        )
    if row["delivery_id"] is not None:
        roll_up(db, row["delivery_id"])


def _one(db: sqlite3.Connection, where: Where) -> Review:
    row = db.execute(f"SELECT * FROM reviews{where}", where.values).fetchone()
    if row is None:
        raise NotFoundError
    return rows.review(row)
