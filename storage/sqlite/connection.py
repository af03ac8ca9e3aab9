"""One connection to the file: made with the settings that the promise rests on, and its errors made ours."""

import os
import sqlite3
import time
from pathlib import Path

from storage.errors import ConflictError, SchemaError, StoreUnavailableError, UnstorableError
from storage.sqlite import migrate
from storage.sqlite.checkpoints import LIMIT_BYTES, PAGES_NET

BUSY_TIMEOUT = 5.0
_FULL = 2  # what `PRAGMA synchronous` answers for FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
_RETRY_EVERY = 0.02


def connect(path: Path, *, read_only: bool = False, busy_timeout: float = BUSY_TIMEOUT) -> sqlite3.Connection:
    """Open a connection; the one that writes makes the file if need be, readable by its owner only.

    `busy_timeout` (seconds) is how long a statement waits for another process. A file of somebody else is left as it
    is. Raises SchemaError, StoreUnavailableError.
    """
    try:
        if not read_only:
            _create(path)
            if not os.access(path, os.W_OK):  # SQLite would open it for reading, and leave a write-protected log behind
                raise StoreUnavailableError(f"{path}: readonly")
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=busy_timeout, isolation_level=None,
            check_same_thread=False, cached_statements=256,
        )  # fmt: skip
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailableError(f"{path}: {error}") from error
    try:
        connection.row_factory = sqlite3.Row
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            _check_ours(connection)
            _make_durable(connection, busy_timeout)
    except BaseException as error:
        connection.close()
        raise ours(error) from error
    return connection


def ours(error: BaseException) -> BaseException:
    """Return an error of SQLite as ours; any other stays what it is. SQLite's texts name columns, never values."""
    if isinstance(error, sqlite3.IntegrityError):
        return ConflictError(str(error))
    if isinstance(error, UnicodeEncodeError | OverflowError | sqlite3.DataError):
        return UnstorableError(type(error).__name__)
    if isinstance(error, sqlite3.Error | OSError):
        return StoreUnavailableError(f"{type(error).__name__}: {error}"[:200])
    return error


def end(connection: sqlite3.Connection) -> None:
    """Roll back what is open, if anything is."""
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:  # the disk is gone; the next BEGIN says so to the next batch
            return


def _create(path: Path) -> None:
    """Make an empty file with mode 0600; one that is there is not touched.

    It must not even be opened: closing it would drop the locks that this process holds on it through SQLite
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return


def _check_ours(connection: sqlite3.Connection) -> None:
    try:
        migrate.check(connection)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise SchemaError("the file is not an SQLite database") from error
        raise


def _make_durable(connection: sqlite3.Connection, busy_timeout: float) -> None:
    mode = _enter_wal(connection, busy_timeout)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_NET}")  # before that: storage/sqlite/checkpoints.py
    connection.execute(f"PRAGMA journal_size_limit = {LIMIT_BYTES}")
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != _FULL:
        msg = f"the file system does not allow what durability needs (journal {mode}, synchronous {synchronous})"
        raise SchemaError(msg)


def _enter_wal(connection: sqlite3.Connection, busy_timeout: float) -> str:
    """Switch to WAL. SQLite does not wait for others here, whatever the busy timeout says, so that we have to."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_EVERY)
