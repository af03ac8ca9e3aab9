"""What wakes the other nodes: one connection that listens, and rings at most every few milliseconds."""

import asyncio
import contextlib

from storage.changes import Changes
from storage.errors import StorageError
from storage.postgres.connection import CONNECT_TIMEOUT, connect, ours
from storage.postgres.driver import Connection

CHANNEL = "ledgergate"
GAP = 0.008
"""Seconds between two rings. A notification is a transaction of its own, after the commit that it tells of: inside it
would make all commits of all nodes wait for each other (NOTIFY takes a lock on the whole server until the commit)."""
PATIENCE = 15.0
"""Seconds of silence after which the connection is tried."""
RETRIES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Bell:
    """Rings for the other nodes, and hears them. Comes back by itself when the server was away."""

    def __init__(self, url: str, changes: Changes) -> None:
        self._url = url
        self._changes = changes
        self._rung = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._run(), name="postgres-bell")

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def ring(self) -> None:
        """Wake whoever waits: here at once, on the other nodes in a moment."""
        self._changes.note()
        self._rung.set()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                connection = await connect(self._url)
            except StorageError:
                await asyncio.sleep(RETRIES[min(failures, len(RETRIES) - 1)])
                failures += 1
                continue
            failures = 0
            try:
                await self._serve(connection)
            except Exception as error:
                if not isinstance(ours(error), StorageError):
                    raise
            finally:
                self.connected.clear()
                connection.terminate()

    async def _serve(self, connection: Connection) -> None:
        connection.add_termination_listener(lambda _connection: self._rung.set())
        # Nobody needs a ring that is over, and its flush would stand in the way of the next commit's.
        await connection.execute("SET synchronous_commit = off")
        await connection.add_listener(CHANNEL, self._heard)
        self._changes.note()  # whatever was missed while nobody listened
        self.connected.set()
        while not connection.is_closed():
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._rung.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=CONNECT_TIMEOUT)
                continue
            self._rung.clear()
            if not connection.is_closed():
                await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
                await asyncio.sleep(GAP)

    def _heard(self, connection: Connection, sender: int, _channel: str, _payload: str) -> None:
        if sender != connection.get_server_pid():
            self._changes.note()
