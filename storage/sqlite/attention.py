"""What may need a person: a few look-ups in indexes, however much has gathered."""

import sqlite3
from datetime import datetime

from storage import rows
from storage.records import Attention
from storage.scalars import micros, moment
from storage.sqlite.database import Database

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
# The plus keeps SQLite from reading the whole table in the order of the sources.
_REFUSED = "SELECT source, reason, count(*) AS count FROM rejections WHERE at >= ? GROUP BY +source, reason"


class Attending:
    """The part of the store that alerts are seen from."""

    _db: Database

    async def attention(self, *, now: datetime, refused_since: datetime) -> Attention:
        """Return what may need a person: dead letters, reviews, work overdue by `now`, signatures refused of late."""

        def work(db: sqlite3.Connection) -> Attention:
            due = [(row["gate"], row["due"]) for row in db.execute(_OLDEST)]
            waiting = db.execute(_UNDISPATCHED).fetchone()
            return Attention(
                failed=[rows.counted(row) for row in db.execute(_FAILED)],
                reviews=[rows.counted(row) for row in db.execute(_REVIEWS)],
                oldest_due={gate: moment(at) for gate, at in due if at is not None and at <= micros(now)},
                oldest_undispatched=None if waiting is None else (waiting[0], moment(waiting[1])),
                refused=[(row[0], row[1], row[2]) for row in db.execute(_REFUSED, (micros(refused_since),))],
            )

        return await self._db.read(work, slow=True)
