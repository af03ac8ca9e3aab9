"""Runs the gateway under a sampler: which stage of a job takes which share of the CPU time of the event loop's thread.

`python -m bench.stages FILE serve` runs the command line's `serve`, and writes the shares to FILE at the end. A timer
interrupts each millisecond of CPU time; a sample weighs what its thread has really used since the one before. What
SQLite's threads use is the rest of the process's time.
"""

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

EVERY = 0.001
STORE_THREADS = "store's threads (SQLite)"
OTHER = "event loop and the rest"
STAGES = (
    ("door", ("gateway/web/",)),
    ("dispatch", ("gateway/pipeline/intake.py", "gateway/pipeline/dispatch.py")),
    ("claim", ("gateway/pipeline/worker.py:_claim", "gateway/pipeline/worker.py:_rest")),
    ("record (settle)", ("gateway/pipeline/ending.py", "gateway/pipeline/settling.py")),
    ("log line and metrics", ("gateway/pipeline/telling.py",)),
    ("provider's limits", ("gateway/budget.py", "gateway/share.py", "gateway/slots.py")),
    ("write back", ("gateway/pipeline/writeback.py",)),
    ("ensure: platform's API", ("gateway/sources/",)),
    ("ensure: provider's API", ("connectors/",)),
    ("ensure: the rest", ("gateway/pipeline/",)),
    ("HTTP client: bytes read", ("aiohttp/client", "aiohttp/connector", "aiohttp/http_parser", "aiohttp/streams")),
)
"""Stage → places in the code; the first stage with a frame anywhere on the stack has the sample."""


def stage_of(stack: Sequence[str]) -> str:
    """Return the stage of a stack of `path:function`, innermost first."""
    for name, places in STAGES:
        if any(place in frame for frame in stack for place in places):
            return name
    return OTHER


class Sampler:
    """Counts CPU nanoseconds by stage. It must be made in the main thread."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._last = time.thread_time_ns()
        self._began = (time.thread_time_ns(), time.process_time_ns())

    def start(self) -> None:
        """Begin to sample."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)

    def restart(self, *_: object) -> None:
        """Forget what was counted."""
        self._taken.clear()
        self._last = time.thread_time_ns()
        self._began = (self._last, time.process_time_ns())

    def milliseconds(self) -> dict[str, float]:
        """Stop, and return the CPU milliseconds of each stage."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        mine = time.thread_time_ns() - self._began[0]
        everybody = time.process_time_ns() - self._began[1]
        told = {name: taken / 1e6 for name, taken in self._taken.most_common()}
        return {**told, STORE_THREADS: (everybody - mine) / 1e6}

    def _sample(self, _: int, frame: FrameType | None) -> None:
        now = time.thread_time_ns()
        stack = []
        while frame is not None:
            stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_name}")
            frame = frame.f_back
        self._taken[stage_of(stack)] += now - self._last
        self._last = now


def main(arguments: Sequence[str]) -> int:
    """Run the gateway's command line under the sampler; SIGUSR2 forgets what was counted so far."""
    target, *rest = arguments
    sampler = Sampler()
    signal.signal(signal.SIGUSR2, sampler.restart)
    sampler.start()
    from gateway.cli import main as run  # noqa: PLC0415 - its import is not what is measured, and takes signals too

    try:
        return run(rest)
    finally:
        Path(target).write_text(json.dumps(sampler.milliseconds()), "utf-8")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
