"""An installation moved from SQLite to PostgreSQL: every row of every table, in one transaction, and then compared."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from storage.errors import ConflictError, StorageError, StoreUnavailableError
from storage.postgres import driver
from storage.postgres.connection import connect, ours, plain
from storage.postgres.store import PostgresStore
from storage.sqlite.connection import connect as open_file
from storage.sqlite.store import SqliteStore

Progress = Callable[[str, int, int], None]
"""Called with a table, its rows done, and its rows in all."""
TABLES = (
    "meta", "sources", "connections", "secrets", "tokens", "facts", "leases", "keys", "deliveries", "bodies", "jobs",
    "attempts", "mappings", "intents", "guards", "customers", "reviews", "source_activity", "rejections",
    "rejection_counts", "audit", "budgets", "circuits", "channels", "alerts", "alert_messages",
)  # fmt: skip
"""Every table but `schema_migrations`, whose rows each backend writes itself."""
COUNTED = {
    "deliveries": "number", "jobs": "number", "reviews": "number", "rejections": "number", "audit": "audit_id",
    "alert_messages": "number",
}  # fmt: skip
"""Tables whose rows are numbered by the database, and the column that holds the number."""
CHUNK = 5000
_GO_ON_COUNTING = """
SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 0) + 1, false) FROM {table}"""
_OWN_META = ("config_version", "pinged_at")
_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    """How many rows a table has, and a hash over all of them which does not depend on their order."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    """What was copied: the same in the source and in the target, by table."""

    tables: dict[str, TableReport]

    @property
    def rows(self) -> int:
        """Return how many rows were copied in all."""
        return sum(table.rows for table in self.tables.values())


async def copy_store(source: SqliteStore, target: PostgresStore, progress: Progress) -> CopyReport:
    """Copy all of an installation, and compare count and hash of every table before anything is committed.

    Both stores have been opened, so that their schemas are up to date; nothing else may be using the source, which is
    noticed. `progress` is called as rows are written. Raises ConflictError when the target is not empty, or when the
    source was written to meanwhile; StorageError when the copy is not equal; in all cases the target is as it was.
    """
    file = open_file(source.path, read_only=True)
    try:
        return await _copy(file, target, progress)
    except driver.GONE as error:
        raise ours(error) from error
    except sqlite3.Error as error:
        raise StoreUnavailableError(type(error).__name__) from error
    finally:
        file.close()


async def _copy(file: sqlite3.Connection, target: PostgresStore, progress: Progress) -> CopyReport:
    before = _data_version(file)
    file.execute("BEGIN")
    connection = await connect(target.url, command_timeout=None)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await connection.execute(f"LOCK TABLE {', '.join(TABLES)} IN EXCLUSIVE MODE")
            await _assert_empty(connection)
            await connection.execute("DELETE FROM meta")
            report = CopyReport(
                tables={table: await _copy_table(file, connection, table, progress) for table in TABLES}
            )
            for table, column in COUNTED.items():
                await connection.execute(_GO_ON_COUNTING.format(table=table, column=column))
            file.execute("ROLLBACK")
            if _data_version(file) != before:
                raise ConflictError("the source was written to during the copy; stop what uses it, then copy again")
    finally:
        connection.terminate()
    return report


async def _assert_empty(connection: driver.Connection) -> None:
    own = ", ".join(f"'{key}'" for key in _OWN_META)
    for table in TABLES:
        where = f" WHERE key NOT IN ({own})" if table == "meta" else ""
        if await connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table}{where})"):
            msg = f"the target is not empty: there are rows in {table}"
            raise ConflictError(msg)


async def _copy_table(
    file: sqlite3.Connection, connection: driver.Connection, table: str, progress: Progress
) -> TableReport:
    columns = [row["name"] for row in file.execute(f"PRAGMA table_info({table})")]
    total = file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    rows = file.execute(f"SELECT {', '.join(columns)} FROM {table}")
    read = _Sum()
    while chunk := await asyncio.to_thread(_next_chunk, rows, read):
        await connection.copy_records_to_table(table, records=chunk, columns=columns)
        progress(table, read.rows, total)
    written = await _summed(connection, table, columns)
    if written.report() != read.report():
        msg = f"the copy of {table} is not equal: {read.rows} rows became {written.rows}, or their content differs"
        raise StorageError(msg)
    return read.report()


def _next_chunk(rows: sqlite3.Cursor, read: "_Sum") -> list[tuple[Any, ...]]:
    chunk = [tuple(plain(value) for value in row) for row in rows.fetchmany(CHUNK)]
    read.add(chunk)
    return chunk


async def _summed(connection: driver.Connection, table: str, columns: Sequence[str]) -> "_Sum":
    found = _Sum()
    cursor = await connection.cursor(f"SELECT {', '.join(columns)} FROM {table}")
    while chunk := await cursor.fetch(CHUNK):
        await asyncio.to_thread(found.add, [tuple(row) for row in chunk])
    return found


class _Sum:
    """The count of rows, and the sum of their hashes: the same in any order, and another when a row comes twice."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows into the sum."""
        for row in rows:
            self._sum += int.from_bytes(hashlib.sha256(b"".join(_parts(row))).digest(), "big")
            self.rows += 1
        self._sum %= _MODULUS

    def report(self) -> TableReport:
        """Return what the rows so far come to."""
        return TableReport(rows=self.rows, sha256=f"{self._sum:064x}")


def _parts(row: Sequence[Any]) -> Iterator[bytes]:
    """Return a row as bytes, no two rows the same: each value with its kind and its length before it."""
    for value in row:
        content = value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
        yield b"%s%d:" % (type(value).__name__.encode(), len(content))
        yield content


def _data_version(file: sqlite3.Connection) -> int:
    return int(file.execute("PRAGMA data_version").fetchone()[0])
