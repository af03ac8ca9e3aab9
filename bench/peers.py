"""FastAPI with SQLite, as many would write it first: measured where it is installed, never needed by anything here."""

import importlib
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

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
    fastapi: Any = importlib.import_module("fastapi")
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

    receive = _endpoint(fastapi, store.put)
    receive.__annotations__["request"] = fastapi.Request
    app = fastapi.FastAPI(lifespan=lifespan)
    app.post("/webhook")(receive)
    return app


def _endpoint(fastapi: Any, put: Callable[[Row], Awaitable[None]]) -> Callable[[Any], Awaitable[Any]]:
    verifier: Any = importlib.import_module("standardwebhooks").Webhook(os.environ["BENCH_SECRET"])

    async def receive(request: Any) -> Any:
        body = await request.body()
        try:
            verifier.verify(body, dict(request.headers))
        except Exception:  # noqa: BLE001 - the library raises several kinds for what a stranger sends
            return fastapi.Response(status_code=401)
        await put((request.headers["webhook-id"], time.time(), body))
        return fastapi.Response(status_code=202)

    return receive
