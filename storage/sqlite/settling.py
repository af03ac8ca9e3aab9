"""What an attempt has changed, written in one transaction or not at all."""

import sqlite3

from storage import rows, values
from storage.errors import LeaseLostError
from storage.records import JobStatus, Settlement
from storage.scalars import dumps, micros, micros_or_none
from storage.sqlite.catalog import CONFIG_CHANGED
from storage.sqlite.customers import see_customers
from storage.sqlite.database import Database
from storage.sqlite.intents import assert_free, close_intent, close_open_intent, mark_looked, nothing_is_coming
from storage.sqlite.jobs import insert_jobs
from storage.sqlite.mappings import link, mark_stale, mark_written_back, note
from storage.sqlite.parking import call_next
from storage.sqlite.reviews import insert_review, note_voided
from storage.sqlite.rollup import roll_up
from storage.sqlite.waiting import answer_jobs, wake_waiting

_LOCK_KEY = "SELECT lock_key FROM jobs WHERE job_id = ?"
_ATTEMPT = "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SETTLE = """
UPDATE jobs SET status = ?, outcome = ?, reason = ?, error = ?, error_code = ?, attempts = attempts + 1,
                failures = failures + ?, next_attempt_at = ?, entity_id = coalesce(?, entity_id),
                lock_key = coalesce(?, lock_key), payload = coalesce(?, payload), waits_for = ?, lease_owner = NULL,
                lease_until = NULL, updated_at = ?
 WHERE job_id = ? AND fence = ? AND status = 'running' AND lease_owner = ? RETURNING *"""
_PAUSE = """
UPDATE connections SET status = 'paused', pause_reason = ?, pause_detail = ?, updated_at = ?
 WHERE name = ? AND status = 'active'"""


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


def _settle(db: sqlite3.Connection, s: Settlement) -> None:
    now = s.attempt.finished_at
    left = db.execute(_LOCK_KEY, (s.job_id,)).fetchone() if s.lock_key is not None else None
    row = db.execute(
        _SETTLE,
        (
            s.status, s.outcome, s.reason, dumps(s.error), values.error_code(s), int(s.burn),
            micros_or_none(s.due_at), s.entity_id, s.lock_key, dumps(s.payload), values.waited(s.waits_for),
            micros(now), s.job_id, s.fence, s.owner,
        ),
    ).fetchone()  # fmt: skip
    if row is None:
        raise LeaseLostError
    _write_mapping(db, s)
    _write_notes(db, s)
    if s.customer is not None:
        see_customers(db, [s.customer], now)
    db.execute(_ATTEMPT, values.attempt(s, number=row["attempts"]))
    call_next(db, (left or row)["lock_key"])
    insert_jobs(db, [(follow_up, row["dispatch"]) for follow_up in s.follow_ups], now)
    if s.review is not None:
        insert_review(db, s.review, rows.job(row), now)
    if s.voided_at is not None:
        note_voided(db, rows.job(row), s.voided_at, now)
    answer_jobs(db, s.answers, now)
    if s.pause is not None:
        connection, code, detail = s.pause
        if db.execute(_PAUSE, (code, detail, micros(now), connection)).rowcount:
            db.execute(CONFIG_CHANGED)
    if row["delivery_id"] is not None and s.status is not JobStatus.PENDING:
        roll_up(db, row["delivery_id"])


def _write_mapping(db: sqlite3.Connection, s: Settlement) -> None:
    now = s.attempt.finished_at
    if s.stale is not None:
        mark_stale(db, s.stale, now)
    closed = None
    if s.close_intent is not None:
        closed = close_intent(db, s.close_intent, s.intent_result or "closed", now)
        if s.link is None:
            nothing_is_coming(db, s.close_intent, now)
    if s.looked is not None:
        mark_looked(db, s.looked, now)
    if s.link is not None:
        if s.link.searched_since is not None:
            assert_free(db, s.link.key, s.link.guards, s.link.searched_since)
        link(db, s.link, now)
        if closed != s.link.key:
            close_open_intent(db, s.link.key, s.intent_result or "linked", now)


def _write_notes(db: sqlite3.Connection, s: Settlement) -> None:
    now = s.attempt.finished_at
    if s.note is not None:
        note(db, s.note, now)
    if s.wakes is not None:
        wake_waiting(db, s.wakes, now)
    if s.written_back is not None:
        mark_written_back(db, s.written_back, now)
