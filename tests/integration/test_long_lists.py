"""A list of what came once, long ago: a page looks through so many rows and no more, and the next one goes on there."""

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from storage.base import Store
from storage.limits import MAX_LOOKED
from storage.postgres.store import PostgresStore
from storage.records import DeliveryStatus, JobStatus, Page
from storage.sqlite.store import SqliteStore
from storage.testing.making import HERE, dispatch_jobs, make_job
from tests.hot_paths import PAST
from tests.postgres_setup import run

SINCE = MAX_LOOKED + 100
ON_SQLITE = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) INSERT INTO {into} FROM n"
)
ON_POSTGRES = "INSERT INTO {into} FROM generate_series(1, {count}) AS n (i)"
Listing = Callable[..., Awaitable[Page[Any]]]


def filling(statement: str) -> list[str]:
    """Return statements that add what has come since, a year of it."""
    into = [
        f"{table} ({', '.join(PAST[table])}) SELECT {', '.join(PAST[table].values())}"
        for table in ("deliveries", "jobs")
    ]
    return [statement.format(into=each, count=SINCE) for each in into]


async def make_rare(store: Store) -> None:
    """Add the one delivery and job of another connection, kind and source."""
    await dispatch_jobs(store, "rare", make_job("rare", connection="qbo", kind="write_back", source="other"))


async def pages_of(listing: Listing, **filters: Any) -> list[int]:
    """Return how many items each page has, up to the last."""
    counts, cursor = [], None
    while True:
        page = await listing(HERE, cursor=cursor, **filters)
        counts.append(len(page.items))
        cursor = page.next_cursor
        if cursor is None:
            return counts


async def assert_bounded(store: Store) -> None:
    assert await pages_of(store.list_deliveries, connection="qbo") == [0, 1]
    assert await pages_of(store.list_deliveries, event_type="never") == [0, 0]
    assert await pages_of(store.list_deliveries, status=DeliveryStatus.IGNORED) == [0, 0]
    assert await pages_of(store.list_jobs, connection="qbo") == [0, 1]
    assert await pages_of(store.list_jobs, kind="write_back", source="other") == [0, 1]
    assert await pages_of(store.list_jobs, status=JobStatus.CANCELLED) == [0, 0]
    # What an index knows of, or what is on the first page, takes one page as ever.
    assert len((await store.list_deliveries(HERE, connection="nomod", limit=10)).items) == 10
    assert await pages_of(store.list_deliveries, about=["rare"], connection="qbo") == [1]
    assert await pages_of(store.list_jobs, entity_id="rare", connection="qbo") == [1]
    assert await pages_of(store.list_deliveries, status=DeliveryStatus.FAILED) == [0]


async def test_a_page_looks_through_so_many_rows_of_a_sqlite_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    await store.open()
    await make_rare(store)

    def fill(db: sqlite3.Connection) -> None:
        for statement in filling(ON_SQLITE):
            db.execute(statement)

    await store._db.write(fill)
    await assert_bounded(store)
    await store.close()


@pytest.mark.postgres
async def test_a_page_looks_through_so_many_rows_on_postgresql(postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    await store.open()
    await make_rare(store)
    await run(postgres_url, *filling(ON_POSTGRES))
    await assert_bounded(store)
    await store.close()
