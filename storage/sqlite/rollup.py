"""A delivery's status, worked out from its jobs."""

import sqlite3

from storage.records import JobStatus


def roll_up(db: sqlite3.Connection, delivery_id: str) -> None:
    """Work out a delivery's status from its jobs."""
    found = db.execute("SELECT status, outcome, reason FROM jobs WHERE delivery_id = ?", (delivery_id,)).fetchall()
    states = {row["status"] for row in found}
    told = [row["reason"] for row in found if row["reason"]]
    reason: str | None = told[0] if told else None
    if states & {JobStatus.PENDING, JobStatus.RUNNING}:
        status = "pending"
    elif JobStatus.FAILED in states:
        status = "failed"
        reason = next((row["reason"] for row in found if row["status"] == JobStatus.FAILED), reason)
    elif JobStatus.NEEDS_REVIEW in states:
        status = "needs_review"
        reason = next((row["reason"] for row in found if row["status"] == JobStatus.NEEDS_REVIEW), reason)
    elif any(row["outcome"] == "done" for row in found):
        status, reason = "processed", None
    else:
        status = "ignored"
    db.execute(
        "UPDATE deliveries SET status = ?, reason = ? WHERE delivery_id = ? AND dispatched = 1",
        (status, reason, delivery_id),
    )
