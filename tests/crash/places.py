"""Places to be killed at: moments around a step of the store, and around a request to a service."""

import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from connectors.testing.simulator import Call, Moment
from tests.crash.killing import Point
from tests.crash.nursery import Child
from tests.crash.scene import Scene

LATE_SECONDS = 0.2
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
