"""Batches of histories, some at the same time, each on a ground of its own; and one verdict."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from gateway import logs
from gateway.settings import LogFormat, LogLevel
from tests.histories.ground import Ground
from tests.histories.play import play, replay
from tests.postgres_setup import Server

BATCH = 125
POSTGRES_EVERY = 5
KEEP_CHARS = 20_000
CLEAN_UP_SECONDS = 20.0


def _quiet() -> None:
    """Keep the gateways' own log lines out of what is printed."""
    logs.configure(LogFormat.JSON, LogLevel.ERROR)
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives


def batch(seed: int, number: int, size: int, *, postgres: bool) -> tuple[int, str]:
    """Play one batch; return its number and what went wrong, empty where nothing did."""
    server = Server() if postgres else None
    try:
        return number, _told(
            server.url if server is not None else None,
            lambda ground: play(ground, size, seed=seed * 1_000_003 + number, shrink=False),
        )
    finally:
        if server is not None:
            server.remove()


def again(steps: str) -> str:
    """Play one history again, on SQLite; return what went wrong, empty where nothing did."""
    return _told(None, lambda ground: replay(ground, steps))


def _told(postgres: str | None, play_on: Callable[[Ground], None]) -> str:
    _quiet()
    try:
        with Ground(postgres=postgres) as ground:
            play_on(ground)
    except BaseException:  # noqa: BLE001 - told, and part of the verdict
        return traceback.format_exc()[-KEEP_CHARS:]
    return ""


def _follow_parent() -> None:
    """End with the process that plays all batches, also where that was killed: nobody waits for these any more."""
    parent, mine = multiprocessing.parent_process(), os.getpid()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os.kill(mine, signal.SIGINT)  # which ends the batch, and its database server
        time.sleep(CLEAN_UP_SECONDS)
        os._exit(1)

    threading.Thread(target=follow, name="follow-parent", daemon=True).start()


def soak(*, seed: int, first: int, batches: int, size: int, at_once: int, postgres: bool) -> bool:
    """Play all batches and print a verdict; return whether the promise was kept."""
    begun, broken = time.monotonic(), []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=context, initializer=_follow_parent) as pool:
        playing = [
            pool.submit(batch, seed, number, size, postgres=postgres and number % POSTGRES_EVERY == POSTGRES_EVERY - 1)
            for number in range(first, first + batches)
        ]
        for done in as_completed(playing):
            number, wrong = done.result()
            print(f"batch {number}: {size} histories: {'BROKEN' if wrong else 'kept'}", flush=True)
            if wrong:
                broken.append(number)
                print(wrong, flush=True)
    minutes = (time.monotonic() - begun) / 60
    again = "".join(f"\n  python -m tests.histories --seed {seed} --first {number} --batches 1" for number in broken)
    verdict = f"BROKEN in {len(broken)} of {batches} batches; to play them again:{again}" if broken else "KEPT"
    told = f"{batches * size} histories in {batches} batches, {minutes:.1f} minutes, seed {seed}."
    print(f"{told} The promise was {verdict}")
    return not broken
