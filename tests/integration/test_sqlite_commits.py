"""Group commit: what waits together is synced together, and what was acknowledged survives the process."""

import asyncio
import sqlite3
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from storage.errors import ConflictError, NotFoundError, OverloadedError
from storage.limits import MAX_WAITING_DELIVERIES
from storage.sqlite import checkpoints
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0, at, make_delivery, make_job

ROOT = Path(__file__).resolve().parents[2]
WAL_HEADER, FRAME_HEADER = 32, 24


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(checkpoints, "OFTEN_BYTES", 1 << 30)  # a log that was begun anew could not be counted
    made = SqliteStore(path, busy_timeout=0.2)
    await made.open()
    yield made
    await made.close()


def commits(path: Path) -> int:
    """Count the transactions in the write-ahead log: the frames that say how large the database is after them.

    https://www.sqlite.org/fileformat2.html#the_write_ahead_log
    """
    log = path.with_name(path.name + "-wal").read_bytes()
    page_size, salt = struct.unpack(">I", log[8:12])[0], log[16:24]
    count = 0
    for begin in range(WAL_HEADER, len(log) - FRAME_HEADER, FRAME_HEADER + page_size):
        if log[begin + 8 : begin + 16] != salt:
            break
        count += struct.unpack(">I", log[begin + 4 : begin + 8])[0] > 0
    return count


async def test_deliveries_that_arrive_together_share_a_commit(store: SqliteStore, path: Path) -> None:
    before = commits(path)
    await asyncio.gather(*[store.add_delivery(make_delivery(f"msg_{n}")) for n in range(300)])
    assert 1 <= commits(path) - before <= 10
    before = commits(path)
    await store.add_delivery(make_delivery("alone"))
    assert commits(path) - before == 1


async def test_other_work_shares_it_too(store: SqliteStore, path: Path) -> None:
    before = commits(path)
    await asyncio.gather(
        *[store.add_delivery(make_delivery(f"msg_{n}")) for n in range(50)],
        *[store.add_job(make_job(f"cust_{n}"), now=T0) for n in range(50)],
        *[store.put_meta(f"k{n}", "v") for n in range(50)],
    )
    assert 1 <= commits(path) - before <= 10


async def test_work_that_changes_nothing_costs_no_commit(store: SqliteStore, path: Path) -> None:
    before = commits(path)
    await store.claim_jobs({"nomod": 5}, owner="w1", now=T0, lease=at(30) - T0)
    await store.claim_deliveries(now=T0, lease=at(30) - T0, limit=5)
    await store.extend_leases({"job_none": 1}, owner="w1", until=at(30))
    assert commits(path) == before


async def test_a_piece_that_fails_does_not_spoil_the_others_of_its_commit(store: SqliteStore) -> None:
    job = make_job("first")
    await store.add_job(job, now=T0)
    outcomes = await asyncio.gather(
        *[store.add_job(make_job(f"cust_{n}"), now=T0) for n in range(20)],
        store.add_job(job, now=T0),
        store.retry_job("job_none", now=T0),
        store._db.write(_half_done),
        *[store.add_delivery(make_delivery(f"msg_{n}")) for n in range(20)],
        return_exceptions=True,
    )
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(error) for error in failed] == [ConflictError, NotFoundError, ZeroDivisionError]
    assert len((await store.list_jobs(limit=100)).items) == 21
    assert (await store.backlog()).deliveries == 20
    assert await store.get_meta("half") is None


def _half_done(db: sqlite3.Connection) -> float:
    db.execute("INSERT INTO meta VALUES ('half', 'done')")
    return 1 / 0


async def add(store: SqliteStore, key: str, **more: Any) -> tuple[str, bool]:
    return await store.add_delivery(make_delivery(key, **more))


async def test_a_full_queue_says_overloaded_and_stores_what_it_took(path: Path) -> None:
    store = SqliteStore(path, busy_timeout=60)
    await store.open()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    adding = [asyncio.create_task(add(store, f"msg_{n}")) for n in range(MAX_WAITING_DELIVERIES + 50)]
    await asyncio.sleep(0)
    refused = [task for task in adding if task.done()]
    assert len(refused) == 50
    assert {type(task.exception()) for task in refused} == {OverloadedError}
    assert store.deliveries_waiting == MAX_WAITING_DELIVERIES
    blocker.execute("ROLLBACK")
    blocker.close()
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    assert len([outcome for outcome in outcomes if isinstance(outcome, tuple)]) == MAX_WAITING_DELIVERIES
    assert (await store.backlog()).deliveries == MAX_WAITING_DELIVERIES
    assert store.deliveries_waiting == 0
    await store.close()


async def test_large_bodies_that_wait_are_bounded_by_their_size(path: Path) -> None:
    store = SqliteStore(path, busy_timeout=60)
    await store.open()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    body = b"x" * (5 * 1024 * 1024)
    adding = [asyncio.create_task(add(store, f"msg_{n}", body=body)) for n in range(30)]
    await asyncio.sleep(0)
    refused = [task for task in adding if task.done()]
    assert {type(task.exception()) for task in refused} == {OverloadedError}
    assert len(refused) == 30 - 13
    blocker.execute("ROLLBACK")
    blocker.close()
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    assert len([outcome for outcome in outcomes if isinstance(outcome, tuple)]) == 13
    await store.close()


CLAIMER = """
import asyncio, pathlib, sys
from datetime import timedelta
from storage.sqlite import checkpoints
from storage.sqlite.store import SqliteStore
from storage.testing.making import T0, make_settlement
async def main():
    path, owner = pathlib.Path(sys.argv[1]), sys.argv[2]
    store = SqliteStore(path)
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    idle = 0
    while idle < 20:
        claimed = await store.claim_jobs({"nomod": 3}, owner=owner, now=T0, lease=timedelta(hours=1))
        idle = 0 if claimed else idle + 1
        for each in claimed:
            print(each.job.job_id, flush=True)
            await store.settle(make_settlement(each, owner=owner))
        if idle:
            await asyncio.sleep(0.01)
    await store.close()
asyncio.run(main())
"""


async def test_two_processes_on_one_file_claim_different_jobs(store: SqliteStore, path: Path) -> None:
    jobs = [make_job(f"cust_{n % 40}") for n in range(200)]
    for job in jobs:
        await store.add_job(job, now=T0)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(path), f"w{n}"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for n in range(2)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        assert await asyncio.to_thread(worker.stdout.readline) == "ready\n"
    told = await asyncio.gather(*[asyncio.to_thread(worker.communicate, "go\n") for worker in workers])
    ran = [line.split() for line, _ in told]
    assert sorted(ran[0] + ran[1]) == sorted(job.job_id for job in jobs)
    assert min(len(each) for each in ran) > 0
    assert dict((await store.backlog()).jobs) == {}


ADDER = """
import asyncio, pathlib, sys
from storage.sqlite import checkpoints
from storage.sqlite.store import SqliteStore
from storage.testing.making import make_delivery
async def main():
    store = SqliteStore(pathlib.Path(sys.argv[1]))
    await store.open()
    async def add(lane):
        n = 0
        while True:
            delivery_id, _ = await store.add_delivery(make_delivery(f"{lane}-{n}"))
            sys.stdout.write(delivery_id + "\\n")
            sys.stdout.flush()
            n += 1
    await asyncio.gather(*[add(lane) for lane in range(20)])
asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 50, 700])
async def test_what_was_acknowledged_survives_a_killed_process(path: Path, acknowledged: int) -> None:
    adder = subprocess.Popen([sys.executable, "-c", ADDER, str(path)], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    assert adder.stdout is not None
    told = [await asyncio.to_thread(adder.stdout.readline) for _ in range(acknowledged)]
    adder.kill()
    rest, _ = await asyncio.to_thread(adder.communicate)
    ids = {line.strip() for line in [*told, *rest.splitlines(keepends=True)] if line.endswith("\n")}
    again = SqliteStore(path)
    await again.open()
    for delivery_id in ids:
        assert (await again.get_delivery(delivery_id)).body == make_delivery().body
    await again.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute(
            "SELECT count(*) FROM deliveries WHERE number NOT IN (SELECT number FROM bodies)"
        ).fetchone() == (0,)
    db.close()
    assert len(ids) >= acknowledged
