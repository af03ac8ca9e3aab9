"""The SQLite store, put together from its parts."""

from datetime import datetime
from pathlib import Path

from storage.sqlite.activity import Activity
from storage.sqlite.alerts import Alerts
from storage.sqlite.attention import Attending
from storage.sqlite.backup import back_up
from storage.sqlite.budgets import Budgets
from storage.sqlite.catalog import Catalog
from storage.sqlite.channels import Channels
from storage.sqlite.claims import Claims
from storage.sqlite.connection import BUSY_TIMEOUT
from storage.sqlite.customers import Customers
from storage.sqlite.database import Database
from storage.sqlite.inbox import Inbox, insert_deliveries
from storage.sqlite.intents import Intents
from storage.sqlite.jobs import Jobs
from storage.sqlite.keys import Keys
from storage.sqlite.mappings import Mappings
from storage.sqlite.outside import POLL_SECONDS
from storage.sqlite.reviews import Reviews
from storage.sqlite.settling import Settling
from storage.sqlite.tallies import Tallies
from storage.sqlite.vault import Vault

__all__ = ["SqliteStore"]


class SqliteStore(
    Inbox, Activity, Tallies, Claims, Settling, Jobs, Intents, Mappings, Customers, Reviews, Attending, Alerts,
    Channels, Catalog, Budgets, Vault, Keys,
):  # fmt: skip
    """A store in one SQLite file. `busy_timeout` (seconds) is how long a write waits for another process.

    `poll_seconds` is how often it looks for commits of processes that cannot ring.
    """

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT, poll_seconds: float = POLL_SECONDS) -> None:
        self.path = path
        self._db = Database(path, insert_deliveries, busy_timeout=busy_timeout, poll_seconds=poll_seconds)

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
        await self._db.look_outside()
        return self._db.changes.count

    async def wait_for_change(self, timeout: float, *, since: int | None = None) -> bool:
        """Wait until any process has committed; return False when `timeout` seconds have passed without.

        `since` is the token from which on changes count; without one, those since the last wait that has returned.
        """
        return await self._db.wait_for_change(timeout, since=since)

    async def backup(self, target: Path) -> None:
        """Copy the database to a new file while it is in use, and check the copy. Raises StorageError kinds."""
        await self._db.read(lambda db: back_up(db, target), slow=True)
