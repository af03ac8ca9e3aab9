"""The SQLite store passes the suite that every backend passes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.base import Store
from storage.sqlite.store import SqliteStore
from storage.testing import StoreContract


class TestSqliteStore(StoreContract):
    """One file for each test."""

    @pytest.fixture
    def new_store(self, tmp_path: Path) -> Callable[[], Store]:
        """Return a function which makes a store on this test's file."""
        return lambda: SqliteStore(tmp_path / "store.db")
