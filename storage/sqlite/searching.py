"""The newest rows of a table, and searches among them: one look-up in an index for each place where an id may stand."""

import sqlite3
from collections.abc import Sequence

from storage.scalars import array
from storage.sqlite.where import Where

_THESE = "(SELECT value FROM json_each(?))"
DELIVERIES = tuple(f"{column} IN {_THESE}" for column in ("delivery_id", "delivery_key", "entity_id", "subject"))
"""Where a delivery may hold an id."""
JOBS = (
    *(f"{column} IN {_THESE}" for column in ("job_id", "delivery_id", "entity_id")),
    f"delivery_id IN (SELECT delivery_id FROM deliveries WHERE subject IN {_THESE})",
)
"""Where a job may hold an id; the subject is looked up at its delivery, which has an index on it."""


def newest(
    db: sqlite3.Connection, table: str, where: Where, *, places: Sequence[str], about: Sequence[str] | None, limit: int
) -> list[sqlite3.Row]:
    """Return the newest rows; with `about`, those that hold one of these ids in one of the places."""
    if about is None:
        return db.execute(
            f"SELECT * FROM {table}{where} ORDER BY number DESC LIMIT ?", [*where.values, limit]
        ).fetchall()
    arms = [
        f"SELECT * FROM (SELECT * FROM {table}{where.having(place)} ORDER BY number DESC LIMIT ?)" for place in places
    ]
    bound = [*where.values, array(about), limit] * len(arms)
    return db.execute(f"{' UNION '.join(arms)} ORDER BY number DESC LIMIT ?", [*bound, limit]).fetchall()
