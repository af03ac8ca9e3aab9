"""The hot paths of the PostgreSQL store look things up: over a long past, none reads a table whole."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from storage.postgres.database import MAX_CONNECTIONS
from storage.postgres.store import PostgresStore
from tests.hot_paths import HOT, PAST, settle_in
from tests.postgres_setup import NewDatabase, run

pytestmark = pytest.mark.postgres
MANY = 20_000
BIG = {*PAST, "bodies"}
FILL = "INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, {count}) AS n (i)"


class Listening:
    """A store, and every statement that its sessions run, with its values."""

    def __init__(self, store: PostgresStore, url: str) -> None:
        self.store = store
        self.statements: list[tuple[str, tuple[Any, ...]]] = []
        self._url = url

    async def begin(self) -> None:
        """Have all sessions made, then listen to them."""
        pool: Any = self.store._db._pool
        async with AsyncExitStack() as stack:
            for _ in range(MAX_CONNECTIONS):
                connection = await stack.enter_async_context(pool.acquire())
                connection.add_query_logger(self._heard)
        door: Any = self.store._db.door._connection
        door.add_query_logger(self._heard)

    def _heard(self, heard: Any) -> None:
        self.statements.append((heard.query, heard.args))

    async def whole(self) -> list[str]:
        """Return which tables the statements would read whole, with the statement."""
        found = []
        plain = await asyncpg.connect(self._url)
        for statement, args in self.statements:
            if statement.split(None, 1)[0] not in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
                continue
            for row in await plain.fetch(f"EXPLAIN {statement}", *args):
                step: str = row[0].strip(" ->")
                if step.startswith("Seq Scan on ") and step.split()[3] in BIG:
                    found.append(f"{step.split('  ', maxsplit=1)[0]}: {' '.join(statement.split())}")
        await plain.close()
        return found


@pytest.fixture
async def listening(new_database: NewDatabase) -> AsyncIterator[Listening]:
    """Return a store with a little that is new on top of a long past."""
    url = await new_database()
    fill = [
        FILL.format(table=table, columns=", ".join(of), values=", ".join(of.values()), count=MANY)
        for table, of in PAST.items()
    ]
    await run(url, *fill, "INSERT INTO bodies SELECT number, 'h', 'b' FROM deliveries", "VACUUM ANALYZE")
    store = PostgresStore(url)
    await store.open()
    await settle_in(store)
    heard = Listening(store, url)
    await heard.begin()
    yield heard
    await store.close()


async def test_no_large_table_is_read_whole(listening: Listening) -> None:
    found = {}
    for what, call in HOT.items():
        listening.statements.clear()
        await call(listening.store)
        assert listening.statements, what
        found[what] = await listening.whole()
    assert {what: whole for what, whole in found.items() if whole} == {}
    listening.statements.clear()
    await listening.store._db.run(lambda db: db.rows("SELECT * FROM jobs WHERE reason = $1", "x"))
    assert [whole.split(":")[0] for whole in await listening.whole()] == ["Seq Scan on jobs"]
