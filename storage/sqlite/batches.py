"""All of a batch in one transaction: together, and each by itself where something of it fails."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from storage.records import NewDelivery
from storage.sqlite.connection import ours

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
"""Reads and writes, and nothing else: it is done again where another piece of its batch has failed."""
Insert = Callable[[sqlite3.Connection, Sequence[NewDelivery]], Sequence[Any]]


@dataclass(slots=True)
class Item:
    """One thing for the writer: work for the transaction, a delivery to insert, or else a look at other processes."""

    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    work: Work[Any] | None = None
    delivery: NewDelivery | None = None
    quiet: bool = False
    result: Any = None
    error: BaseException | None = None


def carry_out(connection: sqlite3.Connection, deliveries: list[Item], pieces: list[Item], insert: Insert) -> None:
    """Do and commit deliveries and pieces of work, and give each its result or its error.

    A savepoint copies every page that is changed after it, and is one more statement for each piece. So there is none,
    until something fails: then all is done again, each in a savepoint of its own. Raises what ends the transaction.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if deliveries:
            _insert_all(connection, deliveries, insert)
        for item in pieces:
            _work(connection, item)
    except Exception as error:
        if not connection.in_transaction:  # SQLite itself has rolled back everything: disk full, I/O error
            raise
        connection.execute("ROLLBACK")
        if len(deliveries) + len(pieces) == 1:
            (deliveries or pieces)[0].error = ours(error)
            return
        connection.execute("BEGIN IMMEDIATE")
        if deliveries:
            _insert_in_savepoint(connection, deliveries, insert)
        for item in pieces:
            _work_in_savepoint(connection, item)
    connection.execute("COMMIT")


def _insert_all(connection: sqlite3.Connection, items: list[Item], insert: Insert) -> None:
    results = insert(connection, [item.delivery for item in items if item.delivery is not None])
    for item, result in zip(items, results, strict=True):
        item.result = result


def _insert_in_savepoint(connection: sqlite3.Connection, items: list[Item], insert: Insert) -> None:
    """Insert deliveries together; when that fails, one by one, so that the bad one alone is refused."""
    connection.execute("SAVEPOINT piece")
    try:
        _insert_all(connection, items, insert)
    except Exception as error:
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO piece")
        if len(items) == 1:
            items[0].error = ours(error)
        else:
            for item in items:
                _insert_in_savepoint(connection, [item], insert)
    connection.execute("RELEASE piece")


def _work(connection: sqlite3.Connection, item: Item) -> None:
    if item.work is not None:
        item.result = item.work(connection)


def _work_in_savepoint(connection: sqlite3.Connection, item: Item) -> None:
    connection.execute("SAVEPOINT piece")
    try:
        _work(connection, item)
    except Exception as error:
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO piece")
        item.error = ours(error)
    connection.execute("RELEASE piece")
