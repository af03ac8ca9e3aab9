"""The PostgreSQL database: a pool of connections, the inbox's own, and the bell that wakes other nodes."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from storage.changes import Changes
from storage.errors import StorageError, StoreUnavailableError
from storage.limits import CLOCK_SKEW
from storage.postgres import migrate
from storage.postgres.bell import Bell
from storage.postgres.connection import (
    COMMAND_TIMEOUT,
    CONNECT_TIMEOUT,
    Session,
    connect,
    ours,
    prepare,
)
from storage.postgres.door import Door, Insert
from storage.postgres.driver import AGAIN, BROKEN, GONE, Connection, Pool, is_unstorable, open_pool

T = TypeVar("T")
Work = Callable[[Session], Awaitable[T]]
MAX_CONNECTIONS = 8
TRIES = 5


class Database:
    """A PostgreSQL database.

    Durability: `synchronous_commit=on` and the server's `fsync`, read back in every session. When the server goes
    away, callers are told StoreUnavailableError; connections are made anew by themselves when it is back.
    """

    def __init__(self, url: str, insert: Insert) -> None:
        self._url = url
        self._insert = insert
        self.changes = Changes()
        self._pool: Pool | None = None
        self._bell = Bell(url, self.changes)
        self._door: Door | None = None

    async def open(self) -> None:
        """Connect, and bring the schema up to date. Raises StorageError kinds."""
        connection = await connect(self._url, command_timeout=None)
        try:
            await _assert_same_time(connection)
            await migrate.upgrade(connection)
        except Exception as error:
            raise ours(error) from error
        finally:
            connection.terminate()
        door = Door(self._url, self._insert, self._bell.ring)
        await door.open()
        try:
            self._pool = await open_pool(
                self._url, min_size=1, max_size=MAX_CONNECTIONS, timeout=CONNECT_TIMEOUT,
                command_timeout=COMMAND_TIMEOUT, init=prepare, reset=_as_it_is,
            )  # fmt: skip
        except Exception as error:
            await door.close()
            raise ours(error) from error
        self._door = door
        self._bell.start()
        with contextlib.suppress(TimeoutError):  # else later: until then only our own changes are heard
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._bell.connected.wait()

    async def close(self) -> None:
        """Finish what waits, then close."""
        door, pool = self._door, self._pool
        self._door = self._pool = None
        if door is not None:
            await door.close()
        await self._bell.stop()
        if pool is not None:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await pool.close()
            except GONE:
                pool.terminate()

    @property
    def door(self) -> Door:
        """Return where deliveries are added. Raises StoreUnavailableError when the store is not open."""
        if self._door is None:
            raise StoreUnavailableError("the store is not open")
        return self._door

    @property
    def waiting(self) -> int:
        """Return how many deliveries wait for the disk."""
        return 0 if self._door is None else self._door.waiting

    def ring(self) -> None:
        """Wake whoever waits for a change, here and on the other nodes."""
        self._bell.ring()

    async def run(self, work: Work[T], *, rings: bool = False) -> T:
        """Run work of one statement, which is a transaction by itself. Raises what the work raises, or StorageError."""
        return await self._tried(work, rings=rings)

    async def read(self, work: Work[T]) -> T:
        """Run work of several statements which all see the same commit."""

        async def snapshot(session: Session) -> T:
            async with session.transaction(isolation="repeatable_read", readonly=True):
                return await work(session)

        return await self._tried(snapshot, rings=False)

    async def write(self, work: Work[T], *, rings: bool = True) -> T:
        """Run work in a transaction, and return once it is committed. It is run again when another was in its way."""

        async def transaction(session: Session) -> T:
            async with session.transaction():
                return await work(session)

        return await self._tried(transaction, rings=rings)

    async def _tried(self, work: Work[T], *, rings: bool) -> T:
        if self._pool is None:
            raise StoreUnavailableError("the store is not open")
        for tried in range(1, TRIES + 1):
            try:
                async with self._pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
                    result = await _worked(connection, work)
            except AGAIN as error:
                if tried == TRIES:
                    raise ours(error) from error
            except StorageError:
                raise
            except Exception as error:
                raise ours(error) from error
            else:
                if rings:
                    self._bell.ring()
                return result
        raise AssertionError


async def _worked(connection: Connection, work: Work[T]) -> T:
    """Run work, and drop the session when it is broken."""
    try:
        return await work(Session(connection))
    except BROKEN as error:
        if not is_unstorable(error):
            connection.terminate()
        raise


async def _assert_same_time(connection: Connection) -> None:
    """Raise StorageError when this node's clock differs from the server's: leases of several nodes rest on it."""
    server = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    apart = abs(server - time.time())
    if apart > CLOCK_SKEW.total_seconds():
        msg = f"the clock here differs by {apart:.0f} s from the database server's; have both kept by NTP"
        raise StorageError(msg)


async def _as_it_is(_connection: Connection) -> None:
    """Leave a connection's session alone when it goes back to the pool: nothing here changes it."""
