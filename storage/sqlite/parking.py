"""Jobs that are due and have to wait for another with their lock key: put aside, and called back one by one.

They leave the queue for as long as the other's lease, so that a claim never looks past more than a few of them,
however many wait for one customer; and come back by themselves should nobody call them.
"""

import sqlite3
from collections.abc import Sequence

_PARK = """
UPDATE jobs SET parked_at = coalesce(parked_at, next_attempt_at), next_attempt_at = ? WHERE number = ?"""
_CALL = """
UPDATE jobs SET next_attempt_at = parked_at, parked_at = NULL
 WHERE number = (SELECT number FROM jobs WHERE parked_at IS NOT NULL AND status = 'pending' AND lock_key = ?
                  ORDER BY parked_at, number LIMIT 1)"""


def park(db: sqlite3.Connection, waiting: Sequence[tuple[int, int]]) -> None:
    """Put jobs (by number) aside until a time, in microseconds, given first."""
    db.executemany(_PARK, waiting)


def call_next(db: sqlite3.Connection, lock_key: str) -> None:
    """Call back the job that has waited longest for a lock key which is free now."""
    db.execute(_CALL, (lock_key,))
