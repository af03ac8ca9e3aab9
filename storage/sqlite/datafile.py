"""Flushing the database file beside the writer, which then finds nothing left to wait for when the log is begun anew.

SQLite flushes that file only in a checkpoint that has copied all there is (https://www.sqlite.org/wal.html#ckpt). While
webhooks pour in that is the one of the writer, and each webhook would wait for as much as the disk has put off.

A process that closes a descriptor of a file loses all its locks on the file, those of SQLite too
(https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_). So all
databases on one file in this process share one, and it is closed when the last of them has closed its connections.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

_flush = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


@dataclass(slots=True)
class _Held:
    descriptor: int
    holders: int = 1


_held: dict[tuple[int, int], _Held] = {}
_lock = threading.Lock()


class DataFile:
    """One database's hold on its file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self.lost = False
        """Whether the disk did not take something that was copied from the log: see storage/sqlite/checkpoints.py."""

    def hold(self) -> None:
        """Take hold of the file, which must be there. Without it, `flush` does nothing."""
        with _lock:
            try:
                found = self._path.stat()
                identity = found.st_dev, found.st_ino
                held = _held.get(identity)
                if held is None:
                    _held[identity] = _Held(os.open(self._path, os.O_RDWR | os.O_CLOEXEC))
                else:
                    held.holders += 1
            except OSError:
                return
            self._identity = identity

    def flush(self) -> None:
        """Wait until the disk has all that was written to the file, or note that it is lost."""
        if self._identity is not None:
            try:
                _flush(_held[self._identity].descriptor)
            except OSError:
                self.lost = True

    def release(self) -> None:
        """Let go, once all connections of this database are closed; never of a file whose log has to stay locked."""
        with _lock:
            if self._identity is None or self.lost:
                return
            held = _held[self._identity]
            held.holders -= 1
            if not held.holders:
                del _held[self._identity]
                os.close(held.descriptor)
            self._identity = None
