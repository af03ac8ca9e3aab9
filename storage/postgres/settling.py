"""What an attempt has changed, written in one transaction or not at all."""

from storage import rows, values
from storage.errors import LeaseLostError
from storage.postgres.catalog import CONFIG_CHANGED
from storage.postgres.connection import Session
from storage.postgres.customers import see_customers
from storage.postgres.database import Database
from storage.postgres.intents import assert_free, close_intent, close_open_intent, mark_looked, nothing_is_coming
from storage.postgres.jobs import insert_jobs
from storage.postgres.mappings import link, mark_stale, mark_written_back, note
from storage.postgres.parking import call_next
from storage.postgres.reviews import insert_review, note_voided
from storage.postgres.rollup import roll_up
from storage.postgres.waiting import answer_jobs, wake_waiting
from storage.records import JobStatus, Settlement
from storage.rows import Row
from storage.scalars import dumps, micros, micros_or_none

# Job first, then its delivery: the order in which everybody takes these locks.
_HELD = """
WITH held AS (
    SELECT * FROM jobs
     WHERE job_id = $1 AND fence = $2 AND status = 'running' AND lease_owner = $3 FOR UPDATE),
its_delivery AS (
    SELECT 1 FROM deliveries WHERE delivery_id = (SELECT delivery_id FROM held) FOR UPDATE)
SELECT held.attempts, held.lock_key, (SELECT count(*) FROM its_delivery) FROM held"""
_SETTLE = """
WITH tried AS (
    INSERT INTO attempts (job_id, number, started_at, finished_at, outcome, error, exchanges, decision, worker)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9))
UPDATE jobs SET status = $10, outcome = $11, reason = $12, error = $13, error_code = $14, attempts = attempts + 1,
                failures = failures + $15, next_attempt_at = $16, entity_id = coalesce($17, entity_id),
                lock_key = coalesce($18, lock_key), payload = coalesce($19, payload), waits_for = $20,
                lease_owner = NULL, lease_until = NULL, updated_at = $4
 WHERE job_id = $1 RETURNING *"""
_PAUSE = """
UPDATE connections SET status = 'paused', pause_reason = $1, pause_detail = $2, updated_at = $3
 WHERE name = $4 AND status = 'active'"""


class Settling:
    """The part of the store that ends attempts."""

    _db: Database

    async def settle(self, settlement: Settlement) -> None:
        """Write all that an attempt changes, in one transaction.

        Raises LeaseLostError when another worker has the job by now; ConflictError when the record that it wants to
        link belongs to another customer, or the customer was linked to another record meanwhile; GuardBusyError when
        the record may be what an open create for an equal customer has made; RecordMovedError when what it notes, or
        calls dead, is about a record that the mapping has no more. In all cases nothing was written.
        A link makes the other jobs due that wait for a person's answer about the same: it may be known by now.
        """
        await self._db.write(lambda db: _settle(db, settlement))


async def _settle(db: Session, s: Settlement) -> None:
    held = await db.row(_HELD, s.job_id, s.fence, s.owner)
    if held is None:
        raise LeaseLostError
    now = s.attempt.finished_at
    await _write_mapping(db, s)
    await _write_notes(db, s)
    if s.customer is not None:
        await see_customers(db, [s.customer], now)
    row = await _write_job(db, s, number=held["attempts"] + 1)
    await call_next(db, [held["lock_key"]])
    await insert_jobs(db, [(follow_up, row["dispatch"]) for follow_up in s.follow_ups], now)
    if s.review is not None:
        await insert_review(db, s.review, rows.job(row), now)
    if s.voided_at is not None:
        await note_voided(db, rows.job(row), s.voided_at, now)
    await answer_jobs(db, s.answers, now)
    if s.pause is not None:
        connection, code, detail = s.pause
        if await db.execute(_PAUSE, code, detail, micros(now), connection):
            await db.execute(CONFIG_CHANGED)
    if row["delivery_id"] is not None and s.status is not JobStatus.PENDING:
        await roll_up(db, row["delivery_id"])


async def _write_job(db: Session, s: Settlement, *, number: int) -> Row:
    row = await db.row(
        _SETTLE, *values.attempt(s, number=number), s.status, s.outcome, s.reason, dumps(s.error), values.error_code(s),
        int(s.burn), micros_or_none(s.due_at), s.entity_id, s.lock_key, dumps(s.payload), values.waited(s.waits_for),
    )  # fmt: skip
    if row is None:
        raise LeaseLostError
    return row


async def _write_mapping(db: Session, s: Settlement) -> None:
    now = s.attempt.finished_at
    if s.stale is not None:
        await mark_stale(db, s.stale, now)
    if s.close_intent is not None:
        await close_intent(db, s.close_intent, s.intent_result or "closed", now)
        if s.link is None:
            await nothing_is_coming(db, s.close_intent, now)
    if s.looked is not None:
        await mark_looked(db, s.looked, now)
    if s.link is not None:
        if s.link.searched_since is not None:
            await assert_free(db, s.link.key, s.link.guards, s.link.searched_since)
        await link(db, s.link, now)
        await close_open_intent(db, s.link.key, s.intent_result or "linked", now)


async def _write_notes(db: Session, s: Settlement) -> None:
    now = s.attempt.finished_at
    if s.note is not None:
        await note(db, s.note, now)
    if s.wakes is not None:
        await wake_waiting(db, s.wakes, now)
    if s.written_back is not None:
        await mark_written_back(db, s.written_back, now)
