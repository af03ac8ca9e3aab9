"""Whether the process lives, whether it is ready, and its metrics."""

import asyncio

import orjson
from aiohttp import web

from gateway import keys
from gateway.metrics import CONTENT_TYPE
from gateway.web import readings
from storage.errors import StorageError

READY_SECONDS = 3.0
MAX_WAITING = 4096


def register(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


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
    found = request.app[keys.METRICS]
    found.gauges.reading = await readings.read(request.app)
    return web.Response(body=found.text(), headers={"Content-Type": CONTENT_TYPE})
