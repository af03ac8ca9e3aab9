"""The power goes at any moment: no webhook was acknowledged before it was synced, and all that were are there again."""

import asyncio
import os
import random
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from storage.sqlite.store import SqliteStore
from tests.crash.disk import Disk, Event, Write, answered_too_soon, command, events
from tests.crash.nursery import ROOT, open_nursery
from tests.crash.scene import Scene, open_scene

pytestmark = [pytest.mark.slow, pytest.mark.strace, pytest.mark.timeout(300)]

TOGETHER = 25
MOMENTS = 150
SERVE = """
import storage.sqlite.checkpoints as checkpoints
checkpoints.OFTEN_BYTES, checkpoints.LONG_PAGES = 60_000, 40
from gateway.cli import main
main(["serve"])
"""
"""As `run.py serve`, with the log copied and begun anew after some webhooks, not only after some thousand."""


async def traced(scene: Scene, trace: Path) -> None:
    """Run the gateway under strace with some traffic, alone and in groups, and kill it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LEDGERGATE_")}
    process = await asyncio.create_subprocess_exec(
        *command(trace), sys.executable, "-c", SERVE, cwd=ROOT,
        env={**clean, **scene.environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        scene.traffic()
        await scene.finish()
        known = list(scene.flexprice.customers)
        for number in range(TOGETHER * 2):
            scene.invoice(known[number % len(known)])
            if number % TOGETHER == 0:
                await scene.finish()
        await scene.finish()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Event], dict[str, bytes], str]:
    """A run: what happened, what the files were before it, and the name of the database."""
    folder = tmp_path_factory.mktemp("power")
    database = str(folder / "scene" / "gateway.db")

    async def run() -> dict[str, bytes]:
        async with open_nursery() as nursery, open_scene(folder / "scene", nursery) as scene:
            before = {database: Path(database).read_bytes()}
            await traced(scene, folder / "trace")
            return before

    before = asyncio.run(run())
    return events(folder / "trace"), before, database


def test_each_acknowledgement_comes_after_a_sync_of_the_log_that_holds_it(
    recorded: tuple[list[Event], dict[str, bytes], str],
) -> None:
    happened, _, database = recorded
    answered = {event.delivery_id for event in happened if event.kind == "answer"}
    syncs = sum(event.kind == "sync" and event.file == f"{database}-wal" for event in happened)
    assert len(answered) > TOGETHER * 2
    assert answered_too_soon(happened, f"{database}-wal") == []
    print(f"{len(answered)} acknowledged, {syncs} syncs of the log")


def test_an_answer_before_the_sync_would_be_noticed() -> None:
    wrote = Event(kind="write", file="log", write=Write(at=0, data=b"dlv_1"))
    answer = Event(kind="answer", delivery_id="dlv_1")
    sync, early = Event(kind="sync", file="log", covered=1), Event(kind="sync", file="log", covered=0)
    assert answered_too_soon([wrote, sync, answer], "log") == []
    assert answered_too_soon([wrote, answer, sync], "log") == ["dlv_1"]
    assert answered_too_soon([wrote, early, answer], "log") == ["dlv_1"]  # the sync had begun before the write ended


async def test_whenever_the_power_goes_all_that_was_acknowledged_is_there(
    recorded: tuple[list[Event], dict[str, bytes], str], tmp_path: Path, rng: random.Random
) -> None:
    """Of what was not synced, the disk may hold nothing, all, any part in any order, and a torn last write."""
    happened, before, database = recorded
    disk, acknowledged = Disk(before), list[str]()
    first = next(number for number, event in enumerate(happened) if event.kind == "answer")
    moments = {*rng.sample(range(first, len(happened)), MOMENTS), len(happened) - 1}
    for number, event in enumerate(happened):
        disk.happened(event)
        if event.kind == "answer":
            acknowledged.append(event.delivery_id)
        if number in moments:
            left = disk.after_power_loss(rng)
            check(tmp_path / str(number), left, database, acknowledged)
    await opens(tmp_path / str(max(moments)), acknowledged)


def check(folder: Path, left: dict[str, bytes], database: str, acknowledged: list[str]) -> None:
    """Open what is left as SQLite does after a power loss, and look for what was acknowledged."""
    folder.mkdir()
    for name in (database, f"{database}-wal"):
        (folder / Path(name).name).write_bytes(left.get(name, b""))
    with sqlite3.connect(folder / "gateway.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        there = {row[0] for row in db.execute("SELECT delivery_id FROM deliveries d JOIN bodies b USING (number)")}
    db.close()
    assert set(acknowledged) <= there, f"lost: {sorted(set(acknowledged) - there)}"


async def opens(folder: Path, acknowledged: list[str]) -> None:
    """Open it as the gateway does."""
    store = SqliteStore(folder / "gateway.db")
    await store.open()
    for delivery_id in acknowledged:
        assert (await store.get_delivery(delivery_id)).body
    await store.close()
