"""What this process may send on a connection: places and slots, taken from the store or, while it is alone, by itself.

Slots are taken from the store for all that wait at the moment. A process with much to do that finds no other hands them
out by itself and tells the store twice a second, so that one process alone pays nearly nothing. What was taken and not
used is gone a moment later by itself, and so are the places of a process that has died. The rules: gateway/slots.py.
"""

import itertools
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from connectors.models import Limits
from gateway.slots import ALONE, SECOND, Grant, Wish, grant, lateness, windows_of
from storage import Store
from storage.errors import StorageError
from storage.records import CircuitRow
from storage.scalars import micros

NEARLY_OVER = 30_000
"""Microseconds before the end of its time alone at which a process asks for more."""
MOST_SPARE = 50
OFFSET_LASTS = 10.0
_NUMBERS = itertools.count(1)


class Share:
    """The share of one process in one connection. `clock` is monotonic seconds; `store_time` stands for the store's."""

    def __init__(
        self,
        connection: str,
        limits: Limits,
        *,
        store: Store,
        owner: str,
        clock: Callable[[], float],
        store_time: Callable[[], datetime] | None,
    ) -> None:
        self.windows = windows_of(limits)
        self.asking = False
        """Whether the store is being asked: what it says replaces all of this, so nothing may be handed out."""
        self._late = lateness(self.windows)
        self._connection, self._concurrency = connection, max(1, limits.concurrency)
        self._store, self._clock, self._store_time = store, clock, store_time
        self._owner = f"{owner}#{next(_NUMBERS)}"  # a connection whose settings change has two for a moment
        self._places = 0
        self._slots: deque[tuple[int, int]] = deque()
        self._offset = _Offset()
        self._asked, self._begun, self._lead = float("-inf"), 0, 0
        self._alone_until = 0
        self._own: Any = None
        """While it is alone: what the store would note."""
        self._used: list[tuple[int, int]] = []
        self._unused: list[tuple[int, int]] = []

    @property
    def alone(self) -> bool:
        """Whether this process hands slots out by itself."""
        return bool(self._alone_until)

    @property
    def over(self) -> bool:
        """Whether its time alone is over, or nearly."""
        return self._store_now() >= self._alone_until - NEARLY_OVER

    @property
    def next_in(self) -> float:
        """Return in how many seconds the next slot is due; 0 where there is none."""
        return max(0.0, self._ahead() / SECOND) if self._slots else 0.0

    # Handing out -----------------------------------------------------------------------------------------------

    def allows(self, busy: int) -> bool:
        """Whether one more may be sent while so many are under way, once its slot is due."""
        return busy < self._places and bool(self._slots)

    def has_place(self, busy: int) -> bool:
        """Whether one more may be under way."""
        return busy < self._places

    def before_next(self) -> float | None:
        """Return how many seconds to wait for the next slot, or for the end of its time alone; None when it is due."""
        ahead = self._ahead()
        if ahead <= 0:
            return None
        over = self._alone_until - NEARLY_OVER - self._store_now() if self._alone_until else ahead
        return min(ahead, over) / SECOND

    def use(self) -> int | None:
        """Use the next slot, whose time has come, and return it; None when it is over, and given back."""
        at, count = self._slots.popleft()
        if self.is_late(at):
            self._unused.append((at, count))
            return None
        if count > 1:
            self._slots.appendleft((at, count - 1))
        self._begun += 1
        return at

    def is_late(self, at: int) -> bool:
        """Whether a slot is over."""
        return self._store_now() - at > self._late

    def give_back(self, at: int) -> None:
        """Give back a slot that was not used."""
        self._unused.append((at, 1))

    def give_all_back(self) -> None:
        """Give back all slots."""
        self._unused += self._slots
        self._slots.clear()

    # Taking ----------------------------------------------------------------------------------------------------

    def take_alone(self, busy: int, waiting: int) -> None:
        """Take what so many requests that wait get, by itself."""
        holding, unused = self._holding(), tuple(self._unused)
        wish = Wish(owner=self._owner, busy=busy, waiting=waiting, holding=holding, unused=unused)
        self._own, got = self._decide(wish, self._own, self._store_now())
        self._used += [*got.slots, *((at, -count) for at, count in unused)]
        self._unused.clear()
        self._get(got)

    async def ask(self, busy: int, waiting: int) -> CircuitRow | None:
        """Tell the store what was handed out and what is wanted, and take it.

        Returns what stops the connection's work, as the store knows it; None where the store is away.
        """
        began, late = self._clock(), self._late
        holding, used, unused = self._holding(), tuple(self._used), tuple(self._unused)
        passed, begun = began - self._asked, self._begun
        wish = Wish(
            owner=self._owner, busy=busy, waiting=waiting, holding=holding, used=used, unused=unused, lead=self._lead,
            spare=min(MOST_SPARE, int(begun * late / SECOND / max(passed, late / SECOND))),
            alone=bool(self.windows) and begun > 0 and passed < 2 * ALONE / SECOND,
        )  # fmt: skip

        def change(state: Any, now: datetime) -> tuple[Any, tuple[Any, Grant]]:
            own, got = self._decide(wish, state, micros(now))
            return own, (own, got)

        given = self._store_time() if self._store_time is not None else None
        self.asking = True
        try:
            (own, got), told, circuit = await self._store.change_budget(self._connection, change, now=given)
        except StorageError:
            self._alone_until = 0
            self._slots.clear()
            return None
        finally:
            self.asking = False
        took = round((self._clock() - began) * SECOND)
        lead = took + took // 4 if took > late // 2 else 0
        self._lead = min(SECOND, max(lead, self._lead * 3 // 4))  # answers that took long once may do so again
        self._offset.note(micros(told) - round(began * SECOND), at=began)
        if self._alone_until and micros(told) >= self._alone_until:
            self.give_all_back()  # told too late: others may have taken the same
        self._asked, self._begun = began, self._begun - begun
        self._used, self._unused = self._used[len(used) :], self._unused[len(unused) :]
        self._own, self._alone_until = own, got.alone_until
        self._get(got)
        return circuit

    def _decide(self, wish: Wish, state: Any, now: int) -> tuple[Any, Grant]:
        return grant(state, wish, windows=self.windows, concurrency=self._concurrency, now=now)

    def _get(self, got: Grant) -> None:
        self._places = got.places
        self._slots.extend(got.slots)

    def _holding(self) -> int:
        """Return how many slots are left that are not over."""
        while self._slots and self.is_late(self._slots[0][0]):
            self._unused.append(self._slots.popleft())
        return sum(count for _, count in self._slots)

    def _ahead(self) -> int:
        """Return in how many microseconds the next slot is due."""
        return self._slots[0][0] - self._store_now()

    def _store_now(self) -> int:
        return round(self._clock() * SECOND) + self._offset.micros


class _Offset:
    """By how much the store's clock is ahead of this process's monotonic one, in microseconds.

    Each answer tells a bound: the store has read its clock after it was asked. The least of the last bounds is nearest:
    off by the time that the quickest question was under way.
    """

    def __init__(self) -> None:
        self._now: int | None = None
        self._before: int | None = None
        self._since = 0.0
        self.micros = 0
        """The best bound known."""

    def note(self, bound: int, *, at: float) -> None:
        """Take up a bound; those older than twice `OFFSET_LASTS` are forgotten, and all when the clock was set."""
        if self._now is None or abs(bound - self.micros) > 5 * SECOND:
            self._now, self._before, self._since = bound, None, at
        elif at - self._since > OFFSET_LASTS:
            self._now, self._before, self._since = bound, self._now, at
        else:
            self._now = min(self._now, bound)
        self.micros = self._now if self._before is None else min(self._now, self._before)
