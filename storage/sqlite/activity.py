"""When sources were heard, and what was refused at the door: a few rows of each, however much arrives."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import rows, values
from storage.limits import KEPT_REJECTIONS, MAX_REJECTION_COUNTS, MAX_REJECTIONS
from storage.records import Rejection, SourceActivity
from storage.scalars import micros, moment_or_none
from storage.sqlite.database import Database

_HEARD = """
INSERT INTO source_activity (source, last_accepted_at) VALUES (?, ?)
ON CONFLICT (source) DO UPDATE SET last_accepted_at = max(last_accepted_at, excluded.last_accepted_at)"""
_REFUSED = "INSERT INTO rejections (source, at, reason, headers, body_sha256, body_bytes) VALUES (?, ?, ?, ?, ?, ?)"
_COUNT = """
INSERT INTO rejection_counts (source, reason, count)
SELECT :source, :reason, :count
 WHERE (SELECT count(*) FROM rejection_counts) < :most
    OR EXISTS (SELECT 1 FROM rejection_counts WHERE source = :source AND reason = :reason)
ON CONFLICT (source, reason) DO UPDATE SET count = count + excluded.count"""
_FORGET = """
DELETE FROM rejections WHERE source = :source AND number NOT IN
       (SELECT number FROM rejections WHERE source = :source ORDER BY at DESC, number DESC LIMIT :kept)"""
_FORGET_OLDEST = """
DELETE FROM rejections WHERE number IN
       (SELECT number FROM rejections ORDER BY number LIMIT max(0, (SELECT count(*) FROM rejections) - ?))"""
_LAST = "SELECT * FROM rejections WHERE source = ? ORDER BY at DESC, number DESC LIMIT ?"


class Activity:
    """The part of the store that deals with what happened at the door."""

    _db: Database

    async def note_activity(
        self, *, accepted: dict[str, datetime], rejected: Sequence[Rejection], counts: dict[tuple[str, str], int]
    ) -> None:
        """Write down when sources were heard and refused; the last few refusals of each source are kept."""

        def work(db: sqlite3.Connection) -> None:
            db.executemany(_HEARD, [(name, micros(at)) for name, at in accepted.items()])
            db.executemany(_REFUSED, [values.rejection(refused) for refused in rejected])
            for (source, reason), count in counts.items():
                db.execute(
                    _COUNT, {"source": source, "reason": reason, "count": count, "most": MAX_REJECTION_COUNTS}
                )  # fmt: skip
            for name in {refused.source for refused in rejected}:
                db.execute(_FORGET, {"source": name, "kept": KEPT_REJECTIONS})
            if rejected:
                db.execute(_FORGET_OLDEST, (MAX_REJECTIONS,))

        await self._db.write(work)

    async def source_activity(self, source: str) -> SourceActivity:
        """Return when a source last was heard and refused, with counts by reason."""

        def work(db: sqlite3.Connection) -> SourceActivity:
            heard = db.execute("SELECT last_accepted_at FROM source_activity WHERE source = ?", (source,)).fetchone()
            last = db.execute(_LAST, (source, 1)).fetchone()
            counts = db.execute("SELECT reason, count FROM rejection_counts WHERE source = ?", (source,))
            return SourceActivity(
                last_accepted_at=moment_or_none(heard[0] if heard else None),
                last_rejected=rows.rejection(last) if last else None,
                rejected={row[0]: row[1] for row in counts},
            )

        return await self._db.read(work)

    async def list_rejections(self, source: str) -> Sequence[Rejection]:
        """Return the last refused requests of a source, newest first."""
        return await self._db.read(
            lambda db: [rows.rejection(row) for row in db.execute(_LAST, (source, KEPT_REJECTIONS))]
        )
