"""Several nodes on one PostgreSQL: each job once, whatever is killed."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.errors import StoreUnavailableError
from storage.postgres.store import PostgresStore
from storage.testing.making import (
    LEASE,
    T0,
    at,
    claim_one,
    make_delivery,
    make_job,
    make_link,
    make_settlement,
)
from tests.postgres_setup import query

pytestmark = pytest.mark.postgres
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio, sys
from datetime import timedelta
from storage.postgres.store import PostgresStore
from storage.testing.making import T0, make_delivery, make_settlement
async def drain(store, owner):
    idle = 0
    while idle < 20:
        claimed = await store.claim_jobs({"nomod": 3}, owner=owner, now=T0, lease=timedelta(hours=1))
        idle = 0 if claimed else idle + 1
        for each in claimed:
            print(each.job.job_id, flush=True)
            await store.settle(make_settlement(each, owner=owner))
        if idle:
            await asyncio.sleep(0.01)
async def add(store, lane):
    n = 0
    while True:
        delivery_id, _ = await store.add_delivery(make_delivery(f"{lane}-{n}"))
        print(delivery_id, flush=True)
        n += 1
async def main():
    store = PostgresStore(sys.argv[1])
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    if sys.argv[2] == "add":
        await asyncio.gather(*[add(store, lane) for lane in range(20)])
    await drain(store, sys.argv[2])
    await store.close()
asyncio.run(main())
"""


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(postgres_url)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def twin(store: PostgresStore, postgres_url: str) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(postgres_url)
    await made.open()
    yield made
    await made.close()


def node(url: str, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, what], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


async def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return (await asyncio.to_thread(process.stdout.readline)).strip()


async def rest_of_lines(process: subprocess.Popen[str]) -> list[str]:
    """Return the whole lines that a dead process has left, from where `line` has read on.

    `communicate` would begin behind what `line` has read ahead, in the middle of a line.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    rest = await asyncio.to_thread(process.stdout.read)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    return [each.strip() for each in rest.splitlines(keepends=True) if each.endswith("\n")]


async def test_two_nodes_claim_different_jobs(store: PostgresStore, postgres_url: str) -> None:
    jobs = [make_job(f"cust_{n % 40}") for n in range(200)]
    for job in jobs:
        await store.add_job(job, now=T0)
    workers = [node(postgres_url, f"w{n}") for n in range(2)]
    assert [await line(worker) for worker in workers] == ["ready", "ready"]
    told = await asyncio.gather(*[asyncio.to_thread(worker.communicate, "go\n") for worker in workers])
    ran = [out.split() for out, _ in told]
    assert sorted(ran[0] + ran[1]) == sorted(job.job_id for job in jobs)
    assert min(len(each) for each in ran) > 0
    assert dict((await store.backlog()).jobs) == {}


async def test_what_was_acknowledged_survives_a_killed_node(store: PostgresStore, postgres_url: str) -> None:
    adder = node(postgres_url, "add")
    assert await line(adder) == "ready"
    assert adder.stdin is not None
    adder.stdin.write("go\n")
    adder.stdin.flush()
    told = [await line(adder) for _ in range(300)]
    adder.kill()
    ids = {*told, *await rest_of_lines(adder)}
    for delivery_id in ids:
        assert (await store.get_delivery(delivery_id)).body == make_delivery().body
    assert (
        await query(postgres_url, "SELECT count(*) FROM deliveries LEFT JOIN bodies USING (number) WHERE body IS NULL")
        == 0
    )


async def test_a_node_that_stands_still_is_fenced_off(store: PostgresStore, postgres_url: str) -> None:
    """Stopped with SIGSTOP while it has jobs; another takes them; awake again, it can write nothing."""
    jobs = [make_job(f"cust_{n}") for n in range(3)]
    for job in jobs:
        await store.add_job(job, now=T0)
    stopped = node(postgres_url, "sleeper")
    assert await line(stopped) == "ready"
    assert stopped.stdin is not None
    stopped.stdin.write("go\n")
    stopped.stdin.flush()
    first = await line(stopped)
    stopped.send_signal(signal.SIGSTOP)
    try:
        assert first in {job.job_id for job in jobs}
        running = [job.job_id for job in (await store.list_jobs(status="running")).items]  # type: ignore[arg-type]
        later = at(3 * 3600)
        taken = await store.claim_jobs({"nomod": 10}, owner="w2", now=later, lease=LEASE)
        # What was just being settled is held by the open transaction of the process that stands still.
        assert taken
        assert len(set(running) - {each.job.job_id for each in taken}) <= 1
        for each in taken:
            await store.settle(make_settlement(each, owner="w2", seconds=3 * 3600 + 1))
    finally:
        stopped.send_signal(signal.SIGCONT)
    await asyncio.to_thread(stopped.communicate)
    for each in taken:
        attempts = await store.list_attempts(each.job.job_id)
        assert [tried.worker for tried in attempts if tried.outcome == "done"] == ["w2"]


async def test_batches_of_several_nodes_with_the_same_keys_do_not_block_each_other(
    store: PostgresStore, twin: PostgresStore
) -> None:
    keys = [f"msg_{n}" for n in range(400)]
    for _ in range(3):
        answers = await asyncio.gather(
            *[store.add_delivery(make_delivery(key)) for key in keys],
            *[twin.add_delivery(make_delivery(key)) for key in reversed(keys)],
        )
        assert len({told for told, _ in answers}) == len(keys)


async def test_steering_and_settling_at_the_same_time_end_without_a_deadlock(
    store: PostgresStore, twin: PostgresStore
) -> None:
    for n in range(10):
        job = make_job(f"cust_{n}")
        await store.add_job(job, now=T0)
        claimed = await claim_one(store, seconds=n)
        outcomes = await asyncio.gather(
            store.settle(make_settlement(claimed, link=make_link(f"rec_{n}", make_link().key), seconds=n)),
            twin.retry_job(job.job_id, now=at(n)),
            twin.put_mapping(make_link(f"hand_{n}"), now=at(n)),
            twin.cancel_job(job.job_id, now=at(n), reason="r"),
            return_exceptions=True,
        )
        assert not [each for each in outcomes if isinstance(each, StoreUnavailableError)]
        if (await store.get_job(job.job_id)).status == "pending":
            await store.cancel_job(job.job_id, now=at(n), reason="r")
        await store.delete_mapping(make_link().key, now=at(n))
