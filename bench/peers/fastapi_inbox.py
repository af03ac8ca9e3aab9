"""FastAPI with SQLite, as many would write it first: it keeps what comes, and works nothing off."""

import importlib
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bench.peers.endpoint import application

Row = tuple[str, float, bytes]

_TABLE = """
CREATE TABLE IF NOT EXISTS inbox (
    id INTEGER PRIMARY KEY, message TEXT NOT NULL UNIQUE, at REAL NOT NULL, body BLOB NOT NULL)"""
_INSERT = "INSERT OR IGNORE INTO inbox (message, at, body) VALUES (?, ?, ?)"
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 5000")


class InThreads:
    """sqlite3, a connection for each thread of the pool, a commit for each request."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._run: Any = importlib.import_module("starlette.concurrency").run_in_threadpool

    async def open(self) -> None:
        """Nothing: each thread opens its own."""

    async def put(self, row: Row) -> None:
        """Store a row."""
        await self._run(self._put, row)

    def _put(self, row: Row) -> None:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite3.connect(self._path)
            for pragma in _PRAGMAS:
                db.execute(pragma)
        with db:
            db.execute(_INSERT, row)


class Aiosqlite:
    """aiosqlite, one connection for all, a commit for each request."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._db: Any = None

    async def open(self) -> None:
        """Open the connection."""
        self._db = await importlib.import_module("aiosqlite").connect(self._path)
        for pragma in _PRAGMAS:
            await self._db.execute(pragma)

    async def put(self, row: Row) -> None:
        """Store a row."""
        await self._db.execute(_INSERT, row)
        await self._db.commit()


def create() -> Any:
    """Return the application that `uvicorn --factory` runs; the environment names the store, file and secret."""
    path = os.environ["BENCH_PATH"]
    store = InThreads(path) if os.environ["BENCH_STORE"] == "threads" else Aiosqlite(path)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        db = sqlite3.connect(path)
        for pragma in _PRAGMAS:
            db.execute(pragma)
        db.execute(_TABLE)
        db.close()
        await store.open()
        yield

    async def keep(headers: Mapping[str, str], body: bytes, _: Any) -> None:
        await store.put((headers["webhook-id"], time.time(), body))

    return application(lifespan, keep)
