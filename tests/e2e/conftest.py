"""What the end-to-end tests share: one clean environment with the gateway's wheel in it."""

from pathlib import Path

import pytest

from tests.e2e.places import Place, make_place


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A Python environment with nothing of this tree but the wheel that was built of it."""
    return make_place(tmp_path_factory.mktemp("installed") / "environment")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty directory, from which nothing of this tree can be imported."""
    return tmp_path
