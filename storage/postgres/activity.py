"""When sources were heard, and what was refused at the door: a few rows of each, however much arrives."""

from collections.abc import Sequence
from datetime import datetime

from storage import rows, values
from storage.limits import KEPT_REJECTIONS, MAX_REJECTION_COUNTS, MAX_REJECTIONS
from storage.postgres.connection import Session, columns
from storage.postgres.database import Database
from storage.records import Rejection, SourceActivity
from storage.scalars import micros, moment_or_none

_HEARD = """
INSERT INTO source_activity (source, last_accepted_at) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (source) DO UPDATE
    SET last_accepted_at = greatest(source_activity.last_accepted_at, excluded.last_accepted_at)"""
_REFUSED = """
INSERT INTO rejections (source, at, reason, headers, body_sha256, body_bytes)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[])"""
_COUNT = """
INSERT INTO rejection_counts (source, reason, count)
SELECT source, reason, count FROM (
    SELECT n.*, c.source IS NOT NULL AS known, count(*) FILTER (WHERE c.source IS NULL) OVER (ORDER BY n.place) AS fresh
      FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS n (source, reason, count, place)
      LEFT JOIN rejection_counts c ON c.source = n.source AND c.reason = n.reason) told
 WHERE known OR fresh + (SELECT count(*) FROM rejection_counts) <= $4
ON CONFLICT (source, reason) DO UPDATE SET count = rejection_counts.count + excluded.count"""
_FORGET = """
DELETE FROM rejections WHERE number IN (
    SELECT number FROM (
        SELECT number, row_number() OVER (PARTITION BY source ORDER BY at DESC, number DESC) AS place
          FROM rejections WHERE source = ANY($1::text[])) kept
     WHERE place > $2)"""
_FORGET_OLDEST = """
DELETE FROM rejections WHERE number IN (
    SELECT number FROM rejections ORDER BY number LIMIT greatest(0, (SELECT count(*) FROM rejections) - $1))"""
_LAST = "SELECT * FROM rejections WHERE source = $1 ORDER BY at DESC, number DESC LIMIT $2"


class Activity:
    """The part of the store that deals with what happened at the door."""

    _db: Database

    async def note_activity(
        self, *, accepted: dict[str, datetime], rejected: Sequence[Rejection], counts: dict[tuple[str, str], int]
    ) -> None:
        """Write down when sources were heard and refused; the last few refusals of each source are kept.

        What is kept is bounded (storage/limits.py), whatever a stranger sends.
        """
        # In one order for all nodes, so that two never wait for each other.
        heard = [(name, micros(accepted[name])) for name in sorted(accepted)]
        counted = [(source, reason, counts[source, reason]) for source, reason in sorted(counts)]

        async def work(db: Session) -> None:
            if heard:
                await db.execute(_HEARD, *columns(heard, 2))
            if counted:
                await db.execute(_COUNT, *columns(counted, 3), MAX_REJECTION_COUNTS)
            if rejected:
                await db.execute(_REFUSED, *columns([values.rejection(refused) for refused in rejected], 6))
                await db.execute(_FORGET, sorted({refused.source for refused in rejected}), KEPT_REJECTIONS)
                await db.execute(_FORGET_OLDEST, MAX_REJECTIONS)

        await self._db.write(work, rings=False)

    async def source_activity(self, source: str) -> SourceActivity:
        """Return when a source last was heard and refused, with counts by reason."""

        async def work(db: Session) -> SourceActivity:
            heard = await db.value("SELECT last_accepted_at FROM source_activity WHERE source = $1", source)
            last = await db.row(_LAST, source, 1)
            counts = await db.rows("SELECT reason, count FROM rejection_counts WHERE source = $1", source)
            return SourceActivity(
                last_accepted_at=moment_or_none(heard),
                last_rejected=rows.rejection(last) if last else None,
                rejected={row["reason"]: row["count"] for row in counts},
            )

        return await self._db.read(work)

    async def list_rejections(self, source: str) -> Sequence[Rejection]:
        """Return the last refused requests of a source, newest first."""
        found = await self._db.run(lambda db: db.rows(_LAST, source, KEPT_REJECTIONS))
        return [rows.rejection(row) for row in found]
