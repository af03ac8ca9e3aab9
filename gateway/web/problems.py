"""Errors as HTTP answers: application/problem+json, RFC 9457."""

from typing import Any

import orjson
from aiohttp import web

from gateway.errors import KeyMissingError, problem, status_of

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5


def answer(error: BaseException, *, headers: dict[str, str] | None = None) -> web.Response:
    """Return the answer for an error, with Retry-After where waiting helps."""
    status = status_of(error)
    body: dict[str, Any] = {**problem(error), "status": status}
    sent = dict(headers or {})
    wait = getattr(error, "retry_after", None)
    if status in (429, 503):
        sent["Retry-After"] = str(int(wait) if wait else RETRY_SECONDS)
    if isinstance(error, KeyMissingError):
        sent.setdefault("WWW-Authenticate", "Bearer")
    return web.Response(status=status, body=orjson.dumps(body), content_type=MEDIA_TYPE, headers=sent)
