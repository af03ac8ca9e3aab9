"""A disk that is full, read-only or locked: callers are told, nothing is half written, and it comes back by itself."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.errors import StoreUnavailableError
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0, make_delivery, make_job

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path, busy_timeout=0.1)
    await made.open()
    yield made
    await made.close()


async def test_a_full_database_refuses_and_recovers(store: SqliteStore) -> None:
    """SQLite's own limit on pages gives the same error as a full disk, in the middle of a transaction."""
    await store.add_delivery(make_delivery("before"))
    pages = await store._db.write(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store._db.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 10}").fetchone())
    outcomes = await asyncio.gather(
        *[store.add_delivery(make_delivery(f"msg_{n}", body=b"x" * 20_000)) for n in range(40)], return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {type(error) for error in refused} == {StoreUnavailableError}
    assert "full" in str(refused[0])
    with pytest.raises(StoreUnavailableError):
        await store.put_meta("key", "x" * 400_000)
    assert store.deliveries_waiting == 0
    await store._db.write(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert (await store.add_delivery(make_delivery("after")))[1] is False
    await store.ping(now=T0)
    stored = len(outcomes) - len(refused)
    assert (await store.backlog()).deliveries == 2 + stored
    assert await store._db.write(lambda db: db.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"


DISK_FULL = """
import asyncio, pathlib, resource, signal, sys
from storage.errors import StoreUnavailableError
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0, make_delivery
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    store = SqliteStore(pathlib.Path(sys.argv[1]))
    await store.open()
    await store.add_delivery(make_delivery("before"))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(file.stat().st_size for file in pathlib.Path(sys.argv[1]).parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 400_000, limit[1]))
    outcomes = []
    for n in range(100):
        try:
            await store.add_delivery(make_delivery(f"msg_{n}", body=b"x" * 20_000))
            outcomes.append(True)
        except StoreUnavailableError:
            outcomes.append(False)
    assert outcomes[0] and not outcomes[-1], outcomes
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (await store.add_delivery(make_delivery("after")))[1] is False
    stored = (await store.backlog()).deliveries
    await store.close()
    print(stored == sum(outcomes) + 2)
asyncio.run(main())
"""


async def test_a_full_disk_refuses_and_recovers(path: Path) -> None:
    """The system itself refuses to let the files grow, as a full disk does, at whatever write comes next."""
    done = await asyncio.to_thread(run, DISK_FULL, path)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


READ_ONLY = """
import asyncio, ctypes, os, pathlib, struct, sys
from storage.errors import StoreUnavailableError
from storage.sqlite.store import SqliteStore
async def main():
    if os.geteuid() == 0:  # root may write anything, until it has given that up: capset(2) with no capabilities
        header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
        assert ctypes.CDLL(None).capset(header, none) == 0
    store = SqliteStore(pathlib.Path(sys.argv[1]), busy_timeout=0.1)
    try:
        await store.open()
    except StoreUnavailableError as error:
        print("refused", "readonly" in str(error) or "unable to open" in str(error))
    else:
        print("opened", await store.get_meta("config_version"))
    await store.close()
asyncio.run(main())
"""


def run(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", ["file", "folder"])
async def test_what_is_read_only_is_refused_and_opens_once_it_can_be_written(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / "store.db"
    made = SqliteStore(path)
    await made.open()
    await made.close()
    changed, mode = (path, 0o444) if what == "file" else (folder, 0o555)
    before = changed.stat().st_mode
    changed.chmod(mode)
    refused = await asyncio.to_thread(run, READ_ONLY, path)
    changed.chmod(before)
    assert refused.stdout == "refused True\n", refused.stderr
    opened = await asyncio.to_thread(run, READ_ONLY, path)
    assert opened.stdout == "opened 1\n", opened.stderr


async def test_a_database_locked_by_another_process_refuses_and_recovers(store: SqliteStore, path: Path) -> None:
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="locked"):
        await store.add_delivery(make_delivery("refused"))
    with pytest.raises(StoreUnavailableError, match="locked"):
        await store.ping(now=T0)
    assert await store.get_meta("config_version") == "1"  # reading goes on
    blocker.execute("ROLLBACK")
    blocker.close()
    assert (await store.add_delivery(make_delivery("refused")))[1] is False
    await store.ping(now=T0)


async def test_a_short_lock_is_waited_for(path: Path) -> None:
    patient = SqliteStore(path, busy_timeout=30)
    await patient.open()
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    adding = asyncio.ensure_future(patient.add_delivery(make_delivery()))
    await asyncio.sleep(0.3)
    assert not adding.done()
    blocker.execute("ROLLBACK")
    blocker.close()
    assert (await adding)[1] is False
    await patient.close()


async def test_what_fails_tells_nothing_of_what_it_was_about(store: SqliteStore) -> None:
    """The texts of errors go to logs and answers."""
    job = make_job("cust_secret", payload={"name": "Ada Lovelace"})
    await store.add_job(job, now=T0)
    with pytest.raises(Exception, match="UNIQUE") as caught:
        await store.add_job(job, now=T0)
    told = repr(caught.value) + str(caught.value)
    assert "cust_secret" not in told
    assert "Ada" not in told
