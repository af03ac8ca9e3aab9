"""What crash tests start from: a place to get processes from, and how much of the matrix is run."""

import os
from collections.abc import AsyncIterator

import pytest

from tests.crash.nursery import Nursery, open_nursery

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
"""Whether the long form is run: all calls of each kind, and not the first alone."""


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    """A place to get processes from; all of them are gone at the end."""
    async with open_nursery() as opened:
        yield opened
