"""The disk says once that it did not keep what was copied into the database: the log, which has it, must not go."""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from storage.sqlite.store import SqliteStore
from tests.crash.nursery import ROOT

pytestmark = pytest.mark.strace

FROM = 5
"""The flush of the database file from which on each fails: some are of the start."""
POUR = """
import asyncio, sys
from pathlib import Path
from storage.errors import StoreUnavailableError
from storage.sqlite.store import SqliteStore
from storage.testing.making import make_delivery

async def pour():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    try:
        for turn in range(2000):
            stored = await store.add_delivery(make_delivery(f"msg_{turn}", body=b"x" * 16_000))
            print(stored[0], flush=True)
    except StoreUnavailableError as error:
        print(error.detail, file=sys.stderr)
    await store.close()

asyncio.run(pour())
"""


async def test_a_flush_that_fails_is_the_last_of_its_process_and_the_next_one_has_everything(tmp_path: Path) -> None:
    """By the system call itself, whoever makes it: the thread that copies, SQLite in it, or SQLite in the writer."""
    path = tmp_path / "store.db"
    made = SqliteStore(path)
    await made.open()
    await made.close()
    process = await asyncio.create_subprocess_exec(
        "strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull, "-P", str(path), "-e", "trace=fdatasync",
        "-e", f"inject=fdatasync:error=EIO:when={FROM}+", sys.executable, "-c", POUR, str(path),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, complained = await process.communicate()
    acknowledged = set(told.decode().split())
    assert b"did not keep what was written" in complained
    assert acknowledged
    assert path.with_name("store.db-wal").stat().st_size
    with sqlite3.connect(path) as db:
        there = {row[0] for row in db.execute("SELECT delivery_id FROM deliveries JOIN bodies USING (number)")}
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert there >= acknowledged
