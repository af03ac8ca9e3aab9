"""A delivery's status, written from the jobs of its last dispatch."""

import sqlite3

from storage.rollup import rolled_up

_JOBS = """
SELECT j.status, j.outcome, j.reason, d.status AS was, d.reason AS why
  FROM deliveries d CROSS JOIN jobs j ON j.delivery_id = d.delivery_id AND j.dispatch = d.replays
 WHERE d.delivery_id = ? ORDER BY j.number"""
_WRITE = "UPDATE deliveries SET status = ?, reason = ? WHERE delivery_id = ? AND dispatched = 1"


def roll_up(db: sqlite3.Connection, delivery_id: str) -> None:
    """Work out a delivery's status from its jobs; one without jobs keeps what dispatch has decided."""
    jobs = db.execute(_JOBS, (delivery_id,)).fetchall()
    if jobs and (now := rolled_up(jobs)) != (jobs[0]["was"], jobs[0]["why"]):
        db.execute(_WRITE, (*now, delivery_id))
