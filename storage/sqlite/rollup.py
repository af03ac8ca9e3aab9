"""A delivery's status, written from the jobs of its last dispatch."""

import sqlite3

from storage.rollup import rolled_up

_JOBS = """
SELECT status, outcome, reason FROM jobs
 WHERE delivery_id = ?1 AND dispatch = (SELECT replays FROM deliveries WHERE delivery_id = ?1) ORDER BY number"""
_WRITE = "UPDATE deliveries SET status = ?, reason = ? WHERE delivery_id = ? AND dispatched = 1"


def roll_up(db: sqlite3.Connection, delivery_id: str) -> None:
    """Work out a delivery's status from its jobs; one without jobs keeps what dispatch has decided."""
    jobs = db.execute(_JOBS, (delivery_id,)).fetchall()
    if jobs:
        db.execute(_WRITE, (*rolled_up(jobs), delivery_id))
