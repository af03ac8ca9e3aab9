"""The SQLite store passes the suite that every backend passes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.base import Store
from storage.sqlite.store import SqliteStore
from storage.testing import StoreContract
from tests.sqlite_setup import put_database


class TestSqliteStore(StoreContract):
    """One file for each test."""

    @pytest.fixture
    def new_store(self, tmp_path: Path) -> Callable[[], Store]:
        """Return a function which makes a store on this test's file."""
        put_database(tmp_path / "store.db")
        return lambda: SqliteStore(tmp_path / "store.db")
