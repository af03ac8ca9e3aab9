"""Jobs that wait for somebody's link, or whose question was answered: made due by the transaction that has done it.

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
_WAKE = f"{_DUE} WHERE waits_for = $2 AND status IN ('pending', 'failed') RETURNING delivery_id"
_ANSWER = f"""{_DUE}
 WHERE job_id = ANY($2::text[]) AND status IN ('pending', 'failed', 'needs_review') RETURNING delivery_id"""


async def wake_waiting(db: Session, linked: MappingKey, now: datetime) -> None:
    """Make due what waits for this link, with a whole retry schedule again."""
    await _roll_up(db, await db.rows(_WAKE, micros(now), values.waited(linked)))


async def answer_jobs(db: Session, job_ids: Sequence[str], now: datetime) -> None:
    """Make jobs due, as a retry does."""
    if job_ids:
        await _roll_up(db, await db.rows(_ANSWER, micros(now), list(job_ids)))


async def _roll_up(db: Session, woken: Sequence[Row]) -> None:
    for delivery_id in sorted({row["delivery_id"] for row in woken} - {None}):
        await lock_delivery(db, delivery_id)
        await roll_up(db, delivery_id)
