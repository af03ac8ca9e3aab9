"""The inbox's own connection: all deliveries that wait are stored by one statement, which is one synced transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from storage.errors import OverloadedError, StorageError, StoreUnavailableError
from storage.limits import MAX_BATCH, MAX_WAITING_BYTES, MAX_WAITING_DELIVERIES
from storage.postgres.connection import Session, connect, ours
from storage.postgres.driver import AGAIN, Connection
from storage.records import NewDelivery

Answer = tuple[str, bool]
Insert = Callable[[Session, Sequence[NewDelivery]], Awaitable[Sequence[Answer]]]


class _Item(NamedTuple):
    delivery: NewDelivery
    future: "asyncio.Future[Answer]"


class Door:
    """Stores deliveries in the order in which they came, as many at a time as wait.

    There is no timer: the commit in progress is the wait in which the next batch gathers.
    """

    def __init__(self, url: str, insert: Insert, stored: Callable[[], None]) -> None:
        self._url = url
        self._insert = insert
        self._stored = stored
        self._items: list[_Item] = []
        self._bytes = 0
        self._busy = 0
        self._closing = False
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None

    @property
    def waiting(self) -> int:
        """Return how many deliveries wait for the disk."""
        return len(self._items) + self._busy

    async def open(self) -> None:
        """Connect, and begin to store. Raises StorageError kinds."""
        self._connection = await connect(self._url)
        self._task = asyncio.create_task(self._run(), name="postgres-door")

    async def close(self) -> None:
        """Finish what waits, then close."""
        if self._task is not None:
            self._closing = True
            self._work.set()
            await asyncio.wait({self._task})
        if self._connection is not None:
            await _close(self._connection)

    def add(self, delivery: NewDelivery) -> "asyncio.Future[Answer]":
        """Queue a delivery for the next batch. Raises OverloadedError when too much waits already."""
        if self.waiting >= MAX_WAITING_DELIVERIES or self._bytes > MAX_WAITING_BYTES:
            raise OverloadedError
        item = _Item(delivery, asyncio.get_running_loop().create_future())
        self._items.append(item)
        self._bytes += len(delivery.body) + len(delivery.headers)
        self._work.set()
        return item.future

    async def _run(self) -> None:
        while not self._closing:
            await self._work.wait()
            self._work.clear()
            while self._items:
                batch = self._items[:MAX_BATCH]
                del self._items[:MAX_BATCH]
                self._busy = len(batch)
                await self._store(batch)
                self._busy = 0
                self._bytes -= sum(len(item.delivery.body) + len(item.delivery.headers) for item in batch)

    async def _store(self, batch: list[_Item]) -> None:
        """Store a batch; when it cannot be stored together, one by one, so that the bad one alone is refused."""
        try:
            answers = await self._attempt([item.delivery for item in batch])
        except StoreUnavailableError as error:
            _tell(batch, error)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            if len(batch) == 1:
                _tell(batch, error)
                return
            for item in batch:
                await self._store([item])
        else:
            self._stored()
            for item, answer in zip(batch, answers, strict=True):
                if not item.future.done():
                    item.future.set_result(answer)

    async def _attempt(self, deliveries: Sequence[NewDelivery]) -> Sequence[Answer]:
        """Store deliveries in one transaction. A connection that was lost is made anew before, never in between."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._url)
            try:
                return await self._insert(Session(self._connection), deliveries)
            except AGAIN:
                return await self._insert(Session(self._connection), deliveries)
        except Exception as error:
            mine = ours(error)
            if isinstance(mine, StoreUnavailableError) and self._connection is not None:
                self._connection.terminate()
            raise mine from error


def _tell(batch: Sequence[_Item], error: BaseException) -> None:
    for item in batch:
        if not item.future.done():
            item.future.set_exception(type(error)(*error.args) if isinstance(error, StorageError) else error)


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=5)
    except Exception as error:
        if isinstance(ours(error), StoreUnavailableError):
            connection.terminate()
            return
        raise
