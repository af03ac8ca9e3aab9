"""Server-sent events: a page is told that what it shows has changed. Bounded in number, rate and duration."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog
from aiohttp import web

from gateway.errors import GatewayError
from storage import Store
from storage.errors import StorageError

MAX_STREAMS = 48
MAX_EACH = 12
"""Streams of one session: twice as many as a browser opens to one host, since a closed one takes a moment to go."""
QUIET_SECONDS = 1.5
"""The least time between two looks, however much changes."""
HEARTBEAT_SECONDS = 15.0
GONE_SECONDS = 0.5
"""How often is looked whether the page is still there: nobody tells when it was closed."""
LIFE_SECONDS = 900.0
"""After so long the browser connects again, and is asked who it is."""

log = structlog.get_logger("ledgergate.console")

STREAM_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}

Look = Callable[[], Awaitable[Mapping[str, Any]]]


class Streams:
    """The streams open now."""

    def __init__(
        self,
        store: Store,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        quiet: float = QUIET_SECONDS,
        most: int = MAX_STREAMS,
    ) -> None:
        self._store, self._heartbeat, self._quiet, self._most = store, heartbeat, quiet, most
        self._open: Counter[str] = Counter()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End all streams: the gateway stops."""
        self._stopping.set()

    async def serve(
        self, request: web.Request, *, sid: str, since: int | None, look: Look, still: Look
    ) -> web.StreamResponse:
        """Tell the page what `look` returns, at the first change after `since` and whenever it differs.

        `still` is asked at every turn, and raises once the session is over. Answers 503 when too many are open.
        """
        if self._open.total() >= self._most or self._open[sid] >= MAX_EACH or self._stopping.is_set():
            return web.Response(status=503, text="too many streams", headers={"Retry-After": "30"})
        answer = web.StreamResponse(headers=STREAM_HEADERS)
        self._open[sid] += 1
        try:
            await answer.prepare(request)
            await answer.write(b"retry: 5000\n\n")
            async for told in self._tell(request, since, look, still):
                await answer.write(told)
        except ConnectionResetError:
            pass  # the page was closed
        except Exception:  # the answer has begun: there is no other way left to tell
            log.exception("stream_failed")
        finally:
            self._open[sid] -= 1
            if not self._open[sid]:
                del self._open[sid]
        return answer

    async def _tell(self, request: web.Request, since: int | None, look: Look, still: Look) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        deadline = clock() + LIFE_SECONDS
        known: Mapping[str, Any] | None = None
        told = False
        while clock() < deadline and not self._is_over(request):
            token = await self._store.change_token()
            try:
                await still()
                found = await look()
            except (GatewayError, StorageError):
                yield b"event: over\ndata: {}\n\n"
                return
            # The first look may show what its token does not count yet: it cannot stand for what the page shows.
            missed = not told and since is not None and since != token
            if missed or (known is not None and found != known):
                yield b"event: change\ndata: " + orjson.dumps(found) + b"\n\n"
                told = True
            known = found
            if not await self._changed(request, token):
                yield b": still here\n\n"

    async def _changed(self, request: web.Request, token: int) -> bool:
        """Wait for a change of the store; return False when a heartbeat is due first, or the stream is over."""
        waiting = asyncio.ensure_future(self._store.wait_for_change(self._heartbeat, since=token))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not waiting.done() and not self._is_over(request):
                await asyncio.wait({waiting, stopping}, timeout=GONE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() or waiting.exception() is not None or not waiting.result():
                return False
            await asyncio.wait({stopping}, timeout=self._quiet)
            return True
        finally:
            for task in (waiting, stopping):
                task.cancel()
            await asyncio.gather(waiting, stopping, return_exceptions=True)

    def _is_over(self, request: web.Request) -> bool:
        """Whether the gateway stops, or the page was closed."""
        return self._stopping.is_set() or request.transport is None or request.transport.is_closing()
