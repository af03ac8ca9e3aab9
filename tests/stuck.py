"""The end of a test that takes too long: it tells where each of its tasks and threads waits, and is cancelled.

pytest-timeout's own ways do not do here. A signal does not get through to a test on uvloop, which hands what a signal
handler raises to its exception handler; and what its thread prints is lost in a worker of pytest-xdist. The process
ends only where nothing else ends the test: what a dead worker has left may keep the others of pytest-xdist for ever.
"""

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import weakref
from typing import TextIO

import pytest
import uvloop

_LOOPS: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
_TIMER = pytest.StashKey[threading.Timer]()
_ENDED = pytest.StashKey[threading.Event]()
GRACE_SECONDS = 30.0


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop as a gateway runs on, whose tasks can be told."""
    loop = uvloop.new_event_loop()
    _LOOPS.add(loop)
    return loop


def end_after(seconds: float, item: pytest.Item) -> None:
    """End a test in so many seconds, unless it has ended by then."""
    over = item.stash[_ENDED] = threading.Event()

    def interrupt(_number: int, _frame: object) -> None:
        if not over.is_set():
            pytest.fail("it took too long")

    signal.signal(signal.SIGALRM, interrupt)
    timer = threading.Timer(seconds, _end, [item, seconds])
    timer.daemon = True
    item.stash[_TIMER] = timer
    timer.start()


def ended(item: pytest.Item) -> None:
    """Let go of a test that has ended."""
    if (timer := item.stash.get(_TIMER, None)) is not None:
        timer.cancel()
        item.stash[_ENDED].set()


def _end(item: pytest.Item, seconds: float) -> None:
    """Cancel what runs on an event loop of ours, else interrupt the main thread; last, end the process."""
    stderr = _uncaptured(item)
    print(f"\n{item.nodeid} has not ended in {seconds:g} seconds. Its tasks:", file=stderr)
    running = [loop for loop in list(_LOOPS) if loop.is_running()]
    for loop in running:
        for task in asyncio.all_tasks(loop):
            task.print_stack(file=stderr)
            loop.call_soon_threadsafe(task.cancel)
    print("Its threads:", file=stderr, flush=True)
    faulthandler.dump_traceback(stderr)
    if not running:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
    if not item.stash[_ENDED].wait(GRACE_SECONDS):
        print(f"{item.nodeid} does not end when it is cancelled", file=stderr, flush=True)
        os._exit(1)


def _uncaptured(item: pytest.Item) -> TextIO:
    """Return where a worker of pytest-xdist can be heard: its own stderr, without pytest's hands on it."""
    if (capturing := item.config.pluginmanager.getplugin("capturemanager")) is not None:
        capturing.suspend_global_capture(in_=True)
    return sys.__stderr__ or sys.stderr
