"""The PostgreSQL store passes the suite that every backend passes."""

from collections.abc import Callable

import pytest

from storage.base import Store
from storage.postgres.store import PostgresStore
from storage.testing import StoreContract


@pytest.mark.postgres
class TestPostgresStore(StoreContract):
    """One database for each test, on one server for all."""

    @pytest.fixture
    def new_store(self, postgres_url: str) -> Callable[[], Store]:
        """Return a function which makes a store on this test's database."""
        return lambda: PostgresStore(postgres_url)
