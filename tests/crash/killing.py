"""A store that kills its own process around a chosen step; and the list of steps, taken from the store itself."""

import asyncio
import inspect
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage import Store
from storage.sqlite.store import SqliteStore

BEFORE, AFTER = "before", "after"
CLAIMS = frozenset({"claim_deliveries", "claim_jobs"})
"""Called again and again while there is nothing to do: they count from the first webhook on."""
NAMED = frozenset({"take_lease", "drop_lease", "put_fact"})
"""Called for several ends that do not wait for each other: each is counted by itself, by the word it begins with."""
_WRITES = ("self._db.write(", "self._db.add(")


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """The n-th call of a method of the store, of those that are named for one end: `settle`, `take_lease refresh`.

    Which it is must not depend on how long things take: else the same step is another one in the next run.
    """

    call: str
    number: int

    @property
    def method(self) -> str:
        """The method's name alone."""
        return self.call.split()[0]


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """Where a process is killed: right before or right after a step."""

    step: Step
    moment: str

    def dump(self) -> str:
        """Return it as text for the environment of the process."""
        return json.dumps([asdict(self.step), self.moment])

    @classmethod
    def load(cls, text: str) -> "Point":
        """Read what `dump` wrote."""
        step, moment = json.loads(text)
        return cls(Step(**step), moment)

    def __str__(self) -> str:
        return f"{self.moment} {self.step.call} #{self.step.number}"


def writing_methods() -> frozenset[str]:
    """Return the methods of the protocol that write: those which hand work to the one writer of the file."""
    declared = {name for base in Store.__mro__ for name in vars(base) if not name.startswith("_")}
    return frozenset(
        name
        for name in declared
        if inspect.isfunction(found := getattr(SqliteStore, name, None))
        and any(text in inspect.getsource(found) for text in _WRITES)
    )


class KillingStore:
    """Passes every call on to a store; records the steps, or dies at one of them."""

    def __init__(self, store: Store, *, point: Point | None = None, record: Path | None = None) -> None:
        self._store, self._point, self._record = store, point, record
        self._writing = writing_methods() | {"open"}
        self._called: Counter[str] = Counter()
        self._worked: Counter[str] = Counter()
        self._arrived = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._watched(name, found) if name in self._writing else found

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **named: Any) -> Any:
            if name == "add_delivery":
                self._arrived = True
            what = f"{name} {str(args[0]).partition(':')[0]}" if name in NAMED else name
            if self._arrived or name not in CLAIMS:
                self._called[what] += 1
                self._die_at(BEFORE, Step(what, self._called[what]))
            answer = await method(*args, **named)
            if answer not in ([], False, 0):  # a claim that got nothing has changed nothing
                self._worked[what] += 1
                step = Step(what, self._worked[what])
                self._die_at(AFTER, step)
                if self._record is not None:
                    with self._record.open("a") as file:
                        file.write(json.dumps(asdict(step)) + "\n")
            return answer

        if inspect.iscoroutinefunction(method):
            return call
        return lambda *args, **named: asyncio.ensure_future(call(*args, **named))

    def _die_at(self, moment: str, step: Step) -> None:
        if self._point is not None and self._point == Point(step, moment):
            os.kill(os.getpid(), signal.SIGKILL)


def recorded(path: Path) -> list[Step]:
    """Return the steps of a clean run, in their order."""
    return [Step(**json.loads(line)) for line in path.read_text().splitlines()]


def points(steps: Iterable[Step], *, most: int | None = None) -> list[Point]:
    """Return both moments of each step, of those with a number up to `most`."""
    chosen = sorted({step for step in steps if most is None or step.number <= most})
    return [Point(step, moment) for step in chosen for moment in (BEFORE, AFTER)]
