"""aiohttp's server with our answers to what it cannot parse, our deadlines, and a short way to the door."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.errors import GatewayError, MalformedRequestError
from gateway.web import problems
from gateway.web.middleware import in_words
from gateway.web.shortcut import IDLE_SECONDS, Shortcut
from gateway.web.webhooks import PREFIX, Door

MAX_LINE_BYTES = 8190
MAX_HEADER_BYTES = 16 * 1024

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Protocol(RequestHandler):
    """One connection. Unreadable requests get a problem document; a bug gets one too, and no traceback."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what no handler has answered, and close."""
        del request, message
        if status < 500:
            answer = problems.answer(MalformedRequestError("the request line or a header is unreadable"))
        else:
            self.log_exception("unhandled error", exc_info=exc)
            answer = problems.answer(GatewayError())
        answer.force_close()
        return answer


class Server(web.Server):
    """A server of such connections; each begins on the short way."""

    def __init__(self, handler: Handler, *, door: Door, **options: Any) -> None:
        super().__init__(handler, **options)
        self._door = door
        self._short: set[Shortcut] = set()

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override] # all that an event loop asks for
        """Return the protocol of a new connection."""
        return Shortcut(self._door, instead=self._whole, connections=self._short)

    def _whole(self) -> RequestHandler:
        return Protocol(self, loop=self._loop, **self._kwargs)

    def pre_shutdown(self) -> None:
        """Take no new requests."""
        super().pre_shutdown()
        for connection in list(self._short):
            connection.close_when_answered()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Let what is being answered end within `timeout` seconds, and cut the rest."""
        deadline = self._loop.time() + (timeout or 0.0)
        while self._short and self._loop.time() < deadline:  # noqa: ASYNC110 - once, and each connection may be last
            await asyncio.sleep(0.01)
        for connection in list(self._short):
            connection.abort()
        await super().shutdown(timeout)


class Runner(web.AppRunner):
    """Runs an application; webhooks go straight to the door, past routing and middlewares."""

    def __init__(self, app: web.Application, door: Door) -> None:
        super().__init__(
            app, access_log=None, keepalive_timeout=IDLE_SECONDS, auto_decompress=False, handler_cancellation=False,
            max_line_size=MAX_LINE_BYTES, max_field_size=MAX_HEADER_BYTES, shutdown_timeout=5.0, lingering_time=2.0,
            tcp_keepalive=True,
        )  # fmt: skip
        self._door = door

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        inner, door = made.request_handler, self._door

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if request.raw_path.startswith(PREFIX):
                return await door.receive(request)
            try:
                answered: web.StreamResponse = await inner(request)
            except web.HTTPExpectationFailed as error:  # raised before any middleware is asked
                return in_words(error)
            return answered

        keywords: dict[str, Any] = made._kwargs  # noqa: SLF001 - there is no public way to choose the protocol class
        loop = made._loop  # noqa: SLF001
        return Server(handle, door=door, request_factory=made.request_factory, loop=loop, **keywords)
