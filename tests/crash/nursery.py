"""Where tests get processes of the gateway from: started, watched, killed, and all gone at the end."""

import asyncio
import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL
POLL_SECONDS = 0.01


class Child:
    """One process of the gateway."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self._nursery, self.pid = nursery, pid
        self.status: int | None = None

    async def poll(self) -> int | None:
        """Return how it has ended, None while it lives."""
        if self.status is None:
            self.status = await self._nursery.ask({"poll": self.pid}, "status")
        return self.status

    async def ended(self, *, within: float) -> int | None:
        """Wait until it has ended, and return how; None if it lives on after so many seconds."""
        deadline = time.monotonic() + within
        while await self.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - another process
            await asyncio.sleep(POLL_SECONDS)
        return self.status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; to one that has ended, nothing happens."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def terminate(self) -> int:
        """Stop it as an operator does, and return the exit code."""
        self.kill(signal.SIGTERM)
        status = await self.ended(within=20)
        assert status is not None, "it did not stop"
        return status


class Nursery:
    """Starts processes through the zygote."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def start(self, env: Mapping[str, str], *, stderr: Path, driven: bool = False) -> Child:
        """Start a process of the gateway with these settings."""
        order = {"start": {"env": dict(env), "stderr": str(stderr), "driven": driven}}
        child = Child(self, await self.ask(order, "pid"))
        self._children.append(child)
        return child

    async def ask(self, order: Mapping[str, Any], wanted: str) -> Any:
        """Send one order, and return one member of the answer, which comes at once."""
        process = zygote()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "the zygote is gone"
        return json.loads(line)[wanted]

    async def clear(self) -> None:
        """Kill what still lives."""
        for child in self._children:
            if await child.poll() is None:
                child.kill()
                await child.ended(within=10)


@asynccontextmanager
async def open_nursery() -> AsyncIterator[Nursery]:
    """Give a place to start processes, and end all that it has started."""
    nursery = Nursery()
    try:
        yield nursery
    finally:
        await nursery.clear()


@cache
def zygote() -> subprocess.Popen[bytes]:
    """The zygote of this process, which ends with it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LEDGERGATE_", "PYTEST_"))}
    command = [sys.executable, "-m", "tests.crash.zygote"]
    process = subprocess.Popen(command, cwd=ROOT, env=clean, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(process.communicate)
    return process
