"""Around every route but the door's: a request id, errors as problems, and one log line for each change."""

import re
import secrets
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from connectors.errors import ConnectorError
from gateway.errors import (
    GatewayError,
    MalformedRequestError,
    MethodNotAllowedError,
    PayloadTooLargeError,
    RouteUnknownError,
)
from gateway.web import problems
from gateway.web.authentication import ACTOR
from storage.errors import StorageError

log = structlog.get_logger("ledgergate.web")

REQUEST_ID = "X-Request-ID"
READING = frozenset({"GET", "HEAD"})
_USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer_in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem, a bug too; name each request, and log who has changed something."""
    request_id, begun = _id_of(request), time.perf_counter()
    try:
        answer = await handler(request)
    except (GatewayError, ConnectorError, StorageError) as error:
        answer = problems.answer(error)
    except web.HTTPException as error:
        if error.status < 400 or error.content_type != "text/plain":
            error.headers[REQUEST_ID] = request_id
            raise  # a redirect, or a page that a handler has made
        answer = in_words(error)
    except ConnectionError:
        raise  # the caller has gone; there is nobody to tell
    except Exception:
        log.exception("unhandled_error", method=request.method, route=_route(request), request_id=request_id)
        answer = problems.answer(GatewayError())
    if not answer.prepared:
        answer.headers[REQUEST_ID] = request_id
    actor = request.get(ACTOR)  # strangers' requests fill no logs
    if (actor is not None and request.method not in READING) or answer.status >= 500:
        log.info(
            "request", method=request.method, route=_route(request), status=answer.status, actor=actor,
            request_id=request_id, milliseconds=round((time.perf_counter() - begun) * 1000, 1),
        )  # fmt: skip
    return answer


def in_words(error: web.HTTPException) -> web.Response:
    """Return aiohttp's own answer as a problem."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return problems.answer(MethodNotAllowedError(f"allowed are: {allowed}"), headers={"Allow": allowed})
    if isinstance(error, web.HTTPNotFound):
        return problems.answer(RouteUnknownError())
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problems.answer(PayloadTooLargeError())
    if error.status < 500:
        return problems.answer(MalformedRequestError(error.reason))
    return problems.answer(GatewayError())


def _id_of(request: web.Request) -> str:
    """Return the id that the caller has given, where it is a plain word, else a new one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if _USABLE_ID.fullmatch(given) else f"req_{secrets.token_hex(8)}"


def _route(request: web.Request) -> str:
    """Return the route's pattern: no ids and no names in logs."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"
