"""Bare servers to compare with: `b` only verifies, `f` also stores as little as it can, `e` commits each request alone.

None has routes, metrics, logs, kept headers, a worker, or more than one secret. `b` is what the interpreter and aiohttp
allow at all; `f` is what the disk allows too; `e` is what a service does that commits when it is told to.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from aiohttp import web

Keep = Callable[[str, bytes], Awaitable[None]]
Waiting = tuple[str, bytes, "asyncio.Future[None]"]

_TABLE = (
    "CREATE TABLE inbox (id INTEGER PRIMARY KEY, message TEXT NOT NULL UNIQUE, at REAL NOT NULL, body BLOB NOT NULL)"
)
_INSERT = "INSERT INTO inbox (message, at, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
MOST = 1000


def handler(key: bytes, keep: Keep | None) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that verifies a Standard Webhooks signature by hand, and keeps the body if it is asked to."""
    keyed = hmac.new(key, digestmod=hashlib.sha256)

    async def handle(request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        try:
            message, moment, offered = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
            fresh = abs(time.time() - int(moment)) <= 300
        except (KeyError, ValueError):
            return web.Response(status=401)
        mac = keyed.copy()
        mac.update(f"{message}.{moment}.".encode())
        mac.update(body)
        wanted = b"v1," + base64.b64encode(mac.digest())
        if not fresh or not any(hmac.compare_digest(wanted, one.encode()) for one in offered.split(" ")):
            return web.Response(status=401)
        if keep is not None:
            await keep(message, body)
        return web.Response(status=202)

    return handle


class Store:
    """One thread with one connection; `alone` commits each body by itself, else all that wait share a commit."""

    def __init__(self, path: Path, *, alone: bool) -> None:
        self._path, self._most = path, 1 if alone else MOST
        self._waiting: queue.SimpleQueue[Waiting] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write, daemon=True).start()

    async def keep(self, message: str, body: bytes) -> None:
        """Return once the body is on disk."""
        stored = self._loop.create_future()
        self._waiting.put((message, body, stored))
        await stored

    def _write(self) -> None:
        db = sqlite3.connect(self._path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(_TABLE)
        while True:
            batch = [self._waiting.get()]
            while len(batch) < self._most and not self._waiting.empty():
                batch.append(self._waiting.get())
            db.execute("BEGIN IMMEDIATE")
            db.executemany(_INSERT, [(message, time.time(), body) for message, body, _ in batch])
            db.execute("COMMIT")
            self._loop.call_soon_threadsafe(_tell, [stored for _, _, stored in batch])


def _tell(stored: "list[asyncio.Future[None]]") -> None:
    for one in stored:
        if not one.done():
            one.set_result(None)


async def serve(kind: str, *, port: int, secret: str, path: Path | None) -> None:
    """Serve until the process is ended."""
    encoded = secret.removeprefix("whsec_")
    key = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    store = None if kind == "b" or path is None else Store(path, alone=kind == "e")
    app = web.Application()
    app.router.add_post("/webhook", handler(key, store.keep if store is not None else None))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


def main() -> int:
    """Serve one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["b", "f", "e"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--path", type=Path)
    asked = parser.parse_args()
    uvloop.run(serve(asked.kind, port=asked.port, secret=asked.secret, path=asked.path))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
