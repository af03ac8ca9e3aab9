"""The file of the SQLite store: made safely, ours or left alone, brought up to date, backed up."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import sqlite_path, store_for
from storage.errors import SchemaError, StorageError, StoreUnavailableError
from storage.sqlite import connection, migrate
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0, make_delivery, make_link

ROOT = Path(__file__).resolve().parents[2]
OPEN_AND_CLOSE = """
import asyncio, pathlib, sys
from storage.sqlite.store import SqliteStore
async def main():
    store = SqliteStore(pathlib.Path(sys.argv[1]))
    await store.open()
    await store.close()
asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path)
    await made.open()
    yield made
    await made.close()


async def opened_and_closed(path: Path) -> None:
    made = SqliteStore(path)
    try:
        await made.open()
    finally:
        await made.close()


def schema(path: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master ORDER BY 1, 2").fetchall()
    db.close()
    return [tuple(row) for row in rows]


async def test_a_commit_is_on_disk_when_it_returns(store: SqliteStore) -> None:
    """Read back from the connection that writes: WAL, synchronous=FULL, foreign keys."""

    def settings(db: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store._db.write(settings) == ["wal", 2, 1, 5000]


async def test_readers_cannot_write(store: SqliteStore) -> None:
    for slow in (False, True):
        with pytest.raises(StoreUnavailableError, match="readonly"):
            await store._db.read(lambda db: db.execute("DELETE FROM meta"), slow=slow)


async def test_a_reader_sees_one_commit_from_beginning_to_end(store: SqliteStore) -> None:
    loop = asyncio.get_running_loop()

    def twice(db: sqlite3.Connection) -> list[object]:
        query = "SELECT value FROM meta WHERE key = 'k'"
        first = db.execute(query).fetchone()
        asyncio.run_coroutine_threadsafe(store.put_meta("k", "new"), loop).result(10)
        return [first, db.execute(query).fetchone()]

    assert await store._db.read(twice) == [None, None]
    assert await store.get_meta("k") == "new"


async def test_the_file_is_readable_by_its_owner_only(store: SqliteStore, path: Path) -> None:
    await store.add_delivery(make_delivery())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) == {"store.db", "store.db-wal", "store.db-shm"}
    assert set(modes.values()) == {0o600}


async def test_odd_names_are_only_names(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20 d;ü.db"
    await opened_and_closed(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("where", ["missing/store.db", "."])
async def test_a_file_that_cannot_be_made_is_named(tmp_path: Path, where: str) -> None:
    with pytest.raises(StoreUnavailableError, match=tmp_path.name):
        await opened_and_closed(tmp_path / where)


async def test_a_database_in_memory_would_keep_nothing_and_is_not_opened(tmp_path: Path) -> None:
    await opened_and_closed(tmp_path / ":memory:")
    assert (tmp_path / ":memory:").stat().st_size > 0


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE users (id)"],
        ["CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)", "INSERT INTO schema_migrations VALUES ('2021')"],
        ["CREATE TABLE schema_migrations (number INTEGER, name TEXT, applied_at INTEGER)"],
    ],
)
async def test_somebody_else_s_database_is_left_as_it_is(path: Path, statements: list[str]) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="none of ledgergate"):
        await opened_and_closed(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_a_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"name,amount\n" * 2000)
    with pytest.raises(SchemaError, match="not an SQLite database"):
        await opened_and_closed(path)
    assert path.read_bytes() == b"name,amount\n" * 2000


async def test_the_database_of_a_newer_version_is_refused(path: Path) -> None:
    await opened_and_closed(path)
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO schema_migrations VALUES (9999, '9999_future.sql', 0)")
    db.close()
    with pytest.raises(SchemaError, match="schema 9999 is newer"):
        await opened_and_closed(path)


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [number for number, _, _ in migrate.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_every_earlier_version_becomes_the_same_schema(path: Path, tmp_path: Path) -> None:
    await opened_and_closed(path)
    expected = schema(path)
    for number, _, _ in migrate.migrations():
        earlier = tmp_path / f"from_{number}.db"
        db = connection.connect(earlier)
        assert migrate.upgrade(db, to=number) == [name for n, name, _ in migrate.migrations() if n <= number]
        assert migrate.version(db) == number
        db.close()
        await opened_and_closed(earlier)
        assert schema(earlier) == expected


async def test_the_schema_is_the_one_that_was_agreed_upon(path: Path) -> None:
    """A change of the schema is a new migration, and is seen in the review as a change of this file."""
    await opened_and_closed(path)
    dump = "".join(f"{sql};\n" for kind, _, _, sql in schema(path) if sql and kind in {"table", "index"})
    kept = Path(__file__).with_name("sqlite_schema.sql")
    assert dump == kept.read_text("utf-8")


async def test_opening_again_applies_nothing(path: Path) -> None:
    await opened_and_closed(path)
    db = connection.connect(path)
    assert migrate.upgrade(db) == []
    db.close()


def test_a_migration_that_ends_in_the_middle_is_refused() -> None:
    with pytest.raises(SchemaError, match="middle of a statement"):
        list(migrate.statements("CREATE TABLE a (b);\nCREATE TABLE c (d"))
    assert list(migrate.statements("-- why\nCREATE TABLE a (b); \n-- the end\n")) == ["-- why\nCREATE TABLE a (b); \n"]


async def test_processes_that_start_together_make_one_database(path: Path) -> None:
    for _ in range(3):
        command = [sys.executable, "-c", OPEN_AND_CLOSE, str(path)]
        starting = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(5)]
        errors = [await asyncio.to_thread(process.communicate) for process in starting]
        assert [process.returncode for process in starting] == [0] * 5, errors
        for file in path.parent.iterdir():
            file.unlink()


async def test_a_deleted_file_takes_no_more_webhooks(store: SqliteStore, path: Path) -> None:
    """What is written to a deleted file is acknowledged and lost."""
    await store.add_delivery(make_delivery("before"))
    path.rename(path.with_suffix(".moved"))
    with pytest.raises(StoreUnavailableError):
        await store.add_delivery(make_delivery("after"))
    path.touch()
    with pytest.raises(StoreUnavailableError, match="deleted or replaced"):
        await store.add_delivery(make_delivery("after"))
    path.unlink()
    path.with_suffix(".moved").rename(path)
    await store.add_delivery(make_delivery("after"))


async def test_a_backup_is_whole_sound_and_private(store: SqliteStore, tmp_path: Path) -> None:
    for n in range(50):
        await store.add_delivery(make_delivery(f"msg_{n}"))
    target = tmp_path / "backup.db"
    await store.backup(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    copy = SqliteStore(target)
    await copy.open()
    assert (await copy.backlog()).deliveries == 50
    await copy.close()


async def test_a_backup_ends_however_much_is_written_meanwhile(store: SqliteStore, tmp_path: Path) -> None:
    for n in range(200):
        await store.add_delivery(make_delivery(f"msg_{n}", body=b"x" * 20_000))
    backing = asyncio.create_task(store.backup(tmp_path / "backup.db"))
    written = 0
    while not backing.done():
        await store.put_meta("counter", str(written))
        written += 1
    await backing
    assert written > 0
    with sqlite3.connect(tmp_path / "backup.db") as db:
        assert db.execute("SELECT count(*) FROM deliveries").fetchone()[0] == 200
    db.close()


async def test_a_backup_overwrites_nothing(store: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("keep me")
    with pytest.raises(StorageError, match="overwrites nothing"):
        await store.backup(target)
    assert target.read_text() == "keep me"


async def test_a_backup_that_fails_leaves_no_half_of_one(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError):
        await store.backup(tmp_path / "missing" / "backup.db")
    await store._db.write(lambda db: db.execute("DROP TABLE schema_migrations").rowcount)
    with pytest.raises(StorageError):
        await store.backup(tmp_path / "backup.db")
    assert not (tmp_path / "backup.db").exists()


@pytest.mark.parametrize(
    "url,path",
    [
        ("sqlite:///./ledgergate.db", Path("ledgergate.db")),
        ("sqlite:////var/lib/gate.db", Path("/var/lib/gate.db")),
        ("postgresql://localhost/gate", None),
    ],
)
def test_the_url_names_the_file(url: str, path: Path | None) -> None:
    assert sqlite_path(url) == path


async def test_the_store_of_a_url_is_the_one_of_its_file(path: Path) -> None:
    store = store_for(f"sqlite:///{path}")
    await store.open()
    await store.put_mapping(make_link(), now=T0)
    await store.close()
    assert path.exists()


@pytest.mark.parametrize("url", ["mysql://localhost/gate", "sqlite://gate.db", "gate.db", ""])
def test_an_unknown_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="database URL"):
        store_for(url)
