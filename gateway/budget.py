"""A connection's budget of requests, shared with all other processes: who waits to send, and who is let in when.

What this process may send is its share: gateway/share.py.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from datetime import datetime

from connectors.errors import RateLimitedError
from connectors.models import Limits
from gateway.breaker import Breaker
from gateway.share import Share
from gateway.slots import ALONE, SECOND
from storage import Store

LONGEST_WAIT = 30.0
"""Seconds that a request waits for a pause to end; when it takes longer, its job comes again later."""
BEAT = 1.0
"""Seconds after which a process with requests under way says that it is there."""
LINGER = 0.05
"""Seconds for which a process stays alone after its last request: the next may follow at once."""
LOOK_AGAIN = 0.1
"""Seconds after which it looks whether another process has given up a place."""
STORE_AWAY = 1.0
"""Seconds after which a store that was away is asked again."""


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
        self.share = Share(connection, limits, store=store, owner=owner, clock=clock, store_time=store_time)
        self._connection, self._breaker = connection, breaker
        self._sleep, self._pause = sleep, pause
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._busy = 0
        self._server: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()

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
        return self.share.next_in

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
        while self.share.is_late(at):  # the machine has other things to do than to go on here
            self.share.give_back(at)
            self._leave()
            at = await self._turn(first=True)

    def _use_at_once(self) -> int | None:
        """Let a request in that need not wait, and return for when; None when it has to wait for its turn.

        Only while this process is alone and nobody waits: most requests of one process, which need no task for it.
        """
        share = self.share
        serving = self._server is not None and not self._waiting and not share.asking
        if not serving or not share.alone or share.over or self._breaker.held_for > 0:
            return None
        if not share.allows(self._busy):
            share.take_alone(self._busy, 1)
        if not share.allows(self._busy) or share.before_next() is not None:
            return None
        return self._let_in()

    def _let_in(self) -> int | None:
        """Use the next slot, whose time has come, and return it; None when it is over, and given back."""
        at = self.share.use()
        if at is not None:
            self._busy += 1
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
        if self._waiting or not self._busy or not self.share.alone:
            self._stirred.set()

    async def _serve(self) -> None:
        """Let in who waits, in turn; ends when nobody waits and nothing is under way."""
        try:
            while self._waiting or self._busy or self.share.alone:
                if self.share.alone and self.share.over:
                    await self._ask()
                elif not self._waiting:
                    await self._rest()
                elif self._breaker.held_for > 0:
                    await self._wait_out(self._breaker.held_for)
                elif not self.share.allows(self._busy):
                    await self._take()
                    if not self.share.has_place(self._busy):
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
        if not self.share.alone:
            if not await self._stirs(BEAT):
                await self._ask()
        elif self._busy:
            if not await self._stirs(ALONE / SECOND / 2):
                self.share.take_alone(self._busy, len(self._waiting))
        elif not await self._stirs(LINGER) and not self._busy:
            await self._ask()

    async def _use_next(self) -> None:
        """Wait for the next slot, and let one in; a slot that is over by now is given back."""
        wait = self.share.before_next()
        if wait is not None:
            await self._sleep(wait)
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
        self.share.give_all_back()
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

    async def _take(self) -> None:
        """Take what this process gets: by itself while it is alone, else from the store."""
        if self.share.alone:
            self.share.take_alone(self._busy, len(self._waiting))
        else:
            await self._ask()

    async def _ask(self) -> None:
        """Ask the store for a share. One that is away is waited for."""
        circuit = await self.share.ask(self._busy, len(self._waiting))
        if circuit is None:
            await self._pause(STORE_AWAY)
        else:
            self._breaker.heard(circuit)
