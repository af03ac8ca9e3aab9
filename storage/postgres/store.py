"""The PostgreSQL store, put together from its parts."""

from datetime import datetime
from pathlib import Path

from storage.errors import StorageError
from storage.postgres.activity import Activity
from storage.postgres.alerts import Alerts
from storage.postgres.attention import Attending
from storage.postgres.budgets import Budgets
from storage.postgres.catalog import Catalog
from storage.postgres.channels import Channels
from storage.postgres.claims import Claims
from storage.postgres.customers import Customers
from storage.postgres.database import Database
from storage.postgres.inbox import Inbox, insert_deliveries
from storage.postgres.intents import Intents
from storage.postgres.jobs import Jobs
from storage.postgres.keys import Keys
from storage.postgres.mappings import Mappings
from storage.postgres.reviews import Reviews
from storage.postgres.settling import Settling
from storage.postgres.tallies import Tallies
from storage.postgres.vault import Vault

__all__ = ["PostgresStore"]


class PostgresStore(
    Inbox, Activity, Tallies, Claims, Settling, Jobs, Intents, Mappings, Customers, Reviews, Attending, Alerts,
    Channels, Catalog, Budgets, Vault, Keys,
):  # fmt: skip
    """A store in a PostgreSQL database, which several nodes may use together.

    `url` is a libpq connection URI. Nothing may stand between that pools transactions: prepared statements and LISTEN
    need sessions.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._db = Database(url, insert_deliveries)

    async def open(self) -> None:
        """Connect, and bring the schema up to date: one node does it, the others wait. Raises StorageError kinds."""
        await self._db.open()

    async def close(self) -> None:
        """Finish what waits, and close."""
        await self._db.close()

    async def ping(self, *, now: datetime) -> None:
        """Prove that the store can be written. Raises StoreUnavailableError."""
        await self.put_meta("pinged_at", now.isoformat())

    async def change_token(self) -> int:
        """Return a number that changes when any process has committed: cheap to ask for."""
        return self._db.changes.count

    async def wait_for_change(self, timeout: float, *, since: int | None = None) -> bool:
        """Wait until any process has committed; return False when `timeout` seconds have passed without.

        `since` is the token from which on changes count; without one, those since the last wait that has returned.
        """
        changes = self._db.changes
        return await changes.wait(timeout, since=changes.begin(since))

    async def backup(self, target: Path) -> None:
        """Raise StorageError: PostgreSQL has its own tools for this, which copy a database in use."""
        raise StorageError("a PostgreSQL database is backed up with pg_dump (or pg_basebackup), not from here")
