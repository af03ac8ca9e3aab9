"""What may need a person: a few look-ups in indexes, however much has gathered."""

from datetime import datetime

from storage import rows
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.records import Attention
from storage.scalars import micros, moment

_FAILED = """
SELECT tenant_id, environment_id, coalesce(error_code, '') AS label, count(*) AS count, max(updated_at) AS newest_at
  FROM jobs WHERE status = 'failed' GROUP BY tenant_id, environment_id, error_code"""
_REVIEWS = """
SELECT tenant_id, environment_id, kind AS label, count(*) AS count, max(created_at) AS newest_at
  FROM reviews WHERE status = 'open' GROUP BY tenant_id, environment_id, kind"""
# One look-up for each gate, however much waits behind it.
_OLDEST = """
WITH RECURSIVE gates (gate) AS (
    SELECT min(gate) FROM jobs WHERE status = 'pending'
    UNION ALL
    SELECT (SELECT min(gate) FROM jobs WHERE status = 'pending' AND gate > gates.gate)
      FROM gates WHERE gate IS NOT NULL)
SELECT gate, (SELECT min(next_attempt_at) FROM jobs WHERE status = 'pending' AND gate = gates.gate) AS due
  FROM gates
 WHERE gate IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.name = gates.gate AND c.status <> 'active')"""
_UNDISPATCHED = """
SELECT source, received_at FROM deliveries
 WHERE status = 'pending' AND status NOT IN ('processed', 'ignored') AND dispatched = 0 ORDER BY number LIMIT 1"""
_REFUSED = "SELECT source, reason, count(*) AS count FROM rejections WHERE at >= $1 GROUP BY source, reason"


class Attending:
    """The part of the store that alerts are seen from."""

    _db: Database

    async def attention(self, *, now: datetime, refused_since: datetime) -> Attention:
        """Return what may need a person: dead letters, reviews, work overdue by `now`, signatures refused of late."""

        async def work(db: Session) -> Attention:
            due = [(row["gate"], row["due"]) for row in await db.rows(_OLDEST)]
            waiting = await db.row(_UNDISPATCHED)
            refused = await db.rows(_REFUSED, micros(refused_since))
            return Attention(
                failed=[rows.counted(row) for row in await db.rows(_FAILED)],
                reviews=[rows.counted(row) for row in await db.rows(_REVIEWS)],
                oldest_due={gate: moment(at) for gate, at in due if at is not None and at <= micros(now)},
                oldest_undispatched=None if waiting is None else (waiting["source"], moment(waiting["received_at"])),
                refused=[(row["source"], row["reason"], row["count"]) for row in refused],
            )

        return await self._db.read(work)
