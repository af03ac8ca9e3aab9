"""What integration tests start from: a gateway that runs, between simulated services."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness import Rig, open_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A gateway without sources and connections; see tests/harness.py."""
    async with open_rig(tmp_path) as opened:
        yield opened
