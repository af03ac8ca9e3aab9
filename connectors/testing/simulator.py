"""Loopback stand-in for a vendor's API: a ledger of what really happened there, and a plan of faults."""

import asyncio
import fnmatch
import itertools
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from aiohttp import hdrs, web

from connectors.testing.faults import DOES_THE_WORK, Fault, FaultKind, FaultPlan
from connectors.testing.ports import ReservedPort

__all__ = ["DOES_THE_WORK", "Call", "Fault", "FaultKind", "FaultPlan", "Hook", "Moment", "Simulator"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Moment(StrEnum):
    """When a hook runs, seen from the simulated service."""

    BEFORE = "before"
    """The request has arrived; nothing was done yet."""
    AFTER = "after"
    """The service has done its work; the answer was not sent yet."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One request as the service saw it, and what came of it."""

    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int | None = None
    """What was answered; None while nothing was, and for good when the connection was cut first."""
    fault: FaultKind | None = None
    worked: bool = False
    """Whether the service ran its handler: with a fault set this is the truth that the caller cannot see."""

    @property
    def route(self) -> str:
        """Method and path, as fault patterns see it."""
        return f"{self.method} {self.path}"


Hook = Callable[[Call, Moment], Awaitable[None]]


class Simulator:
    """Base of the simulated services: an aiohttp server on a free loopback port.

    A subclass adds routes in `routes()` and keeps the service's own state. Every request becomes a `Call` in `calls`;
    `faults` decides what goes wrong; `hook` lets a test act at the exact moment (kill a process, change a record).
    """

    throttled_body: bytes = b'{"error":{"message":"Request was throttled.","code":"throttled"}}'
    throttled_type: str = "application/json"
    calls_kept: int = 50_000
    """How many of the latest calls are kept, for a sandbox that runs for days."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.calls: list[Call] = []
        self.faults = FaultPlan()
        self.hook: Hook | None = None
        self._host, self._port = host, port
        self._reserved: ReservedPort | None = None
        self._runner: web.AppRunner | None = None
        self._numbers = itertools.count(1)

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the service's routes."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end. Raises RuntimeError before the first `start` chose a port."""
        if not self._port:
            raise RuntimeError("the simulator has no address before it was started")
        return f"http://{self._host}:{self._port}"

    async def start(self) -> Self:
        """Listen. A port that was chosen here stays this service's while it is down, so that it can come back."""
        if self._runner is not None:
            raise RuntimeError("the simulator was started already")
        if not self._port:
            self._reserved = ReservedPort(self._host)
            self._port = self._reserved.number
        app = web.Application(middlewares=[self._serve], client_max_size=64 * 1024 * 1024)
        app.add_routes(list(self.routes()))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, reuse_address=True).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def stop(self) -> None:
        """Stop listening and cut what is open."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Start."""
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    def quoting(self, words: str) -> bytes:
        """Return the body of the service's refusal that says `words`."""
        return json.dumps({"error": {"message": words, "code": "invalid"}}).encode()

    def calls_of(self, route: str) -> list[Call]:
        """Return the calls whose "METHOD /path" matches the shell pattern."""
        return [call for call in self.calls if fnmatch.fnmatchcase(call.route, route)]

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        call = Call(
            number=next(self._numbers),
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=dict(request.headers),
            body=await request.read(),
        )
        self.calls.append(call)
        del self.calls[: -self.calls_kept]
        if self.hook is not None:
            await self.hook(call, Moment.BEFORE)
        fault = self.faults.take(call.route)
        call.fault = fault.kind if fault else None
        answer: web.StreamResponse | None = None
        if fault is None or fault.kind in DOES_THE_WORK:
            answer = await _run(handler, request)
            call.worked = True
        if self.hook is not None:
            await self.hook(call, Moment.AFTER)
        if fault is not None:
            if fault.kind in {FaultKind.DRIP, FaultKind.HALF} and answer is not None:
                call.status = answer.status  # now, since the caller may have read all before we run again
            answer = await self._spoil(request, fault, answer)
        if answer is None:
            raise AssertionError("a fault that does no work must answer by itself")
        call.status = None if isinstance(answer, _Cut) else answer.status
        return answer

    async def _spoil(self, request: web.Request, fault: Fault, answer: web.StreamResponse | None) -> web.StreamResponse:
        match fault.kind:
            case FaultKind.THROTTLE:
                headers = {} if fault.retry_after is None else {hdrs.RETRY_AFTER: str(fault.retry_after)}
                body = self.throttled_body if fault.body is None else fault.body
                return web.Response(status=429, body=body, headers=headers, content_type=self.throttled_type)
            case FaultKind.REFUSE:
                return _planned(fault, 400, b"{}", fault.content_type)
            case FaultKind.ECHO:
                sent = [(await request.read()).decode("utf-8", "replace"), *request.query.values()]
                words = " | ".join(["cannot take", *sent, *request.headers.values()])
                return _planned(fault, 400, self.quoting(words), fault.content_type)
            case FaultKind.FAIL_BEFORE | FaultKind.FAIL_AFTER:
                return _planned(fault, 500, b"{}", fault.content_type)
            case FaultKind.HTML:
                page = b"<html><head><title>Attention Required!</title></head><body>cf-error</body></html>"
                return _planned(fault, 503, page, "text/html")
            case FaultKind.GARBAGE:
                return _planned(fault, 200, b"\x00\xff{not json", fault.content_type)
            case FaultKind.REDIRECT:
                return web.Response(status=302, headers={hdrs.LOCATION: "http://127.0.0.1:9/elsewhere"})
            case FaultKind.DRIP | FaultKind.HALF:
                return await _send_partly(request, fault, answer)
            case FaultKind.HANG_BEFORE | FaultKind.HANG_AFTER:
                await asyncio.sleep(fault.seconds)
        return _cut(request)


class _Cut(web.Response):
    """Stands where aiohttp wants an answer although the connection is gone; nothing of it is ever sent."""


async def _run(handler: Handler, request: web.Request) -> web.StreamResponse:
    """Return the handler's answer; aiohttp's own (no such route, wrong method) are raised, and are answers too."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, headers=error.headers, text=error.text)


def _planned(fault: Fault, status: int, body: bytes, content_type: str) -> web.Response:
    """Answer what the fault says, or these defaults where it says nothing; an empty body is something said."""
    return web.Response(
        status=status if fault.status is None else fault.status,
        body=body if fault.body is None else fault.body,
        content_type=content_type,
    )


async def _send_partly(request: web.Request, fault: Fault, answer: web.StreamResponse | None) -> web.StreamResponse:
    """Send the answer slowly and whole (DRIP), or half of it and then nothing more (HALF)."""
    whole = answer.body if isinstance(answer, web.Response) else None
    body = whole if isinstance(whole, bytes) else b"{}"
    response = web.StreamResponse(
        status=answer.status if answer else 200, headers=answer.headers if answer else {hdrs.CONTENT_TYPE: "text/plain"}
    )
    response.content_length = len(body)
    await response.prepare(request)
    if fault.kind is FaultKind.HALF:
        await response.write(body[: max(1, len(body) // 2)])
        transport = request.transport
        # Cutting discards what still waits to be sent, and the caller is to see that an answer had begun.
        for _ in range(1000):
            await asyncio.sleep(0.001)
            if transport is None or transport.is_closing() or not transport.get_write_buffer_size():
                break
        _cut(request)
        return response
    for index in range(len(body)):
        await response.write(body[index : index + 1])
        await asyncio.sleep(fault.seconds / len(body))
    await response.write_eof()
    return response


def _cut(request: web.Request) -> _Cut:
    """Close the socket under the answer, so that the caller sees a connection lost and no status."""
    if request.transport is not None:
        request.transport.abort()
    return _Cut(status=499)
