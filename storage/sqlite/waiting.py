"""Jobs that wait for somebody's link, or whose question was answered: due by the transaction that has done it."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import values
from storage.records import MappingKey
from storage.scalars import array, micros
from storage.sqlite.rollup import roll_up

_DUE = """
UPDATE jobs SET status = 'pending', outcome = NULL, failures = 0, next_attempt_at = ?1, parked_at = NULL,
                waits_for = NULL, updated_at = ?1"""
_WAKE = f"""{_DUE}
 WHERE waits_for = ?2 AND status IN ('pending', 'failed')
    OR entity_id = ?3 AND status = 'needs_review' AND source = ?4 AND entity_type = ?5 AND connection = ?6
RETURNING job_id, delivery_id"""
_ANSWER = f"""{_DUE}
 WHERE job_id IN (SELECT value FROM json_each(?2)) AND status IN ('pending', 'failed', 'needs_review')
RETURNING job_id, delivery_id"""
_END_REVIEWS = """
UPDATE reviews SET status = 'resolved', decision = 'retry', resolved_at = ?
 WHERE job_id IN (SELECT value FROM json_each(?)) AND status = 'open'"""


def wake_waiting(db: sqlite3.Connection, linked: MappingKey, now: datetime) -> None:
    """Make due what waits for this link, and what has asked about it, with a whole retry schedule again."""
    mine = (linked.entity_id, linked.source, linked.entity_type, linked.connection)
    woken = db.execute(_WAKE, (micros(now), values.waited(linked), *mine)).fetchall()
    if woken:
        _told(db, woken, now)


def answer_jobs(db: sqlite3.Connection, job_ids: Sequence[str], now: datetime) -> None:
    """Make jobs due, as a retry does."""
    if job_ids:
        _told(db, db.execute(_ANSWER, (micros(now), array(job_ids))).fetchall(), now)


def _told(db: sqlite3.Connection, woken: Sequence[sqlite3.Row], now: datetime) -> None:
    """Work out the deliveries of jobs that are due again, and end their open questions."""
    for delivery_id in {row["delivery_id"] for row in woken} - {None}:
        roll_up(db, delivery_id)
    db.execute(_END_REVIEWS, (micros(now), array([row["job_id"] for row in woken])))
