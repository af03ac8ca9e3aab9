"""Which tests reach which lines of a module, and how long each takes: found by running them all once, traced."""

import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Reach:
    """What one test has run of the module."""

    seconds: float
    lines: frozenset[int]


def reach(session: pytest.Session, module: Path) -> Mapping[str, Reach] | None:
    """Run all collected tests in a process of their own; return what each reaches. None where one fails."""
    with tempfile.NamedTemporaryFile(prefix="reach-") as told:
        pid = os.fork()
        if pid == 0:
            _trace(session, str(module), Path(told.name))
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status):
            return None
        found: Mapping[str, Reach] = pickle.load(told)  # noqa: S301 - written by our own child
        return found


def chosen(found: Mapping[str, Reach], lines: range) -> Sequence[str]:
    """Return the tests that can notice a change on these lines, the quickest first."""
    reaching = [name for name, one in found.items() if not one.lines.isdisjoint(lines)]
    return sorted(reaching, key=lambda name: found[name].seconds)


def run(session: pytest.Session, names: Sequence[str] | None = None) -> bool:
    """Run these tests in this order, or all, up to the first that fails; return whether none did."""
    items = session.items
    if names is not None:
        known = {item.nodeid: item for item in items}
        items = [known[name] for name in names]
    for item, following in zip_longest(items, items[1:]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return False
    return True


def hush() -> None:
    """Let nothing of this process be printed any more."""
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(silence, stream)


def _trace(session: pytest.Session, module: str, told: Path) -> None:
    """Become the traced run. Never returns."""
    code = 70
    try:
        hush()
        found: dict[str, Reach] = {}
        for item, following in zip_longest(session.items, session.items[1:]):
            begun = time.monotonic()
            with _tracing(module) as lines:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            found[item.nodeid] = Reach(time.monotonic() - begun, frozenset(lines))
            if session.testsfailed:
                break
        told.write_bytes(pickle.dumps(found))
        code = int(session.testsfailed > 0)
    finally:
        os._exit(code)


@contextmanager
def _tracing(module: str) -> Iterator[set[int]]:
    lines: set[int] = set()

    def within(frame: FrameType, _event: str, _value: Any) -> Any:
        lines.add(frame.f_lineno)
        return within

    def enter(frame: FrameType, event: str, value: Any) -> Any:
        return within(frame, event, value) if frame.f_code.co_filename == module else None

    sys.settrace(enter)
    threading.settrace(enter)
    try:
        yield lines
    finally:
        sys.settrace(None)
        threading.settrace(None)
