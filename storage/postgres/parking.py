"""Jobs that are due and have to wait for another with their lock key: put aside by the claim, called back one by one.

They leave the queue for as long as the other's lease, so that a claim never looks past more than a few of them,
however many wait for one customer; and come back by themselves should nobody call them. The claim shares a lock on the
row of the one that they wait for, and who settles that one has its own lock on it first: so none is parked unseen.
"""

from collections.abc import Sequence

from storage.postgres.connection import Session

_CALL = """
UPDATE jobs SET next_attempt_at = parked_at, parked_at = NULL
 WHERE number IN (
       SELECT next.number FROM unnest($1::text[]) AS freed (lock_key) CROSS JOIN LATERAL (
         SELECT number FROM jobs
          WHERE parked_at IS NOT NULL AND status = 'pending' AND lock_key = freed.lock_key
          ORDER BY parked_at, number LIMIT 1 FOR UPDATE SKIP LOCKED) next)"""


async def call_next(db: Session, lock_keys: Sequence[str]) -> None:
    """Call back, for each lock key that is free now, the job that has waited longest for it."""
    await db.execute(_CALL, sorted(set(lock_keys)))
