"""The newest rows of a table, and searches among them: one look-up in an index for each place where an id may stand."""

import sqlite3
from collections.abc import Sequence

from storage.limits import MAX_LOOKED
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
    db: sqlite3.Connection,
    table: str,
    where: Where,
    sieve: Where,
    *,
    places: Sequence[str],
    about: Sequence[str] | None,
    limit: int,
) -> tuple[list[sqlite3.Row], int | None]:
    """Return the newest rows; with `about`, those that hold one of these ids in one of the places.

    No index knows of what is in `sieve`: not more than MAX_LOOKED rows are looked through for it. Where that was not
    enough, the number of the last of them follows, else None.
    """
    if about is not None:
        where.join(sieve)
        arm = "SELECT * FROM (SELECT * FROM {}{} ORDER BY number DESC LIMIT ?)"
        arms = [arm.format(table, where.having(place)) for place in places]
        bound = [*where.values, array(about), limit] * len(arms)
        query = f"{' UNION '.join(arms)} ORDER BY number DESC LIMIT ?"
        return db.execute(query, [*bound, limit]).fetchall(), None
    if not sieve:
        query = f"SELECT * FROM {table}{where} ORDER BY number DESC LIMIT ?"
        return db.execute(query, [*where.values, limit]).fetchall(), None
    # SQLite goes through the inner query row by row, in its order, and stops when it has enough:
    # https://www.sqlite.org/optoverview.html#subqueries_using_co_routines
    looked = f"SELECT * FROM {table}{where} ORDER BY number DESC LIMIT {MAX_LOOKED:d}"
    query = f"SELECT * FROM ({looked}) AS looked{sieve} LIMIT ?"
    found = db.execute(query, [*where.values, *sieve.values, limit]).fetchall()
    if len(found) == limit:
        return found, None
    last = f"SELECT number FROM {table}{where} ORDER BY number DESC LIMIT 1 OFFSET {MAX_LOOKED - 1:d}"
    row = db.execute(last, where.values).fetchone()
    return found, None if row is None else row["number"]


def with_error(where: Where, error_code: str | None, *, connection: str | None) -> None:
    """Narrow a list of deliveries to those with a job whose last attempt had this error: they are few, and indexed."""
    if error_code is not None:
        and_there = " AND connection = ?" if connection is not None else ""
        given = (error_code,) if connection is None else (error_code, connection)
        where.add(f"delivery_id IN (SELECT delivery_id FROM jobs WHERE error_code = ?{and_there})", *given)


def with_connection(sieve: Where, connection: str | None, *, searched: bool) -> None:
    """Narrow a list of deliveries, or what is `searched` among them, to those with a job of this connection."""
    if connection is not None:
        of_it = f"jobs.delivery_id = {'deliveries' if searched else 'looked'}.delivery_id AND jobs.connection = ?"
        sieve.add(f"EXISTS (SELECT 1 FROM jobs WHERE {of_it})", connection)
