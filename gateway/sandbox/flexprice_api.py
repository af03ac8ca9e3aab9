"""What the whole simulated Flexprice API has in common: keys and roles, its three error shapes, request ids, bodies.

Facts of the open source at github.com/flexprice/flexprice: internal/rest/middleware/auth.go and errhandler.go,
internal/errors.
"""

import hmac
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypedDict

from aiohttp import hdrs, web

from connectors.testing.simulator import Handler, Simulator
from gateway.sandbox.flexprice_records import Record, ulid

API_KEY = "sk_sandbox_flexprice_0123456789"
"""The key a simulator takes when the test names none."""

MAX_LIMIT = 1000


class Problem(Exception):
    """The request is answered with Flexprice's own error body, and nothing was done."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        """Refuse with an HTTP status, a code, a text for people, and details where there are any."""
        super().__init__(message)
        self.status = status
        self.body: Record = {"code": code, "message": message, "http_status_code": status}
        if details:
            self.body["details"] = details


def invalid(message: str, **details: Any) -> Problem:
    """Return the refusal of a request that is not valid."""
    return Problem(400, "validation_error", message, **details)


class ApiOptions(TypedDict, total=False):
    """What every part of the simulated API takes when it is made; `FlexpriceApi` says what each means."""

    api_key: str
    clock: Callable[[], float]
    rng: random.Random | None
    replica_lag: float
    tenant_id: str | None
    environment_id: str | None
    host: str
    port: int


class FlexpriceApi(Simulator):
    """Strict where the code is clear. Each attribute may be set at any time.

    `replica_lag` is how many seconds reads are behind writes. `clock` gives Unix time.
    """

    throttled_body = b'{"code":"too_many_requests","message":"Too many requests","http_status_code":429}'
    writable: bool = True
    """Whether the key's role may write (`all_writer` or `super_admin`)."""
    suspended: bool = False
    """Whether the tenant is suspended: reads work, writes are refused in a shape of their own."""
    environment_required: bool = False
    """Whether the key is one of a configuration file, which needs `X-Environment-ID`; dashboard keys ignore it."""

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        replica_lag: float = 0.0,
        tenant_id: str | None = None,
        environment_id: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        self.api_key = api_key
        self.clock = clock
        self.rng = rng or random.Random()  # noqa: S311 - ids of made-up records, not secrets
        self.replica_lag = replica_lag
        self.tenant_id = tenant_id or self.new_id("tenant")
        self.environment_id = environment_id or self.new_id("env")
        self.user_id = self.new_id("user")

    @property
    def api_url(self) -> str:
        """What a source has as its `api_url`."""
        return f"{self.url}/v1"

    def endpoints(self) -> Mapping[tuple[str, str], Handler]:
        """Return (method, path below /v1) → endpoint."""
        return {}

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the endpoints behind the key; any other path or method is Gin's bare 404, with or without a key."""
        for (method, path), endpoint in self.endpoints().items():
            yield web.route(method, f"/v1{path}", self._guarded(endpoint))
        yield web.route(hdrs.METH_ANY, "/{rest:.*}", self._no_route)

    def time(self) -> float:
        """Return the service's Unix time, by whatever `clock` it has now."""
        return self.clock()

    def new_id(self, prefix: str) -> str:
        """Return a fresh `prefix_<ULID>`."""
        return f"{prefix}_{ulid(self.clock(), self.rng)}"

    async def body(self, request: web.Request) -> Record:
        """Read the JSON object that was sent, whatever its Content-Type, or refuse."""
        try:
            data = json.loads(await request.read(), parse_float=Decimal, parse_constant=_no_constant)
        except ValueError:
            raise invalid("Invalid request format") from None
        if not isinstance(data, dict):
            raise invalid("Invalid request format")
        return data

    def text(self, body: Mapping[str, Any], name: str, limit: int = 255, *, required: bool = False) -> str | None:
        """Return a text field, None where it is omitted or null, or refuse."""
        value = body.get(name)
        if value is None and not required:
            return None
        if value is not None and not isinstance(value, str):
            raise invalid("Invalid request format", field=name)
        if required and not value:
            raise invalid(f"{name} is required", field=name)
        if value is not None and len(value) > limit:
            raise invalid(f"{name} must be at most {limit} characters", field=name)
        return value

    def window(self, body: Mapping[str, Any]) -> tuple[int, int]:
        """Return the limit (50 unless given, at most 1000) and the offset of a search, or refuse."""
        values = []
        for name, default, low, high in (("limit", 50, 1, MAX_LIMIT), ("offset", 0, 0, 2**63)):
            value = body.get(name)
            value = default if value is None else value
            if isinstance(value, bool) or not isinstance(value, int):
                raise invalid("Invalid request format", field=name)
            if not low <= value <= high:
                raise invalid(f"{name} must be between {low} and {high}", field=name)
            values.append(value)
        return values[0], values[1]

    def _guarded(self, endpoint: Handler) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                answer = self._turned_away(request) or await endpoint(request)
            except Problem as problem:
                answer = web.json_response(problem.body, status=problem.status)
            return self._stamped(request, answer)

        return serve

    def _turned_away(self, request: web.Request) -> web.Response | None:
        """Return the refusal of the middleware, whose shapes are not those of the rest of the API."""
        given = request.headers.get("x-api-key", "")
        if not given or not hmac.compare_digest(given.encode(errors="replace"), self.api_key.encode()):
            return web.json_response({"error": "Unauthorized"}, status=401)
        environment = request.headers.get("X-Environment-ID", "")
        if self.environment_required and environment != self.environment_id:
            message = "environment not found or not accessible"
            return web.json_response({"error": "Access denied", "message": message}, status=403)
        if request.method != "GET" and not request.path.endswith("/search"):
            if self.suspended:
                return web.json_response({"message": "tenant account is suspended"}, status=403)
            if not self.writable:
                raise Problem(403, "permission_denied", "Insufficient permissions")
        return None

    async def _no_route(self, request: web.Request) -> web.StreamResponse:
        return self._stamped(request, web.Response(status=404, text="404 page not found"))

    def _stamped(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        answer.headers["X-Request-ID"] = request.headers.get("X-Request-ID") or self.new_id("req")
        return answer


def page(items: list[Record], *, limit: int, offset: int, next_offset: bool) -> web.Response:
    """Answer a page. Its `offset` is that of the next page for customers and mappings, the request's for invoices."""
    shown = offset + limit if next_offset else offset
    pagination = {"total": len(items), "limit": limit, "offset": shown}
    return web.json_response({"items": items[offset : offset + limit], "pagination": pagination})


def _no_constant(name: str) -> float:
    raise ValueError(name)
