"""A proxy before a simulated service: it injects the faults, hides new records, ignores filters, and counts."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import orjson
from aiohttp import hdrs, web
from yarl import URL

from connectors.testing.harness import Asked
from connectors.testing.simulator import Call, Moment, Simulator

MARK = "X-Kit-Session"
"""Every request through the session that the host lends carries this header; one without it went another way."""
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade", "date", "server"})
_ID = re.compile(r"(?:^|_)(?:id|key|guid|uuid)$|(?:Id|ID)$", re.IGNORECASE)
_COUNT = re.compile(r"count|total|maxresults", re.IGNORECASE)


class FaultProxy(Simulator):
    """Stands between a connector and any simulated service, so that every author gets every fault for free.

    What goes wrong is planned in `faults`, as at a simulator. A record that comes into being is cut out of the lists
    in answers for `lag` seconds: the service's search lag. With `widening` look-ups arrive without their filter.
    """

    def __init__(
        self,
        *,
        ids: Callable[[], set[str]],
        now: Callable[[], datetime],
        widened: Callable[[Asked], Asked],
        refusal: Callable[[str], bytes],
    ) -> None:
        super().__init__()
        self.target = ""
        """The service's base address; set before the first request."""
        self.lag = 0.0
        self.widening = False
        self.creates: list[Call] = []
        """The calls during which a record came into being."""
        self._ids, self._now, self._widened, self._refusal = ids, now, widened, refusal
        self._before: dict[int, set[str]] = {}
        self._hidden: dict[str, datetime] = {}
        self._session: aiohttp.ClientSession | None = None
        self.hook = self._watch

    async def start(self) -> "FaultProxy":
        """Listen."""
        self._session = aiohttp.ClientSession(
            auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=60)
        )
        return await super().start()

    async def stop(self) -> None:
        """Stop listening and cut what is open."""
        await super().stop()
        if self._session is not None:
            await self._session.close()

    def routes(self) -> Iterable[web.RouteDef]:
        """Return one route for everything."""
        return [web.route(hdrs.METH_ANY, "/{rest:.*}", self._forward)]

    def quoting(self, words: str) -> bytes:
        """Return the service's own refusal, with these words in it."""
        return self._refusal(words)

    @property
    def unmarked(self) -> list[Call]:
        """The calls that did not come through the session of the host."""
        return [call for call in self.calls if MARK not in call.headers]

    async def _watch(self, call: Call, moment: Moment) -> None:
        if moment is Moment.BEFORE:
            self._before[call.number] = self._ids()
            return
        made = self._ids() - self._before.pop(call.number)
        if made:
            self.creates.append(call)
            self._hidden |= dict.fromkeys(made, self._now() + timedelta(seconds=self.lag))

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        if self._session is None:
            raise AssertionError("the proxy forwards between start and stop")
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP and key != MARK}
        async with self._session.request(
            request.method, self._address(request), data=await request.read() or None, headers=headers,
            allow_redirects=False,
        ) as answer:  # fmt: skip
            body = await answer.read()
            kept = [(key, value) for key, value in answer.headers.items() if key.lower() not in _HOP]
            hidden = frozenset(key for key, until in self._hidden.items() if until > self._now())
            if hidden and answer.status < 300:
                body = _without(body, hidden)
            response = web.Response(status=answer.status, body=body)
            for key, value in kept:
                if key.lower() == "content-type":
                    response.headers[key] = value
                else:
                    response.headers.add(key, value)
            return response

    def _address(self, request: web.Request) -> URL:
        raw = URL(self.target + request.raw_path, encoded=True)
        if not self.widening:
            return raw
        asked = Asked(method=request.method, path=raw.path, query=tuple(raw.query.items()))
        widened = self._widened(asked)
        return raw if widened == asked else raw.with_path(widened.path).with_query(list(widened.query))


def _without(body: bytes, hidden: frozenset[str]) -> bytes:
    """Return a JSON answer whose lists lack the records with these ids, as if they were not indexed yet."""
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    cut = _cut(decoded, hidden)
    return body if cut == decoded else orjson.dumps(cut)


def _cut(value: Any, hidden: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_cut(item, hidden) for item in value if not _is_hidden(item, hidden)]
    if not isinstance(value, dict):
        return value
    lost = sum(_is_hidden(item, hidden) for items in value.values() if isinstance(items, list) for item in items)
    cut = {key: _cut(item, hidden) for key, item in value.items()}
    if lost:
        for key, item in cut.items():
            if _COUNT.search(str(key)) and isinstance(item, int) and not isinstance(item, bool):
                cut[key] = max(0, item - lost)
    return cut


def _is_hidden(item: Any, hidden: frozenset[str]) -> bool:
    """Whether an entry of a list is, or wraps, a hidden record."""
    if not isinstance(item, Mapping):
        return False
    if any(_ID.search(str(key)) and str(value) in hidden for key, value in item.items()):
        return True
    return len(item) == 1 and _is_hidden(next(iter(item.values())), hidden)
