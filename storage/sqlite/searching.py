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

ABOUT_REVIEW = (
    f"(review_id IN {_THESE} OR entity_id IN {_THESE} OR job_id IN {_THESE}"
    f" OR job_id IN (SELECT job_id FROM jobs WHERE delivery_id IN {_THESE}))"
)
"""Where a review may hold an id; reviews are few, so that one condition does."""


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


def add_job_terms(where: Where, *, connection: str | None, error_code: str | None) -> None:
    """Narrow a list of deliveries by one of their jobs: errors are few and looked up first, connections are many."""
    if error_code is not None:
        and_there = " AND connection = ?" if connection is not None else ""
        given = (error_code,) if connection is None else (error_code, connection)
        where.add(f"delivery_id IN (SELECT delivery_id FROM jobs WHERE error_code = ?{and_there})", *given)
    elif connection is not None:
        of_it = "jobs.delivery_id = deliveries.delivery_id AND jobs.connection = ?"
        where.add(f"EXISTS (SELECT 1 FROM jobs WHERE {of_it})", connection)
