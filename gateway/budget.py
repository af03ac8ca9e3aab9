"""A connection's budget of requests, shared with all other processes: rate and requests under way.

Slots are taken from the store for all that wait at the moment. A process with much to do that finds no other hands them
out by itself and tells the store twice a second, so that one process alone pays nearly nothing. What was taken and not
used is gone a moment later by itself, and so are the places of a process that has died. The rules: gateway/slots.py.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from datetime import datetime
from typing import Any

from connectors.errors import RateLimitedError
from connectors.models import Limits
from gateway.breaker import Breaker
from gateway.slots import ALONE, SECOND, Grant, Wish, grant, lateness, windows_of
from storage import Store
from storage.errors import StorageError
from storage.scalars import micros

LONGEST_WAIT = 30.0
"""Seconds that a request waits for a pause to end; when it takes longer, its job comes again later."""
BEAT = 1.0
"""Seconds after which a process with requests under way says that it is there."""
LINGER = 0.05
"""Seconds for which a process stays alone after its last request: the next may follow at once."""
LOOK_AGAIN = 0.1
"""Seconds after which it looks whether another process has given up a place."""
NEARLY_OVER = 30_000
"""Microseconds before the end of its time alone at which a process asks for more."""
STORE_AWAY = 1.0
MOST_SPARE = 50
OFFSET_LASTS = 10.0
_NUMBERS = itertools.count(1)


class Budget:
    """A limiter for one connection.

    `clock` is monotonic seconds, in which `sleep` waits for a slot; `store_time` stands for the store's, in tests.
    `pause` waits in the breaker's time, which need not be the same.
    """

    def __init__(
        self,
        connection: str,
        limits: Limits,
        *,
        store: Store,
        breaker: Breaker,
        owner: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        store_time: Callable[[], datetime] | None = None,
    ) -> None:
        self.windows = windows_of(limits)
        self._late = lateness(self.windows)
        self._connection, self._concurrency = connection, max(1, limits.concurrency)
        self._store, self._breaker = store, breaker
        self._owner = f"{owner}#{next(_NUMBERS)}"  # a connection whose settings change has two for a moment
        self._clock, self._sleep, self._pause, self._store_time = clock, sleep, pause, store_time
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._busy = self._places = 0
        self._asking = False
        self._slots: deque[tuple[int, int]] = deque()
        self._server: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        self._offset = _Offset()
        self._asked, self._begun, self._lead = float("-inf"), 0, 0
        self._alone_until = 0
        self._own: Any = None
        """While it is alone: what the store would note."""
        self._used: list[tuple[int, int]] = []
        self._unused: list[tuple[int, int]] = []

    @property
    def held_for(self) -> float:
        """Return for how many seconds more the provider wants nothing."""
        return self._breaker.held_for

    @property
    def under_way(self) -> int:
        """Return how many requests this process has sent that were not answered yet."""
        return self._busy

    @property
    def queued(self) -> int:
        """Return how many requests of this process wait to be sent."""
        return len(self._waiting)

    @property
    def queue_for(self) -> float:
        """Return for how many seconds the next request of this process waits for the rate."""
        return max(0.0, (self._slots[0][0] - self._store_now()) / SECOND) if self._slots else 0.0

    def hold(self, seconds: float) -> None:
        """Send nothing for so long, in all processes."""
        self._breaker.hold(seconds)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a place and for the rate. Raises RateLimitedError when the provider wants a long pause."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    def close(self) -> None:
        """Let nobody in any more."""
        if self._server is not None:
            self._server.cancel()

    # Who waits, and who serves them ----------------------------------------------------------------------------

    async def _enter(self) -> None:
        at = self._use_at_once()
        if at is None:
            at = await self._turn()
        while self._is_late(at):  # the machine has other things to do than to go on here
            self._unused.append((at, 1))
            self._leave()
            at = await self._turn(first=True)

    def _use_at_once(self) -> int | None:
        """Let a request in that need not wait, and return for when; None when it has to wait for its turn.

        Only while this process is alone and nobody waits: most requests of one process, which need no task for it.
        """
        serving = self._server is not None and not self._waiting and not self._asking
        if not serving or not self._alone_until or self._is_over() or self._breaker.held_for > 0:
            return None
        if self._busy >= self._places or not self._slots:
            self._take_alone(1)
        if self._busy >= self._places or not self._slots or self._slots[0][0] > self._store_now():
            return None
        return self._let_in()

    def _let_in(self) -> int | None:
        """Use the next slot, whose time has come, and return it; None when it is over, and given back."""
        at, count = self._slots.popleft()
        if self._is_late(at):
            self._unused.append((at, count))
            return None
        if count > 1:
            self._slots.appendleft((at, count - 1))
        self._busy += 1
        self._begun += 1
        return at

    async def _turn(self, *, first: bool = False) -> int:
        """Wait until this request may be sent; return for when."""
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        self._stirred.set()
        if self._server is None:
            self._server = asyncio.create_task(self._serve(), name=f"budget-{self._connection}")
        try:
            return await place
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.cancelled() and place.exception() is None:  # it was let in at the same moment
                self._leave()
            raise

    def _leave(self) -> None:
        self._busy -= 1
        if self._waiting or not self._busy or not self._alone_until:
            self._stirred.set()

    async def _serve(self) -> None:
        """Let in who waits, in turn; ends when nobody waits and nothing is under way."""
        try:
            while self._waiting or self._busy or self._alone_until:
                if self._alone_until and self._is_over():
                    await self._ask()
                elif not self._waiting:
                    await self._rest()
                elif self._breaker.held_for > 0:
                    await self._wait_out(self._breaker.held_for)
                elif self._busy >= self._places or not self._slots:
                    await self._take()
                    if self._busy >= self._places:
                        await self._stirs(LOOK_AGAIN)
                else:
                    await self._use_next()
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            self._refuse(error)
        finally:
            self._server = None
            while self._waiting:  # only where it was cancelled: the gateway stops
                self._waiting.popleft().cancel()

    async def _rest(self) -> None:
        """Wait for somebody to come or leave. Where nobody does, say so: soon once nothing is under way here."""
        if not self._alone_until:
            if not await self._stirs(BEAT):
                await self._ask()
        elif self._busy:
            if not await self._stirs(ALONE / SECOND / 2):
                self._take_alone(len(self._waiting))
        elif not await self._stirs(LINGER) and not self._busy:
            await self._ask()

    async def _use_next(self) -> None:
        """Wait for the next slot, and let one in; a slot that is over by now is given back."""
        now = self._store_now()
        ahead = self._slots[0][0] - now
        if ahead > 0:
            over = self._alone_until - NEARLY_OVER - now if self._alone_until else ahead
            await self._sleep(min(ahead, over) / SECOND)
            return
        at = self._let_in()
        if at is None:
            return
        place = self._waiting.popleft()
        if place.done():
            self._leave()
        else:
            place.set_result(at)

    async def _wait_out(self, seconds: float) -> None:
        self._unused += self._slots
        self._slots.clear()
        if seconds > LONGEST_WAIT:
            self._refuse(RateLimitedError("the provider has asked for a pause", retry_after=seconds))
        else:
            await self._pause(min(seconds, BEAT))

    def _refuse(self, error: Exception) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_exception(copy(error))

    async def _stirs(self, seconds: float) -> bool:
        """Return whether somebody came or left within so many seconds."""
        self._stirred.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            return False
        return True

    # The share of this process ---------------------------------------------------------------------------------

    async def _take(self) -> None:
        """Take what this process gets: by itself while it is alone, else from the store."""
        if not self._alone_until:
            await self._ask()
            return
        self._take_alone(len(self._waiting))

    def _take_alone(self, waiting: int) -> None:
        """Take what `waiting` requests get, by itself."""
        holding, unused = self._holding(), tuple(self._unused)
        wish = Wish(owner=self._owner, busy=self._busy, waiting=waiting, holding=holding, unused=unused)
        self._own, got = self._decide(wish, self._own, self._store_now())
        self._used += [*got.slots, *((at, -count) for at, count in unused)]
        self._unused.clear()
        self._get(got)

    async def _ask(self) -> None:
        """Tell the store what was handed out and what is wanted, and take it. A store that is away is waited for."""
        began, late = self._clock(), self._late
        holding, used, unused = self._holding(), tuple(self._used), tuple(self._unused)
        passed, begun = began - self._asked, self._begun
        wish = Wish(
            owner=self._owner, busy=self._busy, waiting=len(self._waiting), holding=holding, used=used, unused=unused,
            lead=self._lead,
            spare=min(MOST_SPARE, int(begun * late / SECOND / max(passed, late / SECOND))),
            alone=bool(self.windows) and begun > 0 and passed < 2 * ALONE / SECOND,
        )  # fmt: skip

        def change(state: Any, now: datetime) -> tuple[Any, tuple[Any, Grant]]:
            own, got = self._decide(wish, state, micros(now))
            return own, (own, got)

        given = self._store_time() if self._store_time is not None else None
        self._asking = True  # what it says replaces what this process knows: nothing may be handed out meanwhile
        try:
            (own, got), told, circuit = await self._store.change_budget(self._connection, change, now=given)
        except StorageError:
            self._alone_until = 0
            self._slots.clear()
            await self._pause(STORE_AWAY)
            return
        finally:
            self._asking = False
        took = round((self._clock() - began) * SECOND)
        lead = took + took // 4 if took > late // 2 else 0
        self._lead = min(SECOND, max(lead, self._lead * 3 // 4))  # answers that took long once may do so again
        self._offset.note(micros(told) - round(began * SECOND), at=began)
        if self._alone_until and micros(told) >= self._alone_until:
            self._unused += self._slots  # told too late: others may have taken the same
            self._slots.clear()
        self._asked, self._begun = began, self._begun - begun
        self._used, self._unused = self._used[len(used) :], self._unused[len(unused) :]
        self._own, self._alone_until = own, got.alone_until
        self._breaker.heard(circuit)
        self._get(got)

    def _decide(self, wish: Wish, state: Any, now: int) -> tuple[Any, Grant]:
        return grant(state, wish, windows=self.windows, concurrency=self._concurrency, now=now)

    def _get(self, got: Grant) -> None:
        self._places = got.places
        self._slots.extend(got.slots)

    def _holding(self) -> int:
        """Return how many slots are left that are not over."""
        while self._slots and self._is_late(self._slots[0][0]):
            self._unused.append(self._slots.popleft())
        return sum(count for _, count in self._slots)

    def _is_late(self, at: int) -> bool:
        return self._store_now() - at > self._late

    def _is_over(self) -> bool:
        return self._store_now() >= self._alone_until - NEARLY_OVER

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
