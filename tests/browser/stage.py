"""A gateway on a thread of its own, so that tests can wait for a browser while it works."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gateway.console.visit import CONSOLE
from tests.harness import Rig

T = TypeVar("T")
SECONDS = 60.0


class Stage:
    """A rig, and the event loop that it lives in: `stage.run(stage.rig.finish())`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        self.rig: Rig = self.run(self._make(folder, settings))

    @staticmethod
    async def _make(folder: Path, settings: dict[str, Any]) -> Rig:
        return Rig(folder, **settings)

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self.rig.gateway.url

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done in the gateway's loop, and return what comes of it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)

    def start(self) -> None:
        """Start the simulators and the gateway."""
        self.run(self.rig.start())
        self.rig.gateway.app[CONSOLE].streams._quiet = 0.05  # pages hear sooner, so that nobody waits for them

    def stop(self) -> None:
        """Stop all."""
        try:
            self.run(self.rig.stop())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(SECONDS)
            self._loop.close()
