"""The SQLite file: one writer thread that commits all that waits in one synced transaction, and readers beside it."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from storage.errors import OverloadedError, SchemaError, StorageError, StoreUnavailableError
from storage.records import NewDelivery
from storage.sqlite import migrate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Insert = Callable[[sqlite3.Connection, Sequence[NewDelivery]], Sequence[Any]]

MAX_BATCH = 512
MAX_WAITING_DELIVERIES = 8192
MAX_WAITING_BYTES = 64 * 1024 * 1024
BUSY_TIMEOUT_MS = 5000
READERS = 2


@dataclass(slots=True)
class _Item:
    """One thing for the writer: either work, or a delivery to insert."""

    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    work: Work[Any] | None = None
    delivery: NewDelivery | None = None
    result: Any = field(default=None)
    error: BaseException | None = None


class Database:
    """A SQLite database in WAL mode.

    Durability: `synchronous=FULL`, read back and asserted, so that a commit that has returned is on disk. Each piece of
    work runs in a savepoint of its own: one that fails leaves the others of its batch untouched. There is no timer:
    the commit in progress is the wait in which the next batch gathers (measured in docs/performance.md).
    """

    def __init__(self, path: Path, insert: Insert) -> None:
        self.path = path
        self._insert = insert
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._waiting = 0
        self._waiting_bytes = 0
        self._thread: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._reader_connections: list[sqlite3.Connection] = []
        self._closed = False

    # Lifetime --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open or create the file, and bring its schema up to date.

        Raises StoreUnavailableError when it cannot be opened, SchemaError when a newer version has written it.
        """
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(loop, ready), name="sqlite-writer", daemon=True)
        self._thread.start()
        await ready
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")

    async def close(self) -> None:
        """Finish what waits, then close."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        if self._readers is not None:
            self._readers.shutdown(wait=True)
            for connection in self._reader_connections:
                connection.close()

    # Use -------------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Return how many deliveries wait for the disk."""
        return self._waiting

    def add(self, delivery: NewDelivery) -> "asyncio.Future[Any]":
        """Queue a delivery for the next batch; the future ends once it is on disk.

        Raises OverloadedError when too much waits already.
        """
        if self._waiting >= MAX_WAITING_DELIVERIES or self._waiting_bytes > MAX_WAITING_BYTES:
            raise OverloadedError
        if self._closed:
            raise StoreUnavailableError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting += 1
        self._waiting_bytes += len(delivery.body)
        self._queue.put(_Item(future, loop, delivery=delivery))
        return future

    async def write(self, work: Work[T]) -> T:
        """Run work in the writer, and return once it is committed. Raises what the work raises, or StorageError."""
        if self._closed:
            raise StoreUnavailableError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Item(future, loop, work=work))
        return await future

    async def read(self, work: Work[T]) -> T:
        """Run work on a reader's connection, which sees the last commit and writes nothing."""
        if self._readers is None or self._closed:
            raise StoreUnavailableError
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def _read(self, work: Work[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = connect(self.path, read_only=True)
                self._local.connection = connection
                self._reader_connections.append(connection)
            return work(connection)
        except sqlite3.Error as error:
            raise unavailable(error) from error

    # The writer's thread ---------------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop, ready: "asyncio.Future[None]") -> None:
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(self.path)
            migrate.upgrade(connection)
        except (sqlite3.Error, OSError, StorageError) as error:
            if connection is not None:
                connection.close()
            failure = error if isinstance(error, StorageError) else unavailable(error)
            loop.call_soon_threadsafe(_fail, ready, failure)
            return
        loop.call_soon_threadsafe(_succeed, ready)
        more = True
        while more:
            batch, more = self._gather()
            if batch:
                self._commit(connection, batch)
                loops = {item.loop for item in batch}
                for each in loops:
                    mine = batch if len(loops) == 1 else [item for item in batch if item.loop is each]
                    try:
                        each.call_soon_threadsafe(self._settle, mine)
                    except RuntimeError:  # the loop has ended: nobody waits for this answer any more
                        continue
        connection.close()

    def _gather(self) -> tuple[list[_Item], bool]:
        item = self._queue.get()
        if item is None:
            return [], False
        batch = [item]
        try:
            while len(batch) < MAX_BATCH:
                item = self._queue.get_nowait()
                if item is None:
                    return batch, False
                batch.append(item)
        except queue.Empty:
            pass
        return batch, True

    def _commit(self, connection: sqlite3.Connection, batch: list[_Item]) -> None:
        deliveries = [item for item in batch if item.delivery is not None]
        try:
            connection.execute("BEGIN IMMEDIATE")
            if deliveries:
                results = self._insert(connection, [item.delivery for item in deliveries if item.delivery is not None])
                for item, result in zip(deliveries, results, strict=True):
                    item.result = result
            for item in batch:
                if item.work is not None:
                    self._in_savepoint(connection, item, item.work)
            connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - whatever it was, nothing was committed and all must be told
            _roll_back(connection)
            failure = unavailable(error) if isinstance(error, sqlite3.Error) else error
            for item in batch:
                if item.error is None:
                    item.error = failure

    @staticmethod
    def _in_savepoint(connection: sqlite3.Connection, item: _Item, work: Work[Any]) -> None:
        connection.execute("SAVEPOINT piece")
        try:
            item.result = work(connection)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for this piece
            if not connection.in_transaction:  # SQLite itself has rolled back everything: disk full, I/O error
                raise
            connection.execute("ROLLBACK TO piece")
            item.error = unavailable(error) if isinstance(error, sqlite3.Error) else error
        connection.execute("RELEASE piece")

    def _settle(self, batch: list[_Item]) -> None:
        for item in batch:
            if item.delivery is not None:
                self._waiting -= 1
                self._waiting_bytes -= len(item.delivery.body)
            if item.future.done():
                continue
            if item.error is not None:
                item.future.set_exception(item.error)
            else:
                item.future.set_result(item.result)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection with the settings that the promise rests on, and read them back."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return connection
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != 2:  # noqa: PLR2004 - 2 is FULL in SQLite's documentation
        connection.close()
        msg = f"the file system does not allow what durability needs (journal {mode}, synchronous {synchronous})"
        raise SchemaError(msg)
    return connection


def unavailable(error: BaseException) -> StoreUnavailableError:
    """Return SQLite's or the system's error as ours. Their texts hold no values."""
    return StoreUnavailableError(f"{type(error).__name__}: {error}"[:200])


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:  # the disk is gone; the next BEGIN says so to the next batch
            return


def _succeed(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: "asyncio.Future[None]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
