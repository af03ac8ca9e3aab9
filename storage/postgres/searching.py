"""The newest rows of a table, and searches among them: one look-up in an index for each place where an id may stand."""

from collections.abc import Sequence

from storage.postgres.connection import Session
from storage.postgres.where import Where
from storage.rows import Row

DELIVERIES = tuple(f"{column} = ANY({{0}})" for column in ("delivery_id", "delivery_key", "entity_id", "subject"))
"""Where a delivery may hold an id."""
JOBS = (
    *(f"{column} = ANY({{0}})" for column in ("job_id", "delivery_id", "entity_id")),
    "delivery_id IN (SELECT delivery_id FROM deliveries WHERE subject = ANY({0}))",
)
"""Where a job may hold an id; the subject is looked up at its delivery, which has an index on it."""

ABOUT_REVIEW = (
    "(review_id = ANY(?::text[]) OR entity_id = ANY(?::text[]) OR job_id = ANY(?::text[])"
    " OR job_id IN (SELECT job_id FROM jobs WHERE delivery_id = ANY(?::text[])))"
)
"""Where a review may hold an id; reviews are few, so that one condition does."""


async def newest(
    db: Session, table: str, where: Where, *, places: Sequence[str], about: Sequence[str] | None, limit: int
) -> Sequence[Row]:
    """Return the newest rows; with `about`, those that hold one of these ids in one of the places."""
    if about is None:
        return await db.rows(f"SELECT * FROM {table}{where} ORDER BY number DESC LIMIT {limit:d}", *where.values)
    ids = f"${len(where.values) + 1}::text[]"
    arms = [
        f"(SELECT * FROM {table}{where.with_term(place.format(ids))} ORDER BY number DESC LIMIT {limit:d})"
        for place in places
    ]
    query = f"{' UNION '.join(arms)} ORDER BY number DESC LIMIT {limit:d}"
    return await db.rows(query, *where.values, list(about))


def add_job_terms(where: Where, *, connection: str | None, error_code: str | None) -> None:
    """Narrow a list of deliveries by one of their jobs: errors are few and looked up first, connections are many."""
    if error_code is not None:
        and_there = " AND connection = ?" if connection is not None else ""
        given = (error_code,) if connection is None else (error_code, connection)
        where.add(f"delivery_id IN (SELECT delivery_id FROM jobs WHERE error_code = ?{and_there})", *given)
    elif connection is not None:
        of_it = "jobs.delivery_id = deliveries.delivery_id AND jobs.connection = ?"
        where.add(f"EXISTS (SELECT 1 FROM jobs WHERE {of_it})", connection)
