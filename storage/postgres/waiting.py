"""Jobs that wait for somebody's link, or whose question was answered: due by the transaction that has done it.

Jobs first, then their deliveries, then reviews: the order in which everybody takes these locks.
"""

from collections.abc import Sequence
from datetime import datetime

from storage import values
from storage.postgres.connection import Session
from storage.postgres.rollup import lock_delivery, roll_up
from storage.records import MappingKey
from storage.rows import Row
from storage.scalars import micros

_DUE = """
UPDATE jobs SET status = 'pending', outcome = NULL, failures = 0, next_attempt_at = $1, parked_at = NULL,
                waits_for = NULL, updated_at = $1"""
_WAKE = f"""{_DUE}
 WHERE waits_for = $2 AND status IN ('pending', 'failed')
    OR entity_id = $3 AND status = 'needs_review' AND source = $4 AND entity_type = $5 AND connection = $6
RETURNING job_id, delivery_id"""
_ANSWER = f"""{_DUE}
 WHERE job_id = ANY($2::text[]) AND status IN ('pending', 'failed', 'needs_review') RETURNING job_id, delivery_id"""
_END_REVIEWS = """
UPDATE reviews SET status = 'resolved', decision = 'retry', resolved_at = $1
 WHERE job_id = ANY($2::text[]) AND status = 'open'"""


async def wake_waiting(db: Session, linked: MappingKey, now: datetime) -> None:
    """Make due what waits for this link, and what has asked about it, with a whole retry schedule again."""
    mine = (linked.entity_id, linked.source, linked.entity_type, linked.connection)
    woken = await db.rows(_WAKE, micros(now), values.waited(linked), *mine)
    if woken:
        await _told(db, woken, now)


async def answer_jobs(db: Session, job_ids: Sequence[str], now: datetime) -> None:
    """Make jobs due, as a retry does."""
    if job_ids:
        await _told(db, await db.rows(_ANSWER, micros(now), list(job_ids)), now)


async def _told(db: Session, woken: Sequence[Row], now: datetime) -> None:
    """Work out the deliveries of jobs that are due again, and end their open questions."""
    for delivery_id in sorted({row["delivery_id"] for row in woken} - {None}):
        await lock_delivery(db, delivery_id)
        await roll_up(db, delivery_id)
    await db.execute(_END_REVIEWS, micros(now), [row["job_id"] for row in woken])
