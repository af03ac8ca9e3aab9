"""What the kit reads in a connector's source: other sessions, clocks, threads and files, whatever they are called."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.testing.sources import past_the_host


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """A package `stranger` that can be imported."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    (folder / "__init__.py").write_text("", "utf-8")
    sys.path.insert(0, str(tmp_path))
    yield folder
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "stranger"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "code, found",
    [
        ("import aiohttp\nasync def f(): return aiohttp.ClientSession()", "line 2: aiohttp.ClientSession"),
        ("from aiohttp import ClientSession as S\nx = S", "line 2: aiohttp.ClientSession"),
        ("import datetime as dt\ndt.datetime.now()", "line 2: datetime.datetime.now"),
        ("from datetime import datetime\nnow = datetime.utcnow", "line 2: datetime.datetime.utcnow"),
        ("import time\ntime.sleep(1)", "line 2: time.sleep"),
        ("from asyncio import sleep\nsleep(1)", "line 2: asyncio.sleep"),
        ("import os\nos.environ['X']", "line 2: os.environ"),
        ("open('x')", "line 1: open()"),
        ("import requests", "line 1: imports requests"),
        ("from concurrent.futures import ThreadPoolExecutor", "line 1: imports concurrent"),
        ("from urllib import request", "line 1: imports urllib.request"),
        ("def f():\n    import threading", "line 2: imports threading"),
    ],
)
def test_it_is_found_with_its_line(package: Path, code: str, found: str) -> None:
    (package / "connector.py").write_text(code, "utf-8")
    (words,) = past_the_host("stranger.connector")
    assert words.startswith(f"stranger.connector, {found}")


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nasyncio.Lock()",
        "from datetime import UTC, datetime\ndatetime.fromisoformat('x')",
        "import time\ntime.perf_counter()",
        "from urllib.parse import quote",
        "from aiohttp import ClientTimeout",
        "class Door:\n    def open(self): ...\nDoor().open()",
        "from zipfile import Path as open\nopen('x')",
    ],
)
def test_what_is_harmless_is_left_alone(package: Path, code: str) -> None:
    (package / "connector.py").write_text(code, "utf-8")
    assert past_the_host("stranger.connector") == []


def test_modules_that_the_connector_imports_are_read_and_no_others(package: Path) -> None:
    (package / "connector.py").write_text("from .client import Client\nfrom stranger import deep", "utf-8")
    (package / "client.py").write_text("import time\nClient = time.time", "utf-8")
    (package / "deep").mkdir()
    (package / "deep" / "__init__.py").write_text("from . import deeper", "utf-8")
    (package / "deep" / "deeper.py").write_text("import time\ntime.sleep(1)", "utf-8")
    (package / "simulator.py").write_text("import time\ntime.sleep(1)", "utf-8")
    found = past_the_host("stranger.connector")
    assert {words.partition(",")[0] for words in found} == {"stranger.client", "stranger.deep.deeper"}
