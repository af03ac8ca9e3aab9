"""A process stopped (SIGSTOP) for longer than its lease: another takes over, and what it does then is not counted."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from connectors.testing.simulator import Call, Moment
from tests.crash.conftest import THOROUGH
from tests.crash.nursery import Child, Nursery
from tests.crash.places import Phase, Request, kind_of
from tests.crash.scene import Scene, open_scene
from tests.crash.stories_of_customers import Invoiced
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
        if moment.value == request.phase.value and counted[moment] == request.number:
            child.kill(signal.SIGSTOP)
            asyncio.get_running_loop().call_later(STOPPED, child.kill, signal.SIGCONT)
            stopped.set()

    scene.services[request.service].hook = hook
    return stopped


async def stopped_at_each(folder: Path, nursery: Nursery, database: str | None, requests: Sequence[Request]) -> None:
    """Stop a process at one request after the other, for longer than its lease; another goes on meanwhile."""
    async with open_scene(folder, nursery, nodes=2, database=database) as scene:
        child = await scene.start()
        for number, request in enumerate(requests):
            telling = Invoiced(scene, number)
            await telling.prepare()
            stopped = stop_at(scene, child, request)
            scene.begin(telling.play())
            await scene.until(stopped)
            other = await scene.start(node=1)
            await asyncio.sleep(STOPPED)
            scene.services[request.service].hook = None
            await scene.finish()
            await telling.check()
            await scene.holds()
            assert await scene.stops(other) == 0
        await scene.check()


def each(kinds: Sequence[tuple[str, str]]) -> list[Request]:
    """Return the first request of each kind, when it has arrived and when it was done."""
    return [Request(service, kind, 1, phase) for service, kind in kinds for phase in (Phase.BEFORE, Phase.AFTER)]


async def test_what_a_stopped_process_does_after_it_was_given_up_changes_nothing(
    tmp_path: Path, nursery: Nursery
) -> None:
    """It was stopped with a request under way; meanwhile the other process has found out, or made, what was wanted."""
    wanted = each((*WRITES, *READS) if THOROUGH else WRITES)
    halves = wanted[::2], wanted[1::2]
    await asyncio.gather(
        *(stopped_at_each(tmp_path / str(n), nursery, None, half) for n, half in enumerate(halves))
    )  # fmt: skip


@pytest.mark.postgres
async def test_a_node_on_postgres_that_was_stopped_and_given_up_changes_nothing(
    tmp_path: Path, nursery: Nursery, new_database: NewDatabase
) -> None:
    await stopped_at_each(tmp_path, nursery, await new_database(), each((*WRITES, *READS) if THOROUGH else WRITES[1:]))
