"""The one fixture that a backend fills in, and what the suite makes of it."""

from collections.abc import AsyncIterator, Callable

import pytest

from storage.base import Store


class StoreFixtures:
    """A store for each test, and a second one on the same database, as another process has it."""

    @pytest.fixture
    def new_store(self) -> Callable[[], Store]:
        """Return a function which makes an unopened store on this test's database, the same at each call."""
        pytest.fail("a backend's suite has to fill in the fixture new_store")

    @pytest.fixture
    async def store(self, new_store: Callable[[], Store]) -> AsyncIterator[Store]:
        """Return an open store, empty at the beginning of each test."""
        made = new_store()
        await made.open()
        yield made
        await made.close()

    @pytest.fixture
    async def twin(self, store: Store, new_store: Callable[[], Store]) -> AsyncIterator[Store]:
        """Return a second open store on the database of `store`."""
        made = new_store()
        await made.open()
        yield made
        await made.close()
