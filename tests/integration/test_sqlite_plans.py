"""The hot paths of the SQLite store look things up: they scan no table, and cost the same however much there is."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.sqlite.store import SqliteStore
from tests.hot_paths import HOT, PAST, settle_in

HARMLESS = ("SCAN json_each", "SCAN CONSTANT ROW", "SCAN (", "SCAN gates", "SCAN circuits", "SCAN known", "SCAN looked")
"""What is scanned and does not grow: the values of a question, a row made up, a sub-query, the gates there are,
those of them that are in trouble, and the rows that are looked through for one page."""


# Rows of the past, made by the database itself.
FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO {table} ({columns}) SELECT {values} FROM n"""
FEW, MANY = 2_500, 50_000


async def gather_past(store: SqliteStore, count: int) -> None:
    """Fill every table that grows with so many rows from the past."""

    def work(db: sqlite3.Connection) -> None:
        for table, columns in PAST.items():
            names, expressions = ", ".join(columns), ", ".join(columns.values())
            db.execute(FILL.format(count=count, table=table, columns=names, values=expressions))

    await store._db.write(work)


class Traced:
    """A store, every statement that its connections run, and how many steps of SQLite's machine these take."""

    def __init__(self, store: SqliteStore, path: Path) -> None:
        self.store = store
        self.statements: list[str] = []
        self.steps = 0
        self._path = path

    async def begin(self) -> None:
        """Have all connections made, then listen to them."""
        for slow in (False, True):
            barrier = [self.store._db.read(_rest, slow=slow) for _ in range(8)]
            await asyncio.gather(*barrier)
        for connection in [*self.store._db._readers._connections, *self.store._db._lists._connections]:
            self._listen(connection)
        await self.store._db.write(self._listen)
        self.forget()

    def _listen(self, connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(self.statements.append)
        connection.set_progress_handler(self._count, 10)

    def _count(self) -> None:
        self.steps += 10

    def forget(self) -> None:
        """Forget what was heard."""
        self.statements.clear()
        self.steps = 0

    def scans(self) -> list[str]:
        """Return what the statements scan, with the statement."""
        with sqlite3.connect(self._path) as plain:
            found = []
            for statement in self.statements:
                if statement.split(None, 1)[0].upper() not in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
                    continue
                steps = [row[3] for row in plain.execute(f"EXPLAIN QUERY PLAN {statement}")]
                scans = [step for step in steps if step.startswith("SCAN") and not step.startswith(HARMLESS)]
                found += [f"{step}: {' '.join(statement.split())}" for step in scans]
        plain.close()
        return found


def _rest(db: sqlite3.Connection) -> None:
    db.execute("SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
               " SELECT i FROM n)").fetchone()  # fmt: skip


async def open_traced(path: Path, *, past: int = 0) -> Traced:
    """Return a store with a little that is new on top of what is past."""
    store = SqliteStore(path)
    await store.open()
    if past:
        await gather_past(store, past)
    await settle_in(store)
    traced = Traced(store, path)
    await traced.begin()
    return traced


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    opened = await open_traced(tmp_path / "store.db")
    yield opened
    await opened.store.close()


async def test_no_table_is_scanned(traced: Traced) -> None:
    found: dict[str, list[str]] = {}
    for what, call in HOT.items():
        traced.forget()
        await call(traced.store)
        assert any(" FROM " in statement or "INSERT" in statement for statement in traced.statements), what
        found[what] = traced.scans()
    assert {what: scans for what, scans in found.items() if scans} == {}


async def test_a_scan_would_be_noticed(traced: Traced) -> None:
    await traced.store._db.read(lambda db: db.execute("SELECT * FROM jobs WHERE reason = 'x'").fetchall())
    assert [scan.split(":")[0] for scan in traced.scans()] == ["SCAN jobs"]


async def test_twenty_times_as_much_past_costs_no_more(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, which depend on nothing but the statements and the data."""
    steps: dict[str, list[int]] = {what: [] for what in HOT}
    for past in (FEW, MANY):
        traced = await open_traced(tmp_path / f"{past}.db", past=past)
        for what, call in HOT.items():
            traced.forget()
            await call(traced.store)
            steps[what].append(traced.steps)
        traced.forget()
        await traced.store._db.read(lambda db: db.execute("SELECT * FROM deliveries WHERE reason = 'x'").fetchall())
        steps.setdefault("control", []).append(traced.steps)
        await traced.store.close()
    control = steps.pop("control")
    assert control[1] > 10 * control[0]
    grown = {what: counts for what, counts in steps.items() if counts[1] > 1.3 * counts[0] + 1000}
    assert grown == {}
