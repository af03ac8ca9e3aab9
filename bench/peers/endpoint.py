"""The webhook endpoint that all Python peers share: the reference library verifies, then the peer keeps the event."""

import importlib
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

Keep = Callable[[Mapping[str, str], bytes, Any], Awaitable[None]]
"""Keeps an event safely: its headers, its bytes, and what the library has read from them."""


def application(
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]], keep: Keep, *, done: Callable[[], int] | None = None
) -> Any:
    """Return a FastAPI application with `POST /webhook`, and `GET /done` where the peer works off what it keeps."""
    fastapi: Any = importlib.import_module("fastapi")
    receive = _endpoint(fastapi, keep)
    receive.__annotations__["request"] = fastapi.Request
    app = fastapi.FastAPI(lifespan=lifespan)
    app.post("/webhook")(receive)
    if done is not None:
        app.get("/done")(_counter(done))
    return app


def _endpoint(fastapi: Any, keep: Keep) -> Callable[[Any], Awaitable[Any]]:
    verifier: Any = importlib.import_module("standardwebhooks").Webhook(os.environ["BENCH_SECRET"])

    async def receive(request: Any) -> Any:
        body = await request.body()
        try:
            event = verifier.verify(body, dict(request.headers))
        except Exception:  # noqa: BLE001 - the library raises several kinds for what a stranger sends
            return fastapi.Response(status_code=401)
        await keep(request.headers, body, event)
        return fastapi.Response(status_code=202)

    return receive


def _counter(done: Callable[[], int]) -> Callable[[], Awaitable[dict[str, int]]]:
    async def count() -> dict[str, int]:
        return {"done": done()}

    return count
