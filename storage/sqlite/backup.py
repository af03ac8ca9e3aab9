"""A copy of the database, made while it is in use, and checked before it is called one."""

import os
import sqlite3
from pathlib import Path

from storage.errors import StorageError
from storage.sqlite import migrate
from storage.sqlite.connection import ours


def back_up(db: sqlite3.Connection, target: Path) -> None:
    """Copy what `db` sees to a new file with mode 0600, and check the copy. Half a copy is removed.

    Raises StorageError when the target exists or the copy is not sound, StoreUnavailableError when there is no room.
    """
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise StorageError(f"{target} exists; a backup overwrites nothing") from error
    except OSError as error:
        raise ours(error) from error
    try:
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            # All pages in one step: a backup in several begins again whenever somebody writes in between.
            db.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode = DELETE")
            if copy.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                raise StorageError("the copy is damaged, and perhaps the database is too")
            migrate.check(copy)
        finally:
            copy.close()
    except BaseException:
        target.unlink(missing_ok=True)
        raise
