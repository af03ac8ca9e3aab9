"""The SQLite file: one writer thread that commits all that waits in one synced transaction, and readers beside it."""

import asyncio
import os
import queue
import sqlite3
import threading
from pathlib import Path
from typing import Any, TypeVar

from storage.changes import Changes
from storage.errors import OverloadedError, StoreUnavailableError
from storage.limits import MAX_BATCH, MAX_WAITING_BYTES, MAX_WAITING_DELIVERIES
from storage.records import NewDelivery
from storage.sqlite import migrate
from storage.sqlite.batches import Insert, Item, Work, carry_out
from storage.sqlite.checkpoints import Checkpoints
from storage.sqlite.connection import BUSY_TIMEOUT, connect, end, ours
from storage.sqlite.datafile import DataFile
from storage.sqlite.outside import POLL_SECONDS, Outside
from storage.sqlite.readers import Readers

T = TypeVar("T")

LOST = "the disk did not keep what was written to it; look at the disk, then start again: the log still has everything"
COMMIT_BYTES, DELIVERY_BYTES, PIECE_BYTES = 36_000, 8_000, 16_000
"""What goes to the log with each commit, since a page is written whole: nine pages; with each of its deliveries, beside
the body; and with each piece of work."""


class Database:
    """A SQLite database in WAL mode.

    Durability: `synchronous=FULL`, read back and asserted, so that a commit that has returned is on disk. A piece of
    work that fails leaves the others of its batch untouched. There is no timer: the commit in progress is the wait in
    which the next batch gathers (measured in docs/performance.md).
    """

    def __init__(
        self, path: Path, insert: Insert, *, busy_timeout: float = BUSY_TIMEOUT, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self.path = path
        self._name = str(path)
        self.changes = Changes()
        self._outside = Outside(
            path, self.changes, version=self._data_version, assert_usable=self._assert_usable, poll_seconds=poll_seconds
        )
        self._insert = insert
        self._busy_timeout = busy_timeout
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._waiting = 0
        self._waiting_bytes = 0
        self._thread: threading.Thread | None = None
        self._readers = Readers(path, busy_timeout=busy_timeout)
        self._lists = Readers(path, busy_timeout=busy_timeout)
        self._data_file = DataFile(path)
        self._usable = False
        self._file: tuple[int, int] | None = None

    # Lifetime --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open or create the file, and bring its schema up to date.

        Raises StoreUnavailableError when it cannot be opened, SchemaError when it is not ours or of a newer version.
        """
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(loop, ready), name="sqlite-writer", daemon=True)
        self._thread.start()
        await ready
        self._usable = True

    async def close(self) -> None:
        """Finish what waits, then close."""
        self._usable = False
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._readers.close()
        self._lists.close()
        self._data_file.release()
        self._outside.close()

    # Use -------------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Return how many deliveries wait for the disk."""
        return self._waiting

    def add(self, delivery: NewDelivery) -> "asyncio.Future[Any]":
        """Queue a delivery for the next batch; the future ends once it is on disk.

        Raises OverloadedError when too much waits already, StoreUnavailableError when the store is not open.
        """
        self._assert_usable()
        if self._waiting >= MAX_WAITING_DELIVERIES or self._waiting_bytes > MAX_WAITING_BYTES:
            raise OverloadedError
        loop = asyncio.get_running_loop()
        item = Item(loop.create_future(), loop, delivery=delivery)
        self._waiting += 1
        self._waiting_bytes += len(delivery.body) + len(delivery.headers)
        self._queue.put(item)
        return item.future

    async def write(self, work: Work[T], *, quiet: bool = False) -> T:
        """Run work in the writer, and return once it is committed. Raises what the work raises, or StorageError.

        Work that changes nothing costs no sync. `quiet` work is nothing that others in this process wait for.
        """
        self._assert_usable()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(Item(future, loop, work=work, quiet=quiet))
        return await future

    async def read(self, work: Work[T], *, slow: bool = False) -> T:
        """Run work on a reader's connection: all of it sees the same commit, and it writes nothing.

        Lists are `slow`: they have threads of their own, so that they never keep a worker waiting.
        """
        self._assert_usable()
        return await (self._lists if slow else self._readers).read(work)

    async def look_outside(self) -> None:
        """Note a change when another process has committed since the last look."""
        await self._outside.look()

    async def wait_for_change(self, timeout: float, *, since: int | None) -> bool:
        """Wait for a commit, by whomever: see storage/sqlite/outside.py."""
        return await self._outside.wait(timeout, since=since)

    async def _data_version(self) -> int:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._queue.put(Item(future, loop))
        return await future

    def _assert_usable(self) -> None:
        if not self._usable:
            raise StoreUnavailableError("the store is not open")
        if self._data_file.lost:
            raise StoreUnavailableError(LOST)

    # The writer's thread ---------------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop, ready: "asyncio.Future[None]") -> None:
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(self.path, busy_timeout=self._busy_timeout)
            migrate.upgrade(connection)
            connection.execute("PRAGMA temp_store = MEMORY")  # what a piece may have to undo needs no file
            self._file = _identity(self._name)
            self._outside.begin(_data_version(connection))
        except BaseException as error:  # noqa: BLE001 - handed to whoever opens the store
            if connection is not None:
                connection.close()
            loop.call_soon_threadsafe(_fail, ready, ours(error))
            return
        checkpoints = Checkpoints(lambda: connect(self.path, busy_timeout=self._busy_timeout), self._data_file)
        checkpoints.start()
        loop.call_soon_threadsafe(_succeed, ready)
        more = True
        while more:
            batch, more = self._gather()
            if batch:
                changed = self._process(connection, batch)
                told = changed and not all(item.quiet for item in batch)
                if told:  # before the answer, which wakes the event loop: then each call here would wait for it
                    self._outside.bell.ring()
                self._answer(batch, told=told)
                if changed:
                    checkpoints.wrote(connection, COMMIT_BYTES + sum(map(_size, batch)))
        checkpoints.stop()
        connection.close()

    def _gather(self) -> tuple[list[Item], bool]:
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

    def _process(self, connection: sqlite3.Connection, batch: list[Item]) -> bool:
        """Do all of a batch in one transaction; return whether anything was changed."""
        before = connection.total_changes
        deliveries = [item for item in batch if item.delivery is not None]
        pieces = [item for item in batch if item.work is not None]
        try:
            if len(deliveries) + len(pieces) < len(batch):
                _look(connection, batch)
            if not deliveries and not pieces:
                return False
            self._assert_sound()
            carry_out(connection, deliveries, pieces, self._insert)
        except BaseException as error:  # noqa: BLE001 - whatever it was, nothing was committed and all must be told
            end(connection)
            for item in batch:
                if item.error is None:
                    item.error = ours(error)
            return False
        return connection.total_changes != before

    def _answer(self, batch: list[Item], *, told: bool) -> None:
        """Tell who waits for what was done, and those who wait for a change where there was one."""
        loops = {item.loop for item in batch}
        for each in loops:
            mine = batch if len(loops) == 1 else [item for item in batch if item.loop is each]
            try:
                each.call_soon_threadsafe(self._settle, mine, told)
            except RuntimeError:  # the loop has ended: nobody waits for this answer any more
                continue

    def _settle(self, batch: list[Item], told: bool) -> None:  # noqa: FBT001 - called by the loop, which has no keywords
        for item in batch:
            if item.delivery is not None:
                self._waiting -= 1
                self._waiting_bytes -= len(item.delivery.body) + len(item.delivery.headers)
            if item.future.done():
                continue
            if item.error is not None:
                item.future.set_exception(item.error)
            else:
                item.future.set_result(item.result)
        if told:
            self.changes.note()

    def _assert_sound(self) -> None:
        """Refuse to write into a file that nobody will find again: one that was deleted or replaced while in use.

        And beside a log that must not be begun anew.
        """
        if self._data_file.lost:
            raise StoreUnavailableError(LOST)
        if _identity(self._name) != self._file:
            raise StoreUnavailableError("the database file was deleted or replaced while in use; start again")


def _size(item: Item) -> int:
    """Return about what an item adds to the log."""
    return DELIVERY_BYTES + len(item.delivery.body) if item.delivery is not None else PIECE_BYTES


def _look(connection: sqlite3.Connection, batch: list[Item]) -> None:
    # On this connection the number changes with the commits of other processes and not with our own:
    # https://www.sqlite.org/pragma.html#pragma_data_version
    seen = _data_version(connection)
    for item in batch:
        if item.work is None and item.delivery is None:
            item.result = seen


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - Path.stat costs twice as much, and this runs with each commit
    return found.st_dev, found.st_ino


def _succeed(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: "asyncio.Future[None]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
