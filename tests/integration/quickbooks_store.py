"""A token store in a file, as small as the protocol allows, which several processes may share."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from connectors import Tokens, TokensChangedError

LEASE_SECONDS = 30.0

_MOMENTS = ("access_expires_at", "refresh_expires_at", "hard_expires_at", "refreshed_at")
_SCHEMA = """
create table if not exists tokens (
  one integer primary key check (one = 1), refresh_token text, access_token text, access_expires_at text,
  refresh_expires_at text, hard_expires_at text, refreshed_at text, realm text, version integer);
create table if not exists lease (one integer primary key check (one = 1), until real);
"""


class FileTokenStore:
    """Tokens in an SQLite file, with a lease that ends by itself.

    The next `failures` saves fail as if the disk were gone; `before_save` runs before each save.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.saves = 0
        self.failures = 0
        self.before_save: Callable[[], Awaitable[None]] | None = None
        with self._file() as file:
            file.executescript(_SCHEMA)

    @contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        file = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        file.row_factory = sqlite3.Row
        try:
            yield file
        finally:
            file.close()

    async def load(self) -> Tokens | None:
        with self._file() as file:
            row = file.execute("select * from tokens").fetchone()
        if row is None:
            return None
        moments = {name: datetime.fromisoformat(row[name]) if row[name] else None for name in _MOMENTS}
        return Tokens(
            refresh_token=row["refresh_token"], access_token=row["access_token"], realm=row["realm"],
            version=row["version"], **moments,
        )  # fmt: skip

    async def save(self, tokens: Tokens) -> Tokens:
        if self.before_save is not None:
            await self.before_save()
        if self.failures > 0:
            self.failures -= 1
            raise OSError("the disk is gone")
        with self._file() as file:
            file.execute("begin immediate")
            row = file.execute("select version from tokens").fetchone()
            if (row["version"] if row else 0) != tokens.version:
                raise TokensChangedError
            saved = replace(tokens, version=tokens.version + 1)
            self._write(file, saved)
            file.execute("commit")
        self.saves += 1
        return saved

    @staticmethod
    def _write(file: sqlite3.Connection, tokens: Tokens) -> None:
        moments = [moment and moment.isoformat() for moment in (getattr(tokens, name) for name in _MOMENTS)]
        values = (tokens.refresh_token, tokens.access_token, *moments, tokens.realm, tokens.version)
        file.execute("insert or replace into tokens values (1, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        while not self._took_lease():  # noqa: ASYNC110 - another process cannot set our event
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            with self._file() as file:
                file.execute("delete from lease")

    def _took_lease(self) -> bool:
        with self._file() as file:
            file.execute("begin immediate")
            row = file.execute("select until from lease").fetchone()
            free = row is None or bool(row["until"] < time.time())
            if free:
                file.execute("insert or replace into lease values (1, ?)", (time.time() + LEASE_SECONDS,))
            file.execute("commit")
        return free

    async def connect(self, tokens: Tokens) -> Tokens:
        """Store the tokens of a consent, whatever is there, as the gateway does when a person has connected."""
        current = await self.load()
        stored = replace(tokens, version=(current.version if current else 0) + 1)
        with self._file() as file:
            self._write(file, stored)
        return stored

    async def disconnect(self) -> None:
        """Wipe the tokens, as the gateway does when a person disconnects."""
        with self._file() as file:
            file.execute("delete from tokens")
