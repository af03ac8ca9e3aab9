"""Who waits for a change of the database, and how they are woken. The same in every backend."""

import asyncio


class Changes:
    """A count of changes, and those who wait for the next. Belongs to one event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._told = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def note(self) -> None:
        """Count a change, and wake whoever waits."""
        self.count += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    def begin(self, since: int | None) -> int:
        """Return the count from which a wait begins: `since`, or what the last wait has told."""
        return self._told if since is None else since

    async def wait(self, timeout: float, *, since: int) -> bool:
        """Return True as soon as the count is another than `since`, False after `timeout` seconds."""
        if self.count == since and timeout > 0:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                async with asyncio.timeout(timeout):
                    await waiter
            except TimeoutError:
                pass
            finally:
                self._waiting.discard(waiter)
        self._told = self.count
        return self.count != since
