"""A matrix of kills: each story told as often as there is a place to be killed at, and one verdict that names all.

The tellings of a story follow each other in one scene: the process dies in one, the next process ends it, and then is
killed in the next one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.clean import AT_ONCE, Clean
from tests.crash.killing import Point
from tests.crash.nursery import Child, Nursery
from tests.crash.places import Phase, Place, kill_at
from tests.crash.scene import Scene, open_scene
from tests.crash.story import Story

CHAIN = 12
"""Tellings in one scene."""
TRIES = 8
"""Further tellings in which a place that was missed is waited for: some come in a second one alone, some by chance."""
THOROUGHLY = 4
"""After so many tellings all that must hold is checked, and not only what the story is about."""

Chain = tuple[type[Story], Sequence[Place]]
"""A story, and the places at which it is killed in one scene."""


def chains(runs: Mapping[type[Story], Clean], *, short: bool) -> list[Chain]:
    """Return where to kill.

    The short form has of each kind of step and request the first, and a read in one phase, since none changes anything.
    A variant of other stories is left to those where both come by, and what comes in a new scene alone is killed in
    one story. The long form has all places of all stories.
    """
    found: list[Chain] = []
    once: set[str] = set()
    for story, run in runs.items():
        elsewhere = once.union(*(runs[each].kinds() for each in story.like)) if short else set()
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
