"""A store that kills its own process around a chosen step; and the list of steps, taken from the store itself."""

import asyncio
import inspect
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage import Store
from storage.records import Claimed, Settlement
from storage.sqlite.store import SqliteStore

BEFORE, AFTER = "before", "after"
CLAIMS = frozenset({"claim_deliveries", "claim_jobs"})
"""Called again and again while there is nothing to do: they count from the first work that came in."""
ARRIVALS = frozenset({"add_delivery", "add_job"})
_WRITES = ("self._db.write(", "self._db.add(")
_ABOUT: Mapping[str, Callable[..., str]] = {
    "add_audit": lambda *, action, **_: str(action),
    "add_delivery": lambda delivery: f"{delivery.source} {delivery.scheme}",
    "add_job": lambda job, **_: str(job.kind),
    "begin_intent": lambda new, **_: f"{new.key.entity_type} {new.key.connection}",
    "change_budget": lambda connection, *_, **__: str(connection),
    "drop_lease": lambda name, **_: str(name),
    "put_fact": lambda owner, key, *_, **__: f"{owner} {key}",
    "save_tokens": lambda connection, *_, **__: str(connection),
    "take_lease": lambda name, **_: str(name),
    "write_alerts": lambda changes, **_: " ".join(f"{each.alert.kind} {each.alert.status}" for each in changes),
}
"""What a call is about: calls for several ends do not wait for each other, and are counted each by itself."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """The n-th call of a method of the store, or of one about one end: `settle`, `begin_intent invoice nomod-prod`.

    Which it is must not depend on how long things take: else the same step is another one in the next run.
    """

    call: str
    number: int

    @property
    def method(self) -> str:
        """The method's name alone."""
        return self.call.split()[0]

    def __str__(self) -> str:
        return f"{self.call} #{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """Where a process is killed: right before or right after a step."""

    step: Step
    moment: str

    @property
    def kind(self) -> str:
        """What kinds are counted by."""
        return self.step.call

    @property
    def number(self) -> int:
        """Which of its kind."""
        return self.step.number

    def dump(self) -> str:
        """Return it as text for the process."""
        return json.dumps([asdict(self.step), self.moment])

    @classmethod
    def load(cls, text: str) -> "Point":
        """Read what `dump` wrote."""
        step, moment = json.loads(text)
        return cls(Step(**step), moment)

    def __str__(self) -> str:
        return f"{self.moment} {self.step}"


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
    """Passes every call on to a store; records the steps, or dies at one of them, as the latest order says."""

    def __init__(self, store: Store, orders: Path) -> None:
        self._store, self._orders = store, orders
        self._point: Point | None = None
        self._record: Path | None = None
        self._writing = writing_methods() | {"open"}
        self._called: Counter[str] = Counter()
        self._worked: Counter[str] = Counter()
        self._kinds: dict[str, str] = {}
        self._arrived = False
        self._orders_taken = 0

    def obey(self) -> None:
        """Take the order that lies there, and count anew from here. Its file goes once that is done."""
        if not self._orders.exists():
            return
        order = json.loads(self._orders.read_text())
        self._point = Point.load(order["point"]) if order["point"] else None
        self._record = Path(order["record"]) if order["record"] else None
        self._called.clear()
        self._worked.clear()
        self._arrived = False
        self._orders_taken += 1
        self._orders.unlink()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._watched(name, found) if name in self._writing else found

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **named: Any) -> Any:
            self._arrived = self._arrived or name in ARRIVALS
            calls, order = self._names(name, args, named), self._orders_taken
            if self._arrived or name not in CLAIMS:
                for what in calls:
                    self._called[what] += 1
                    self._die_at(BEFORE, Step(what, self._called[what]))
            answer = await method(*args, **named)
            if answer is not False and answer not in ([], (), 0):  # what got nothing has changed nothing
                self._note(name, answer)
                if order == self._orders_taken:  # else it was begun before, and only its answer is late
                    self._done(calls)
            return answer

        if inspect.iscoroutinefunction(method):
            return call
        return lambda *args, **named: asyncio.ensure_future(call(*args, **named))

    def _names(self, name: str, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[str, ...]:
        """Return by what the call is known: its method, and what it is about."""
        if name == "settle":
            return name, f"{name} {self._ends(*args, **named)}"
        return (name, f"{name} {_ABOUT[name](*args, **named)}") if name in _ABOUT else (name,)

    def _ends(self, settlement: Settlement) -> str:
        """Return which kind of job ends how, and what follows."""
        kinds = [self._kinds.get(settlement.job_id, "?"), settlement.attempt.outcome]
        return " ".join([*kinds, *(f"+{job.kind}" for job in settlement.follow_ups)])

    def _note(self, name: str, answer: Any) -> None:
        if name == "claim_jobs":
            claims: Sequence[Claimed] = answer
            self._kinds |= {one.job.job_id: f"{one.job.kind} {one.job.connection}" for one in claims}

    def _done(self, calls: Sequence[str]) -> None:
        for what in calls:
            self._worked[what] += 1
            self._die_at(AFTER, Step(what, self._worked[what]))
        if self._record is not None:
            with self._record.open("a") as file:
                file.write(json.dumps(asdict(Step(calls[-1], self._worked[calls[-1]]))) + "\n")

    def _die_at(self, moment: str, step: Step) -> None:
        if self._point is not None and self._point == Point(step, moment):
            os.kill(os.getpid(), signal.SIGKILL)


def recorded(path: Path) -> list[Step]:
    """Return the steps of a clean run, in their order; none where nothing was written."""
    return [Step(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def points(steps: Iterable[Step]) -> list[Point]:
    """Return both moments of each step, in the order of the run."""
    return [Point(step, moment) for step in dict.fromkeys(steps) for moment in (BEFORE, AFTER)]
