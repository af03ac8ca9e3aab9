"""A matrix of kills: each story told as often as there is a place to be killed at, and one verdict that names all.

A *place* is a moment around a step of the store, or around a request. They come from a run of the story in which
nothing dies. The tellings of a story follow each other in one scene: the process dies in one, the next process ends it,
and then is killed in the next one.
"""

import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from connectors.testing.simulator import Call, Moment
from tests.crash.killing import Point, Step, points, recorded
from tests.crash.nursery import Child, Nursery
from tests.crash.scene import Scene, open_scene
from tests.crash.stories_of_customers import STORIES as OF_CUSTOMERS
from tests.crash.stories_of_payments import STORIES as OF_PAYMENTS
from tests.crash.stories_unasked import STORIES as UNASKED
from tests.crash.story import Starting, Stopping, Story

STORIES: Sequence[type[Story]] = (*OF_CUSTOMERS, *OF_PAYMENTS, *UNASKED, Starting, Stopping)
AT_ONCE = 8
"""Scenes that run side by side: most of the time each waits for a lease to end."""
CHAIN = 12
"""Tellings in one scene."""
TRIES = 3
"""Further tellings in which a place that was missed is waited for: some come in a second one alone."""
THOROUGHLY = 4
"""After so many tellings all that must hold is checked, and not only what the story is about."""
LATE_SECONDS = 0.2
CLOCKED = frozenset({"extend_leases", "note_activity", "take_lease alerts", "GET /v1/integrations/config"})
"""What every story may come by or not, by how long it takes: left to those that wait for it."""
_ID = re.compile(r"(?<=/)[^/]*\d[^/]*(?=/|$)")
_ENTITY = re.compile(r"\bfrom (\w+)", re.IGNORECASE)
_VERSION = re.compile(r"^/(?:api/)?v\d(?=/)")
_READS = ("GET ", "POST /v1/invoices/search")


class Phase(StrEnum):
    """Where a request is when the process that has sent it dies."""

    BEFORE = "before"
    """It has arrived, and is never done."""
    DURING = "during"
    """It has arrived, and is done although nobody waits for the answer any more."""
    AFTER = "after"
    """It was done; the answer is not sent."""


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """The n-th request of a kind to a service, in one of its phases."""

    service: str
    kind: str
    number: int
    phase: Phase

    @property
    def reads(self) -> bool:
        """Whether it changes nothing at the service."""
        return self.kind.startswith(_READS)

    def __str__(self) -> str:
        return f"{self.phase} {self.service} {self.kind} #{self.number}"


Place = Point | Request


def kind_of(call: Call) -> str:
    """Return what a request asks for, without ids: method, path, and what a query is about."""
    version = _VERSION.match(call.path)
    path = (version.group() if version else "") + _ID.sub("*", _VERSION.sub("", call.path))
    entity = _ENTITY.search(call.query.get("query", ""))
    return f"{call.method} {path}" + (f" {entity.group(1)}" if entity else "")


def requests(calls: Iterable[tuple[str, Call]]) -> list[Request]:
    """Return all phases of every request of a clean run, in its order."""
    counted: Counter[tuple[str, str]] = Counter()
    found: list[Request] = []
    for service, call in calls:
        key = (service, kind_of(call))
        counted[key] += 1
        found += [Request(*key, counted[key], phase) for phase in Phase]
    return found


def kill_at(scene: Scene, child: Child, request: Request) -> None:
    """Kill the process when the service sees this request, in that phase of it."""
    counted: Counter[Moment] = Counter()
    wanted = Moment.AFTER if request.phase is Phase.AFTER else Moment.BEFORE

    async def hook(call: Call, moment: Moment) -> None:
        if kind_of(call) != request.kind or child.status is not None:
            return
        counted[moment] += 1
        if moment is not wanted or counted[moment] != request.number:
            return
        child.kill(signal.SIGKILL)
        if request.phase is Phase.BEFORE:
            await asyncio.sleep(60)  # cancelled with the connection: a request that arrives and is not done
        elif request.phase is Phase.DURING:
            await _outlive(LATE_SECONDS)

    scene.services[request.service].hook = hook


async def _outlive(seconds: float) -> None:
    """Wait, and go on although the connection has ended: the service does what it was asked for."""
    until, task = time.monotonic() + seconds, asyncio.current_task()
    while (left := until - time.monotonic()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            if task is not None:
                task.uncancel()


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


Chain = tuple[type[Story], Sequence[Place]]
"""A story, and the places at which it is killed in one scene."""


def chains(runs: Mapping[type[Story], Clean], *, short: bool) -> list[Chain]:
    """Return where to kill.

    The short form has of each kind of step and request the first, and a read in one phase, since none changes anything.
    A variant of another story is left to that one where both come by, and what comes in a new scene alone is killed in
    one story. The long form has all places of all stories.
    """
    found: list[Chain] = []
    once: set[str] = set()
    for story, run in runs.items():
        elsewhere = set(once) if short else set()
        if short and story.like is not None:
            elsewhere |= runs[story.like].kinds()
        alone = [place for place in run.once() if place.kind not in elsewhere and (not short or _is_short(place))]
        once |= {place.kind for place in alone}
        found += [(story, [place]) for place in alone]
        wanted = [
            place for place in run.again.places() if place.kind not in elsewhere and (not short or _is_short(place))
        ]
        found += [(story, wanted[begin : begin + CHAIN]) for begin in range(0, len(wanted), CHAIN)]
    return sorted(found, key=lambda chain: len(chain[1]), reverse=True)


def _is_short(place: Place) -> bool:
    return place.number == 1 and (isinstance(place, Point) or not place.reads or place.phase is Phase.AFTER)


Kill = tuple[type[Story], Place]


@dataclass(slots=True)
class Verdict:
    """What came of all kills."""

    missed: list[Kill] = field(default_factory=list)
    """Places that were not come by, however often the story was told."""
    killed: set[Kill] = field(default_factory=set)
    failures: dict[Kill, Exception] = field(default_factory=dict)

    def raise_for_failures(self) -> None:
        """Raise AssertionError that names all at which something went wrong."""
        if self.failures:
            told = "\n".join(
                f"{story.name}, killed {place}: {type(error).__name__} {error}"[:3000]
                for (story, place), error in self.failures.items()
            )
            raise AssertionError(f"{len(self.failures)} went wrong:\n{told}") from next(iter(self.failures.values()))


class Killing:
    """Tells stories in scenes, and kills their process at places. With two nodes the other finishes what was begun."""

    def __init__(self, nursery: Nursery, *, nodes: int = 1, database: str | None = None) -> None:
        self._nursery, self._nodes, self._database = nursery, nodes, database
        self.verdict = Verdict()

    async def all(self, folder: Path, wanted: Sequence[Chain], *, tries: int = TRIES) -> Verdict:
        """Kill at all places, some at the same time; what was missed is tried again, in a scene of its own."""
        await self._chains(folder / "chains", wanted)
        kills = [(story, place) for story, places in wanted for place in places]
        if tries:
            missed = [kill for kill in kills if not self._is_over(kill)]
            await self._chains(folder / "again", [(story, [place] * tries) for story, place in missed])
        self.verdict.missed = [kill for kill in kills if not self._is_over(kill)]
        return self.verdict

    def _is_over(self, kill: Kill) -> bool:
        return kill in self.verdict.killed or kill in self.verdict.failures

    async def _chains(self, folder: Path, wanted: Sequence[Chain]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int, chain: Chain) -> None:
            async with gate:
                await self._chain(folder / str(number), *chain)

        await asyncio.gather(*(one(number, chain) for number, chain in enumerate(wanted)))

    async def _chain(self, folder: Path, story: type[Story], places: Sequence[Place]) -> None:
        """Kill at one place after the other, in one scene; after a failure in another scene."""
        left = list(places)
        while left:
            async with open_scene(
                folder / str(len(left)), self._nursery, nodes=self._nodes, database=self._database,
                set_up=story.set_up,
            ) as scene:  # fmt: skip
                child: Child | None = None
                for node in range(1, self._nodes):
                    await scene.start(node=node)
                while left:
                    place = left.pop(0)
                    if self._is_over((story, place)):
                        continue
                    try:
                        if child is None or child.status is not None:
                            child = await scene.start(driven=True)
                        child = await self._kill(scene, child, story(scene, len(left)), place)
                        if not left:
                            await scene.check()
                    except Exception as error:  # noqa: BLE001 - all are done, then told together
                        self.verdict.failures[story, place] = error
                        break

    async def _kill(self, scene: Scene, child: Child, telling: Story, place: Place) -> Child:
        """Tell a story, kill the process at the place, start another, check; return the process that is there then."""
        await telling.prepare()
        await scene.finish()
        if isinstance(place, Point):
            victim = await telling.tell(child, point=place)
        else:
            victim = await telling.tell(child, begun=lambda begun: kill_at(scene, begun, place))
        died = await telling.died(victim) or (victim.status is None and not await scene.order(victim))
        if died:
            self.verdict.killed.add((type(telling), place))
            victim = await scene.start(driven=True) if self._nodes == 1 else victim
        for service in scene.services.values():
            service.hook = None
        await scene.finish()
        await telling.check()
        if telling.number % THOROUGHLY == 0:
            await scene.holds()
        return victim
