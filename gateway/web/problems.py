"""Errors as HTTP answers: application/problem+json, RFC 9457."""

from typing import Any

import orjson
from aiohttp import web

from connectors.errors import ConnectorError
from gateway.errors import GatewayError, problem
from storage.errors import ConflictError, NotFoundError, OverloadedError, StorageError, StoreUnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5


def status_of(error: BaseException) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, GatewayError):
        return error.status
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, ConflictError):
        return 409
    if isinstance(error, OverloadedError | StoreUnavailableError):
        return 503
    if isinstance(error, StorageError):
        return 400 if error.code == "cursor_invalid" else 500
    return 502 if isinstance(error, ConnectorError) else 500


def answer(error: BaseException, *, headers: dict[str, str] | None = None) -> web.Response:
    """Return the answer for an error, with Retry-After where waiting helps."""
    status = status_of(error)
    body: dict[str, Any] = {**problem(error), "status": status}
    sent = dict(headers or {})
    wait = getattr(error, "retry_after", None)
    if status in (429, 503):
        sent["Retry-After"] = str(int(wait) if wait else RETRY_SECONDS)
    if status == 401:
        sent.setdefault("WWW-Authenticate", "Bearer")
    return web.Response(status=status, body=orjson.dumps(body), content_type=MEDIA_TYPE, headers=sent)
