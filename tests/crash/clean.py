"""Clean runs: the steps and requests that each story comes by when nothing dies, where it may be killed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.testing.simulator import Call
from tests.crash.killing import Step, points, recorded
from tests.crash.nursery import Child, Nursery
from tests.crash.places import Place, kind_of, requests
from tests.crash.scene import Scene, open_scene
from tests.crash.stories_of_customers import STORIES as OF_CUSTOMERS
from tests.crash.stories_of_payments import STORIES as OF_PAYMENTS
from tests.crash.stories_unasked import STORIES as UNASKED
from tests.crash.story import Starting, Stopping, Story

STORIES: Sequence[type[Story]] = (*OF_CUSTOMERS, *OF_PAYMENTS, *UNASKED, Starting, Stopping)
AT_ONCE = 8
"""Scenes that run side by side: most of the time each waits for a lease to end."""
CLOCKED = frozenset({"extend_leases", "note_activity", "take_lease alerts", "GET /v1/integrations/config"})
"""What every story may come by or not, by how long it takes: left to those that wait for it."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a telling comes by when nothing is killed."""

    steps: Sequence[Step]
    calls: Sequence[tuple[str, Call]]

    def places(self) -> list[Place]:
        """Return every moment around every step, and every phase of every request."""
        return [*points(self.steps), *requests(self.calls)]

    def kinds(self) -> set[str]:
        """Return what kinds of steps and requests there are."""
        return {step.call for step in self.steps} | {kind_of(call) for _, call in self.calls}


@dataclass(frozen=True, slots=True)
class Clean:
    """What a story comes by in a new scene, and when it is told again there."""

    first: Run
    again: Run
    jobs: frozenset[str]
    """The kinds of jobs that have run."""

    def once(self) -> list[Place]:
        """Return the places of the kinds that come in a new scene alone."""
        later = self.again.kinds()
        return [place for place in self.first.places() if place.kind not in later]

    def kinds(self) -> set[str]:
        """Return what kinds of steps and requests there are."""
        return self.first.kinds() | self.again.kinds()


async def clean_run(folder: Path, nursery: Nursery, story: type[Story]) -> Clean:
    """Tell a story twice, and return what it comes by."""
    async with open_scene(folder, nursery, set_up=story.set_up) as scene:
        runs: list[Run] = []
        child: Child | None = None
        for number in range(2):
            if child is None or child.status is not None:
                child = await scene.start(driven=True)
            run, child = await _told(scene, child, story(scene, number), folder / f"steps-{number}")
            runs.append(run)
        first, again = runs
        await scene.check()
        return Clean(first, again, frozenset(job.kind for job in await scene.jobs()))


async def _told(scene: Scene, child: Child, telling: Story, record: Path) -> tuple[Run, Child]:
    """Tell a story; return what it came by, and the process that it ended with."""
    await telling.prepare()
    await scene.finish()
    before = {name: len(service.calls) for name, service in scene.services.items()}
    child = await telling.tell(child, record=record)
    assert not await telling.died(child)
    await scene.finish()
    if child.status is None:
        await scene.order(child)
    calls = [
        (name, call)
        for name, service in scene.services.items()
        for call in service.calls[before[name] :]
        if kind_of(call) not in CLOCKED - telling.waits_for
    ]
    await telling.check()
    steps = [step for step in recorded(record) if step.call not in CLOCKED - telling.waits_for]
    return Run(steps, calls), child


async def clean_runs(folder: Path, nursery: Nursery) -> Mapping[type[Story], Clean]:
    """Tell every story."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, story: type[Story]) -> Clean:
        async with gate:
            try:
                return await clean_run(folder / str(number), nursery, story)
            except Exception as error:
                error.add_note(f"in the story of: {story.name}")
                raise

    return dict(zip(STORIES, await asyncio.gather(*(one(*each) for each in enumerate(STORIES))), strict=True))
