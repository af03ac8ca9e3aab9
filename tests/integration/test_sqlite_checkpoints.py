"""The write-ahead log is copied beside the writer: it stays short while deliveries pour in, and loses none of them."""

import asyncio
import errno
import os
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from storage.errors import StoreUnavailableError
from storage.sqlite import checkpoints, datafile
from storage.sqlite.store import SqliteStore
from storage.testing.making import make_delivery

BODY = b"x" * 16_000
ROUNDS, TOGETHER = 60, 50
LOOK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("SELECT * FROM meta").fetchall()
db.close()
"""


async def fill(store: SqliteStore, rounds: int = ROUNDS) -> None:
    for turn in range(rounds):
        await asyncio.gather(
            *[store.add_delivery(make_delivery(f"msg_{turn}_{n}", body=BODY)) for n in range(TOGETHER)]
        )


async def pass_by(path: Path) -> None:
    """Let another process come, look and go: were it the last, it would remove the log."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LOOK, path)
    assert await process.wait() == 0


def length(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


async def test_the_log_stays_short_while_much_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some 48 MB in a row, with SQLite's own checkpoints out of reach: the log is begun anew again and again."""
    monkeypatch.setattr("storage.sqlite.connection.PAGES_NET", 1_000_000)
    monkeypatch.setattr(checkpoints, "LONG_PAGES", 2_000)
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    await store.open()
    await fill(store)
    written = ROUNDS * TOGETHER * len(BODY)
    assert length(path) < written * 0.6
    await store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*), sum(length(body)) FROM bodies").fetchone() == (ROUNDS * TOGETHER, written)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


async def test_the_file_is_flushed_beside_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the writer, when it begins the log anew, does not wait for all that the disk has put off."""
    path = tmp_path / "store.db"
    flushed: set[tuple[str, int]] = set()

    def flush(descriptor: int) -> None:
        flushed.add((threading.current_thread().name, os.fstat(descriptor).st_ino))
        os.fdatasync(descriptor)

    monkeypatch.setattr(datafile, "_flush", flush)
    store = SqliteStore(path)
    await store.open()
    await fill(store, 10)
    await store.close()
    assert flushed == {("sqlite-checkpoints", path.stat().st_ino)}


async def test_a_store_that_closes_takes_no_locks_from_another_in_the_process(tmp_path: Path) -> None:
    """A process that closes any descriptor of a file loses its locks on it.

    The next one to come and go would then take itself for the last, and remove the log that is written to here.
    """
    path = tmp_path / "store.db"
    stays, goes = SqliteStore(path), SqliteStore(path)
    for store in (stays, goes):
        await store.open()
        await fill(store, 2)
    await goes.close()
    await pass_by(path)
    assert path.with_name(path.name + "-wal").exists()
    await stays.close()
    assert not path.with_name(path.name + "-wal").exists()


@pytest.mark.parametrize("by", ["us", "SQLite"])
async def test_what_the_disk_did_not_keep_is_copied_again_by_the_next_process(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush fails, and what it was for is gone, as it is on Linux: nothing is written any more, and the log stays."""
    path, before = tmp_path / "store.db", tmp_path / "before.db"
    store = SqliteStore(path)
    await store.open()
    await store.close()
    before.write_bytes(path.read_bytes())  # while it is closed: to close a file drops this process's locks on it
    store = SqliteStore(path)
    await store.open()

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def refuse_sqlite(_: sqlite3.Connection) -> None:
        raise an_error(sqlite3.SQLITE_IOERR_FSYNC)

    monkeypatch.setattr(checkpoints, "_copied", refuse_sqlite if by == "SQLite" else lambda _: 0)
    if by == "us":
        monkeypatch.setattr(datafile, "_flush", refuse)
    acknowledged: list[str] = []

    async def pour() -> None:
        for turn in range(ROUNDS * TOGETHER):
            delivery_id, _ = await store.add_delivery(make_delivery(f"msg_{turn}", body=BODY))
            acknowledged.append(delivery_id)

    with pytest.raises(StoreUnavailableError, match="did not keep"):
        await pour()
    with pytest.raises(StoreUnavailableError, match="did not keep"):
        await store.list_deliveries()
    await store.close()
    await pass_by(path)
    left = tmp_path / "left"
    left.mkdir()
    (left / "store.db").write_bytes(before.read_bytes())
    (left / "store.db-wal").write_bytes(path.with_name("store.db-wal").read_bytes())
    with sqlite3.connect(left / "store.db") as db:
        found = db.execute("SELECT delivery_id FROM deliveries JOIN bodies USING (number)")
        assert {row[0] for row in found} >= set(acknowledged) != set()
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def an_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


async def test_a_reader_that_stays_makes_the_log_long_and_nothing_worse(tmp_path: Path) -> None:
    """What it still sees cannot be copied over; once it has gone, the log shrinks back to use."""
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    await store.open()
    await fill(store, 2)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM bodies").fetchone() == (2 * TOGETHER,)
    for turn in range(2, 20):
        await asyncio.gather(
            *[store.add_delivery(make_delivery(f"more_{turn}_{n}", body=BODY)) for n in range(TOGETHER)]
        )
    assert reader.execute("SELECT count(*) FROM bodies").fetchone() == (2 * TOGETHER,)
    reader.execute("ROLLBACK")
    assert reader.execute("SELECT count(*) FROM bodies").fetchone() == (20 * TOGETHER,)
    reader.close()
    await store.close()


async def test_the_thread_ends_with_the_store(tmp_path: Path) -> None:
    """Also when nothing was ever written, and again after the store was opened again."""
    for _ in range(2):
        store = SqliteStore(tmp_path / "store.db")
        await store.open()
        assert "sqlite-checkpoints" in {thread.name for thread in threading.enumerate()}
        await store.close()
        assert "sqlite-checkpoints" not in {thread.name for thread in threading.enumerate()}


async def test_without_the_thread_sqlite_copies_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not open its connection: writing goes on, and the log stays bounded by SQLite's own net."""
    monkeypatch.setattr(checkpoints.Checkpoints, "_run", lambda _: None)
    monkeypatch.setattr("storage.sqlite.connection.PAGES_NET", 500)
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    await store.open()
    await fill(store)
    assert length(path) < 16 * 1024 * 1024
    await store.close()
