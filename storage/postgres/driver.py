"""asyncpg as we use it, with types: the one place that imports it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import asyncpg  # type: ignore[import-untyped]

from storage.rows import Row

__all__ = [
    "AGAIN",
    "AVOIDABLE",
    "BROKEN",
    "GONE",
    "INTEGRITY",
    "UNUSABLE",
    "Connection",
    "Pool",
    "is_unstorable",
    "open_connection",
    "open_pool",
]

AGAIN: tuple[type[Exception], ...] = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InvalidCachedStatementError,
)
"""What the server refuses for a reason that is gone at the next try."""
AVOIDABLE: type[Exception] = asyncpg.UniqueViolationError
"""Somebody else was first, by a moment."""
INTEGRITY: type[Exception] = asyncpg.IntegrityConstraintViolationError
UNUSABLE: tuple[type[Exception], ...] = (ValueError, asyncpg.ClientConfigurationError)
BROKEN: tuple[type[Exception], ...] = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What leaves a session in a state that nobody knows: it is not used again."""
GONE: tuple[type[Exception], ...] = (asyncpg.PostgresError, *BROKEN)
"""Everything that the server, or the way to it, may answer with."""


class Connection(Protocol):
    """A session at the server."""

    def execute(self, query: str, *args: Any, timeout: float | None = None) -> Awaitable[str]:
        """Run a statement; return the server's word for it, which ends in the count of rows."""

    def fetch(self, query: str, *args: Any) -> Awaitable[Sequence[Row]]:
        """Return all rows."""

    def fetchrow(self, query: str, *args: Any) -> Awaitable[Row | None]:
        """Return the first row, or None."""

    def fetchval(self, query: str, *args: Any) -> Awaitable[Any]:
        """Return the first column of the first row, or None."""

    def cursor(self, query: str, *args: Any, prefetch: int | None = None) -> Any:
        """Return rows one by one; in a transaction."""

    def copy_records_to_table(self, table: str, *, records: Any, columns: Sequence[str]) -> Awaitable[str]:
        """Write rows as fast as the server takes them."""

    def transaction(self, **how: Any) -> AbstractAsyncContextManager[Any]:
        """Return a transaction."""

    def add_listener(self, channel: str, callback: Callable[..., None]) -> Awaitable[None]:
        """Call back at each notification."""

    def add_termination_listener(self, callback: Callable[..., None]) -> None:
        """Call back when the connection is gone."""

    def get_server_pid(self) -> int:
        """Return the number of the server's process."""

    def is_closed(self) -> bool:
        """Return whether the connection is gone."""

    def close(self, *, timeout: float | None = None) -> Awaitable[None]:
        """Say goodbye, and close."""

    def terminate(self) -> None:
        """Close without a word."""


class Pool(Protocol):
    """Connections that are used in turn."""

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection."""

    def close(self) -> Awaitable[None]:
        """Wait for what is lent, and close all."""

    def terminate(self) -> None:
        """Close all without a word."""


def is_unstorable(error: BaseException) -> bool:
    """Return whether a value was refused: by the server, or by the driver before it was sent."""
    return isinstance(error, asyncpg.DataError) or (
        isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    )


async def open_connection(url: str, **how: Any) -> Connection:
    """Connect. Raises `GONE` and `UNUSABLE` kinds."""
    connection: Connection = await asyncpg.connect(url, **how)
    return connection


async def open_pool(url: str, **how: Any) -> Pool:
    """Make a pool with its first connection. Raises `GONE` and `UNUSABLE` kinds."""
    pool: Pool = await asyncpg.create_pool(url, **how)
    return pool
