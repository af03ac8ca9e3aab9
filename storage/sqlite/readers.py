"""Threads that read the file beside the writer, each with a connection of its own."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from storage.sqlite.connection import connect, end, ours

T = TypeVar("T")
THREADS = 2


class Readers:
    """A few reading threads. They and their connections are made when they are first needed."""

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run work in one snapshot of the database. Raises what the work raises, or StorageError kinds."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def close(self) -> None:
        """Finish what is being read, and close."""
        self._threads.shutdown(wait=True)
        while self._connections:
            self._connections.pop().close()

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = connect(self._path, read_only=True, busy_timeout=self._busy_timeout)
                self._local.connection = connection
                self._connections.append(connection)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                end(connection)
        except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
            raise ours(error) from error
