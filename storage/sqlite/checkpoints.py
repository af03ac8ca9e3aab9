"""Copying the write-ahead log into the database beside the writer, which then never stops for long to do it itself.

https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files: a checkpoint of 16 MB holds up whoever commits at
that moment, and every delivery behind it, for 15 to 20 ms. A passive one on another connection blocks nobody. Since the
log is begun anew only once all of it was copied and flushed, the writer copies the little that has come meanwhile, and
flushes only that: the rest was flushed here (storage/sqlite/datafile.py).
"""

import sqlite3
import threading
import time
from collections.abc import Callable

from storage.sqlite.datafile import DataFile

OFTEN_BYTES = 1024 * 1024
"""Written by estimate, then the log is copied. Where one core is all there is, a larger piece is felt: at 12 MB the
slowest hundredth of 16 senders waited 8 ms, at 1 MB it is 4.5."""
FLUSHES, LONGEST_REST = 4, 0.02
"""How long nothing is copied after a flush: so many times what that took, at most so many seconds. A disk does one
flush after another, and where they are slow the writer's must not always stand behind one of these."""
LONG_PAGES = 4_000
"""Pages in the log, 16 MB, all copied but the last few, then the writer begins it anew: two or three flushes of little,
for which all webhooks wait."""
LIMIT_BYTES = 64 * 1024 * 1024
"""What the log keeps of the disk when it is begun anew. To cut it takes the writer 10 ms: so it is far more than
LONG_PAGES and what comes meanwhile, and cuts what a reader of many minutes has left behind."""
PAGES_NET = 32_000
"""Pages at which SQLite copies by itself, should this thread have ended."""

_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """One thread with a connection of its own."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], file: DataFile) -> None:
        self._connect, self._file = connect, file
        self._wanted = threading.Event()
        self._ended = False
        self._written = 0
        self._long = False
        self._thread = threading.Thread(target=self._run, name="sqlite-checkpoints", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def wrote(self, connection: sqlite3.Connection, size: int) -> None:
        """Note that about so many bytes were committed. Called by the writer, between its transactions."""
        self._written += size
        if self._written >= OFTEN_BYTES:
            self._written = 0
            self._wanted.set()
        if self._long:
            self._long = False
            _copy(connection)

    def stop(self) -> None:
        """End the thread."""
        self._ended = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except Exception:  # noqa: BLE001 - SQLite's own net is there; the writer tells what is wrong with the file
            return
        self._file.hold()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._ended:
                break
            length = _copy(connection)
            began = time.monotonic()
            self._file.flush()
            if length >= LONG_PAGES:
                _copy(connection)  # what has come meanwhile, so that next to nothing is left for the writer
                self._file.flush()
                self._long = True
            time.sleep(min(FLUSHES * (time.monotonic() - began), LONGEST_REST))
        connection.close()


def _copy(connection: sqlite3.Connection) -> int:
    """Copy what no reader still needs; return the pages in the log. A disk in trouble tells the next commit."""
    try:
        return int(connection.execute(_COPY).fetchone()[1])
    except sqlite3.Error:
        return 0
