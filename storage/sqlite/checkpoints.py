"""Copying the write-ahead log into the database beside the writer, which then never stops for long to do it itself.

https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files: a checkpoint of 16 MB holds up whoever commits at
that moment, and every delivery behind it, for 15 to 20 ms. A passive one on another connection blocks nobody. Since the
log is begun anew only once all of it was copied and flushed, the writer copies the little that has come meanwhile, and
flushes only that: the rest was flushed here (storage/sqlite/datafile.py).

A flush that fails is told once: the system then takes the pages for written, the next flush succeeds, and the log,
which still has them, would be begun anew (https://wiki.postgresql.org/wiki/Fsync_Errors). So nothing is written after
one, and the log is kept for the process that comes next, which copies all of it again.
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
            self._copy(connection)

    def stop(self) -> None:
        """Copy no more, and close the connection, unless the log has to stay."""
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
            self._go_on(connection)
        if self._file.lost:
            threading.Thread(target=_stay, args=(connection,), name="sqlite-log-keeper", daemon=True).start()
        else:
            connection.close()

    def _go_on(self, connection: sqlite3.Connection) -> None:
        length = self._copy(connection)
        began = time.monotonic()
        self._file.flush()
        if length >= LONG_PAGES:
            self._copy(connection)  # what has come meanwhile, so that next to nothing is left for the writer
            self._file.flush()
            self._long = True
        time.sleep(min(FLUSHES * (time.monotonic() - began), LONGEST_REST))

    def _copy(self, connection: sqlite3.Connection) -> int:
        """Copy what no reader still needs; return the pages in the log. A disk that is full tells the next commit.

        Nothing after something was lost, in whichever thread: a copy that is complete lets the log be begun anew.
        """
        if self._file.lost:
            return 0
        try:
            return _copied(connection)
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_IOERR_FSYNC:
                self._file.lost = True
            return 0


def _stay(_: sqlite3.Connection) -> None:
    """Have a connection open until the process ends: the last one that is closed removes the log."""
    threading.Event().wait()


def _copied(connection: sqlite3.Connection) -> int:
    return int(connection.execute(_COPY).fetchone()[1])
