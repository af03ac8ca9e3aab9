"""The store's protocol: one method, one transaction, named for a step of the pipeline. Time is a parameter."""

from datetime import datetime
from pathlib import Path
from typing import Protocol

from storage.base.alerts import AlertStore
from storage.base.budgets import BudgetStore
from storage.base.catalog import CatalogStore
from storage.base.inbox import InboxStore
from storage.base.jobs import JobStore
from storage.base.mappings import MappingStore
from storage.base.reviews import ReviewStore


class Store(
    InboxStore, JobStore, MappingStore, ReviewStore, AlertStore, CatalogStore, BudgetStore, Protocol
):  # fmt: skip
    """Durable state. All methods raise StoreUnavailableError when the database does not answer."""

    async def open(self) -> None:
        """Open the file, create it if need be, and bring its schema up to date. Raises StorageError kinds."""
        ...

    async def close(self) -> None:
        """Finish what waits, and close."""
        ...

    async def ping(self, *, now: datetime) -> None:
        """Prove that the store can be written. Raises StoreUnavailableError."""
        ...

    async def change_token(self) -> int:
        """Return a number that changes when any process has committed: cheap to ask for."""
        ...

    async def wait_for_change(self, timeout: float, *, since: int | None = None) -> bool:
        """Wait until any process has committed; return False when `timeout` seconds have passed without.

        `since` is the change token from which on changes count, for who looks at the store between two waits; without
        one, those count since the last wait that has returned. May return True for nothing.
        """
        ...

    async def backup(self, target: Path) -> None:
        """Copy the database to a new file while it is in use, and check the copy. Raises StorageError kinds."""
        ...
