"""A connection's budget of requests: rate, concurrency, and a pause that the provider has asked for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from connectors.models import Limits


class Budget:
    """A limiter for one connection in one process: evenly spaced starts, a cap on requests under way.

    The rate is the smaller of the limits per second and per minute. `clock` is monotonic seconds.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        rates = [limits.per_second] + ([limits.per_minute / 60] if limits.per_minute else [])
        self._interval = 1 / max(min(rates), 1e-6)
        self._burst = max(1.0, min(limits.per_second, float(limits.concurrency)))
        self._places = asyncio.Semaphore(max(1, limits.concurrency))
        self.under_way = 0
        """How many requests are sent, and not answered yet."""
        self._clock, self._sleep = clock, sleep
        self._next = 0.0
        self.held_until = 0.0

    @property
    def held_for(self) -> float:
        """Return for how many seconds more the provider wants nothing."""
        return max(0.0, self.held_until - self._clock())

    @property
    def queue_for(self) -> float:
        """Return for how many seconds a request would wait now because of the rate."""
        return max(0.0, self._next - self._clock())

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a place and for the rate."""
        async with self._places:
            while True:
                now = self._clock()
                if self.held_until > now:
                    await self._sleep(self.held_until - now)
                    continue
                earliest = now - self._interval * (self._burst - 1)
                self._next = max(self._next, earliest)
                wait = self._next - now
                self._next += self._interval
                if wait > 0:
                    await self._sleep(wait)
                    if self.held_until > self._clock():
                        continue
                break
            self.under_way += 1
            try:
                yield
            finally:
                self.under_way -= 1

    def hold(self, seconds: float) -> None:
        """Send nothing for so long, at most a day."""
        self.held_until = max(self.held_until, self._clock() + min(seconds, 86_400.0))
