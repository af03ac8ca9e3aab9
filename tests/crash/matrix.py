"""A matrix of kills: many scenes, some at the same time, and one verdict that names each point where it went wrong."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from connectors.testing.simulator import Call, Moment, Simulator
from tests.crash.killing import Point, Step, recorded
from tests.crash.nursery import KILLED, Child, Nursery
from tests.crash.scene import Scene, open_scene

AT_ONCE = 6
"""Scenes that run side by side: most of the time each waits for a lease to end."""
P = TypeVar("P")
_ID = re.compile(r"(?<=/)[^/]*\d[^/]*(?=/|$)")
_ENTITY = re.compile(r"\bfrom (\w+)", re.IGNORECASE)
_VERSION = re.compile(r"^/v\d(?=/)")


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """The n-th request of a kind to a service, seen before it was done or after."""

    service: str
    kind: str
    number: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} {self.service} {self.kind} #{self.number}"


def services(scene: Scene) -> dict[str, Simulator]:
    """Return the services of a scene by name."""
    return {"flexprice": scene.flexprice, "nomod": scene.nomod, "quickbooks": scene.intuit}


def kind_of(call: Call) -> str:
    """Return what a request asks for, without ids: method, path, and what a query is about."""
    version = _VERSION.match(call.path)
    path = (version.group() if version else "") + _ID.sub("*", _VERSION.sub("", call.path))
    entity = _ENTITY.search(call.query.get("query", ""))
    return f"{call.method} {path}" + (f" {entity.group(1)}" if entity else "")


def requests(calls: Iterable[tuple[str, Call]], *, most: int | None = None) -> list[Request]:
    """Return both moments of every request of a clean run, of each kind up to `most`."""
    counted: Counter[tuple[str, str]] = Counter()
    found: list[Request] = []
    for service, call in calls:
        key = (service, kind_of(call))
        counted[key] += 1
        if most is None or counted[key] <= most:
            found += [Request(*key, counted[key], moment) for moment in Moment]
    return sorted(found)


def kill_at(scene: Scene, child: Child, request: Request) -> None:
    """Kill the process when the service sees this request: before it does anything, or when all is done."""
    counted: Counter[Moment] = Counter()

    async def hook(call: Call, moment: Moment) -> None:
        if kind_of(call) != request.kind or child.status is not None:
            return
        counted[moment] += 1
        if moment is request.moment and counted[moment] == request.number:
            child.kill(signal.SIGKILL)
            if moment is Moment.BEFORE:
                await asyncio.sleep(60)  # cancelled with the connection: a request that arrives and is not done

    services(scene)[request.service].hook = hook


async def clean_run(folder: Path, nursery: Nursery) -> tuple[list[Step], list[tuple[str, Call]]]:
    """Return the durable steps and the requests of a run in which nothing is killed."""
    record = folder / "steps.jsonl"
    async with open_scene(folder / "clean", nursery) as scene:
        await scene.start(record=record)
        scene.traffic()
        await scene.finish()
        await scene.check()
        calls = [(name, call) for name, service in services(scene).items() for call in service.calls]
    return recorded(record), calls


async def killed_at_step(
    folder: Path, nursery: Nursery, point: Point, *, nodes: int = 1, database: str | None = None
) -> bool:
    """Play the scene, kill the process at a step, start it again, check; return whether the step was reached.

    With two nodes the killed one stays dead, and the other finishes its work.
    """
    async with open_scene(folder, nursery, nodes=nodes, database=database) as scene:
        child = await scene.start(point=point)
        for node in range(1, nodes):
            await scene.start(node=node)
        scene.traffic()
        reached = await scene.dies(child)
        if not reached:
            reached = await scene.stops(child) == KILLED  # there are steps that only a stop comes to
        if reached and nodes == 1:
            await scene.start()
        await scene.finish()
        await scene.check()
    return reached


async def killed_at_request(folder: Path, nursery: Nursery, request: Request) -> bool:
    """Play the scene, kill the process at a request, start it again, check; return whether it came to it."""
    async with open_scene(folder, nursery) as scene:
        child = await scene.start(begun=lambda child: kill_at(scene, child, request))
        scene.traffic()
        reached = await scene.dies(child)
        if not reached:
            reached = await scene.stops(child) == KILLED
        if reached:
            await scene.start()
        await scene.finish()
        await scene.check()
    return reached


async def each(things: Sequence[P], do: Callable[[int, P], Awaitable[bool]]) -> list[P]:
    """Do something with each, some at the same time; return those that were not reached.

    Raises AssertionError that names all at which something went wrong.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    missed: list[P] = []
    failures: dict[P, Exception] = {}

    async def one(number: int, thing: P) -> None:
        async with gate:
            try:
                if not await do(number, thing):
                    missed.append(thing)
            except Exception as error:  # noqa: BLE001 - all are done, then told together
                failures[thing] = error

    await asyncio.gather(*(one(number, thing) for number, thing in enumerate(things)))
    if failures:
        told = "\n".join(f"killed {thing}: {type(error).__name__} {error}"[:3000] for thing, error in failures.items())
        raise AssertionError(f"{len(failures)} of {len(things)}:\n{told}") from next(iter(failures.values()))
    return missed
