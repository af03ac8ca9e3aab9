"""A delivery's status, written from the jobs of its last dispatch."""

from storage.postgres.connection import Session
from storage.rollup import rolled_up

_LOCK = "SELECT 1 FROM deliveries WHERE delivery_id = $1 FOR UPDATE"
_JOBS = """
SELECT status, outcome, reason FROM jobs
 WHERE delivery_id = $1 AND dispatch = (SELECT replays FROM deliveries WHERE delivery_id = $1) ORDER BY number"""
_WRITE = "UPDATE deliveries SET status = $1, reason = $2 WHERE delivery_id = $3 AND dispatched = 1"


async def lock_delivery(db: Session, delivery_id: str) -> None:
    """Wait until nobody else works out its status: else two jobs that end together would both see one running."""
    await db.execute(_LOCK, delivery_id)


async def roll_up(db: Session, delivery_id: str) -> None:
    """Work out the status of a delivery that is locked; one without jobs keeps what dispatch has decided."""
    jobs = await db.rows(_JOBS, delivery_id)
    if jobs:
        await db.execute(_WRITE, *rolled_up(jobs), delivery_id)
