"""Whether the process lives, whether it is ready, and its metrics."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import orjson
from aiohttp import web

from gateway import keys
from gateway.metrics import CONTENT_TYPE, Metrics
from storage import Store
from storage.errors import StorageError

READY_SECONDS = 3.0
MAX_WAITING = 4096


async def healthz(request: web.Request) -> web.Response:
    """Answer 200 as long as the process can answer at all."""
    del request
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer 200 when the store can be written and the worker is alive, else 503 with the reasons."""
    app = request.app
    reasons = await _reasons(app)
    status = 503 if reasons else 200
    body = orjson.dumps({"status": "unready" if reasons else "ready", "reasons": reasons})
    headers = {"Retry-After": "5"} if reasons else None
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


async def _reasons(app: web.Application) -> list[str]:
    reasons = []
    try:
        async with asyncio.timeout(READY_SECONDS):
            await app[keys.STORE].ping(now=app[keys.CLOCK]())
    except TimeoutError:
        reasons.append("store: no answer in time")
    except StorageError as error:
        reasons.append(f"store: {error.detail or error.code}")
    worker = app.get(keys.WORKER)
    if worker is not None and not worker.alive:
        reasons.append("worker: not running")
    if app[keys.STORE].deliveries_waiting > MAX_WAITING:
        reasons.append("store: deliveries arrive faster than the disk takes them")
    return reasons


async def metrics(request: web.Request) -> web.Response:
    """Answer in Prometheus' text format."""
    app = request.app
    found: Metrics = app[keys.METRICS]
    try:
        await measure(found, app[keys.STORE], app[keys.CLOCK])
    except StorageError:
        found.waiting.set(app[keys.STORE].deliveries_waiting)
    for name, live in app[keys.REGISTRY].connections.items():
        found.connection_up.labels(name).set(1 if live.row.status == "active" else 0)
    return web.Response(body=found.text(), headers={"Content-Type": CONTENT_TYPE})


async def measure(found: Metrics, store: Store, clock: Callable[[], datetime]) -> None:
    """Bring the gauges up to date. Raises StorageError kinds."""
    backlog = await store.backlog()
    found.waiting.set(store.deliveries_waiting)
    found.undispatched.set(backlog.deliveries)
    found.reviews.set(backlog.reviews)
    for status in ("pending", "running", "failed", "needs_review"):
        found.jobs.labels(status).set(backlog.jobs.get(status, 0))
    age = (clock() - backlog.oldest_due_at).total_seconds() if backlog.oldest_due_at is not None else 0.0
    found.backlog_age.set(max(0.0, age))
