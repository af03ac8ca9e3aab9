"""Commits of other processes on the file: heard from their bells, and looked for where nobody rings."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.changes import Changes
from storage.sqlite.bell import Bell

POLL_SECONDS = 1.0


class Outside:
    """Notes the changes that others make among our own. Belongs to one event loop, but for the bell's `ring`."""

    def __init__(
        self,
        path: Path,
        changes: Changes,
        *,
        version: Callable[[], Awaitable[int]],
        assert_usable: Callable[[], None],
        poll_seconds: float,
    ) -> None:
        """Wait for changes of the file. `version` asks the writer for a number that others' commits change.

        `assert_usable` raises when the store is not open, or no longer.
        """
        self.bell = Bell(path)
        self.listeners = 0
        """Waits that are under way."""
        self._changes, self._version, self._poll_seconds = changes, version, poll_seconds
        self._assert_usable = assert_usable
        self._seen = 0
        self._looked = float("-inf")

    def begin(self, version: int) -> None:
        """Take up the number as it is when the file was opened."""
        self._seen = version

    def close(self) -> None:
        """Hear nothing more, whoever still waits."""
        if self.bell.ear is not None and self.listeners:
            asyncio.get_running_loop().remove_reader(self.bell.ear)
        self.bell.close()

    async def look(self) -> None:
        """Note a change when another process has rung, or is found to have committed since the last look.

        A look costs the writer a statement. Where the bell is heard, it is for those who cannot ring, once a second.
        """
        self._assert_usable()
        loop = asyncio.get_running_loop()
        hears = self.bell.listen()  # before the look: what comes later is heard
        self._hear()
        if hears and loop.time() - self._looked < self._poll_seconds:
            return
        self._looked = loop.time()
        seen = await self._version()
        if seen != self._seen:
            self._seen = seen
            self._changes.note()

    async def wait(self, timeout: float, *, since: int | None) -> bool:
        """Wait for a commit: our own at once, those of others when they ring, else by a look each second."""
        start, loop = self._changes.begin(since), asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            await self.look()
            now = loop.time()
            left, next_look = deadline - now, max(0.0, self._looked + self._poll_seconds - now)
            with self._listening(loop):
                if await self._changes.wait(min(left, next_look), since=start):
                    return True
            if left <= next_look:
                return False

    @contextmanager
    def _listening(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Hear the bell while somebody waits. What rings meanwhile stays in the socket, a few times at most."""
        ear = self.bell.ear
        self.listeners += 1
        if ear is not None and self.listeners == 1:
            loop.add_reader(ear, self._hear)
        try:
            yield
        finally:
            self.listeners -= 1
            if ear is not None and self.listeners == 0 and self.bell.ear is ear:
                loop.remove_reader(ear)

    def _hear(self) -> None:
        if self.bell.was_rung():
            self._changes.note()
