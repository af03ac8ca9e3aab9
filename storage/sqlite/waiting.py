"""Jobs that wait for somebody's link, or whose question was answered: made due by the transaction that has done it."""

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
_WAKE = f"{_DUE} WHERE waits_for = ?2 AND status IN ('pending', 'failed') RETURNING delivery_id"
_ANSWER = f"""{_DUE}
 WHERE job_id IN (SELECT value FROM json_each(?2)) AND status IN ('pending', 'failed', 'needs_review')
RETURNING delivery_id"""


def wake_waiting(db: sqlite3.Connection, linked: MappingKey, now: datetime) -> None:
    """Make due what waits for this link, with a whole retry schedule again."""
    _roll_up(db, db.execute(_WAKE, (micros(now), values.waited(linked))).fetchall())


def answer_jobs(db: sqlite3.Connection, job_ids: Sequence[str], now: datetime) -> None:
    """Make jobs due, as a retry does."""
    if job_ids:
        _roll_up(db, db.execute(_ANSWER, (micros(now), array(job_ids))).fetchall())


def _roll_up(db: sqlite3.Connection, woken: Sequence[sqlite3.Row]) -> None:
    for delivery_id in {row["delivery_id"] for row in woken} - {None}:
        roll_up(db, delivery_id)
