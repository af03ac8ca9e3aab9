"""The SQLite store, put together from its parts."""

import sqlite3
from datetime import datetime
from pathlib import Path

from storage.records import EVERYWHERE, Scope
from storage.sqlite.catalog import Catalog
from storage.sqlite.database import Database, connect
from storage.sqlite.inbox import Inbox, insert_deliveries
from storage.sqlite.jobs import Jobs
from storage.sqlite.mappings import Mappings
from storage.sqlite.reviews import Reviews

__all__ = ["EVERYWHERE", "Scope", "SqliteStore"]


class SqliteStore(Inbox, Jobs, Mappings, Reviews, Catalog):
    """A store in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = Database(path, insert_deliveries)

    async def open(self) -> None:
        """Open the file, create it if need be, and bring its schema up to date. Raises StorageError kinds."""
        await self._db.open()

    async def close(self) -> None:
        """Finish what waits, and close."""
        await self._db.close()

    async def ping(self, *, now: datetime) -> None:
        """Prove that the store can be written. Raises StoreUnavailableError."""
        await self.put_meta("pinged_at", now.isoformat())

    async def change_token(self) -> int:
        """Return a number that changes when any process has committed: cheap to ask for."""
        return await self._db.read(lambda db: int(db.execute("PRAGMA data_version").fetchone()[0]))

    async def backup(self, target: Path) -> None:
        """Copy the database to a new file while it is in use, and check the copy. Raises StorageError kinds."""

        def work(db: sqlite3.Connection) -> None:
            copy = sqlite3.connect(target)
            try:
                db.backup(copy, pages=4096)
                copy.execute("PRAGMA journal_mode = DELETE")
                answer = copy.execute("PRAGMA integrity_check").fetchone()[0]
                if answer != "ok":
                    raise sqlite3.DatabaseError(answer)
            finally:
                copy.close()
            connect(target, read_only=True).close()

        await self._db.read(work)
