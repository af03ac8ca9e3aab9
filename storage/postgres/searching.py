"""The newest rows of a table, and searches among them: one look-up in an index for each place where an id may stand."""

from collections.abc import Sequence

from storage.limits import MAX_LOOKED
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
    db: Session,
    table: str,
    where: Where,
    sieve: Where,
    *,
    places: Sequence[str],
    about: Sequence[str] | None,
    limit: int,
) -> tuple[Sequence[Row], int | None]:
    """Return the newest rows; with `about`, those that hold one of these ids in one of the places.

    No index knows of what is in `sieve`, made by `where.beside()`: not more than MAX_LOOKED rows are looked through for
    it. Where that was not enough, the number of the last of them follows, else None.
    """
    if about is not None:
        where.join(sieve)
        ids = f"${len(where.values) + 1}::text[]"
        arms = [
            f"(SELECT * FROM {table}{where.with_term(place.format(ids))} ORDER BY number DESC LIMIT {limit:d})"
            for place in places
        ]
        query = f"{' UNION '.join(arms)} ORDER BY number DESC LIMIT {limit:d}"
        return await db.rows(query, *where.values, list(about)), None
    ordered = f"FROM {table}{where} ORDER BY number DESC"
    if not sieve:
        return await db.rows(f"SELECT * {ordered} LIMIT {limit:d}", *where.values), None
    looked = f"(SELECT * {ordered} LIMIT {MAX_LOOKED:d}) AS looked"
    found = await db.rows(f"SELECT * FROM {looked}{sieve} ORDER BY number DESC LIMIT {limit:d}", *where.values)
    if len(found) == limit:
        return found, None
    last = f"SELECT number {ordered} LIMIT 1 OFFSET {MAX_LOOKED - 1:d}"
    return found, await db.value(last, *where.values[: sieve.first])


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
