"""What the whole simulated Nomod API has in common: the edge before it, keys, the error envelope, pages, a clock."""

import datetime as dt
import email.utils
import hmac
import json
import random
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict

from aiohttp import hdrs, web

from connectors.testing.nomod_checks import Fields, Refusal
from connectors.testing.simulator import Simulator

API_KEY = "sk_test_Sandbox1.0123456789abcdefghijklmnopqrstuv"
"""The key a simulator takes when the test names none."""

Endpoint = Callable[[web.Request], Awaitable[web.Response]]
Record = dict[str, Any]

_BLOCKED_AGENT = re.compile(r"(python|aiohttp)\b", re.IGNORECASE)
_EDGE_PAGE = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>"
    "<body><h1>Sorry, you have been blocked</h1><p>Error 1020</p></body></html>"
)
_NOT_FOUND = "The requested resource was not found on this server."


class ApiOptions(TypedDict, total=False):
    """What every part of the simulated API takes when it is made; `NomodApi` says what each means."""

    api_key: str
    clock: Callable[[], float]
    rng: random.Random | None
    search_lag: float
    host: str
    port: int


class NomodApi(Simulator):
    """Strict where Nomod's pages are clear, and settable where they are not: each attribute may be set at any time.

    `search_lag` is how many seconds a record stays out of the lists after it was made; reading it by id works at once.
    `clock` gives Unix time; the `Date` header, `created` and the lag follow it.
    """

    def __init__(
        self,
        *,
        api_key: str = API_KEY,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        search_lag: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(host=host, port=port)
        self.api_key = api_key
        self.clock = clock
        self.rng = rng or random.Random()  # noqa: S311 - ids of made-up records, not secrets
        self.search_lag = search_lag
        self.newest_first = True
        self.default_page_size = 20
        self.max_page_size = 100
        self.created_status = 201

    def endpoints(self) -> Mapping[str, Mapping[str, Endpoint]]:
        """Return path → method → endpoint."""
        return {}

    def routes(self) -> Iterable[web.RouteDef]:
        """Return every path for every method, since Nomod words its own 404 and 405."""
        for path, methods in self.endpoints().items():
            yield web.route(hdrs.METH_ANY, path, self._behind_the_edge(methods))
        yield web.route(hdrs.METH_ANY, "/{rest:.*}", self._behind_the_edge({}))

    def now(self) -> dt.datetime:
        """Return the service's time."""
        return dt.datetime.fromtimestamp(self.clock(), dt.UTC)

    def new_id(self) -> str:
        """Return a fresh UUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def listed(self, records: Iterable[Record]) -> list[Record]:
        """Return the records that lists show by now, in the order of lists."""
        horizon = self.clock() - self.search_lag
        seen = [record for record in records if not self.search_lag or timestamp(record["created"]) <= horizon]
        ordered = sorted(enumerate(seen), key=lambda item: (str(item[1]["created"]), item[0]))
        return [record for _, record in (reversed(ordered) if self.newest_first else ordered)]

    def answer(self, body: object, status: int = 200) -> web.Response:
        """Answer JSON, dated by the service's clock."""
        date = email.utils.formatdate(self.clock(), usegmt=True)
        return web.json_response(body, status=status, headers={hdrs.DATE: date})

    def page(self, request: web.Request, rows: Sequence[object]) -> web.Response:
        """Answer one page in the envelope; a page past the end is a 404, and an odd `page_size` is no error."""
        asked = request.query.get("page_size", "")
        size = int(asked) if asked.isascii() and asked.isdigit() and int(asked) else self.default_page_size
        size = min(size, self.max_page_size)
        pages = max(1, -(-len(rows) // size))
        text = request.query.get("page", "1")
        number = int(text) if text.isascii() and text.isdigit() else 0
        if not 1 <= number <= pages:
            raise Refusal("not_found", "Invalid page.", status=404)
        return self.answer(
            {
                "count": len(rows),
                "next": str(request.url.update_query(page=number + 1)) if number < pages else None,
                "previous": str(request.url.update_query(page=number - 1)) if number > 1 else None,
                "results": list(rows[(number - 1) * size : number * size]),
            }
        )

    def found(self, request: web.Request, records: Mapping[str, Record]) -> Record:
        """Return the record of the path's id, or refuse with 404."""
        try:
            return records[str(uuid.UUID(request.match_info["id"]))]
        except (ValueError, KeyError):
            raise Refusal("not_found", _NOT_FOUND, status=404) from None

    async def fields(self, request: web.Request) -> Fields:
        """Read the JSON object that was sent, or refuse."""
        body = await request.read()
        if body and request.content_type != "application/json":
            raise Refusal("unsupported_media_type", f"Unsupported media type {request.content_type!r}.", status=415)
        try:
            data = json.loads(body or b"{}", parse_float=Decimal, parse_constant=_no_constant)
        except ValueError:
            raise Refusal("parse_error", "JSON parse error.") from None
        if not isinstance(data, dict):
            raise Refusal("invalid", f"Invalid data. Expected a dictionary, but got {type(data).__name__}.")
        return Fields(data)

    def _behind_the_edge(self, methods: Mapping[str, Endpoint]) -> Endpoint:
        async def serve(request: web.Request) -> web.Response:
            agent = request.headers.get(hdrs.USER_AGENT, "").strip()
            if not agent or _BLOCKED_AGENT.match(agent):
                return web.Response(status=403, text=_EDGE_PAGE, content_type="text/html")
            try:
                return await self._let_in(request, methods)(request)
            except Refusal as refusal:
                return self.answer({"error": {"message": refusal.message, "code": refusal.code}}, refusal.status)

        return serve

    def _let_in(self, request: web.Request, methods: Mapping[str, Endpoint]) -> Endpoint:
        """Return who answers: unknown paths are refused before the key is looked at, unknown methods after."""
        if not methods:
            raise Refusal("not_found", _NOT_FOUND, status=404)
        if not hmac.compare_digest(
            request.headers.get("X-API-KEY", "").encode(errors="replace"), self.api_key.encode()
        ):
            raise Refusal("not_authenticated", "Please use your API Key to authenticate", status=401)
        if request.method not in methods:
            raise Refusal("method_not_allowed", f'Method "{request.method}" not allowed.', status=405)
        return methods[request.method]


def gmt(moment: dt.datetime) -> str:
    """Write a time as Nomod does: GMT, ISO 8601, microseconds."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp(text: str) -> float:
    """Return the Unix time of a text made by `gmt`."""
    return dt.datetime.fromisoformat(text).timestamp()


def _no_constant(name: str) -> float:
    raise ValueError(name)
