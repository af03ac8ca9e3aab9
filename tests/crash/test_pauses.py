"""A process stopped (SIGSTOP) for longer than its lease: another takes over, and what it does then is not counted."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from connectors.testing.simulator import Call, Moment
from tests.crash.conftest import MOST
from tests.crash.matrix import Request, each, kind_of, services
from tests.crash.nursery import Child, Nursery
from tests.crash.scene import Scene, open_scene
from tests.postgres_setup import NewDatabase

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STOPPED = 3.0
"""Seconds; leases are one second long, and look-ups are over after little more."""
WRITES = (
    ("flexprice", "PUT /v1/customers"), ("nomod", "POST /v1/customers"), ("quickbooks", "POST /v3/company/*/customer"),
)  # fmt: skip
READS = (
    ("flexprice", "GET /v1/customers/*"), ("nomod", "GET /v1/customers"),
    ("quickbooks", "GET /v3/company/*/query Customer"),
)  # fmt: skip


def stop_at(scene: Scene, child: Child, request: Request) -> asyncio.Event:
    """Stop the process for a while when the service sees this request; return what tells that it was stopped."""
    counted: Counter[Moment] = Counter()
    stopped = asyncio.Event()

    async def hook(call: Call, moment: Moment) -> None:
        if kind_of(call) != request.kind:
            return
        counted[moment] += 1
        if moment is request.moment and counted[moment] == request.number:
            child.kill(signal.SIGSTOP)
            asyncio.get_running_loop().call_later(STOPPED, child.kill, signal.SIGCONT)
            stopped.set()

    services(scene)[request.service].hook = hook
    return stopped


async def stopped_at(folder: Path, nursery: Nursery, request: Request, *, database: str | None = None) -> bool:
    """Play the scene with two processes, of which one is stopped at a request for longer than its lease, and check."""
    async with open_scene(folder, nursery, nodes=2, database=database) as scene:
        child = await scene.start()
        stopped = stop_at(scene, child, request)
        scene.traffic()
        async with asyncio.timeout(20):
            await stopped.wait()
        await scene.start(node=1)
        await asyncio.sleep(STOPPED)
        await scene.finish()
        await scene.check()
    return True


async def test_what_a_stopped_process_does_after_it_was_given_up_changes_nothing(
    tmp_path: Path, nursery: Nursery
) -> None:
    """It was stopped with a request under way; meanwhile the other process has found out, or made, what was wanted."""
    kinds = WRITES if MOST is not None else (*WRITES, *READS)
    chosen = [Request(service, kind, 1, moment) for service, kind in kinds for moment in Moment]

    async def stop(number: int, request: Request) -> bool:
        return await stopped_at(tmp_path / str(number), nursery, request)

    assert await each(chosen, stop) == []


@pytest.mark.postgres
async def test_a_node_on_postgres_that_was_stopped_and_given_up_changes_nothing(
    tmp_path: Path, nursery: Nursery, new_database: NewDatabase
) -> None:
    kinds = WRITES[1:] if MOST is not None else (*WRITES, *READS)
    chosen = [Request(service, kind, 1, moment) for service, kind in kinds for moment in Moment]
    databases = [await new_database() for _ in chosen]

    async def stop(number: int, request: Request) -> bool:
        return await stopped_at(tmp_path / str(number), nursery, request, database=databases[number])

    assert await each(chosen, stop) == []
