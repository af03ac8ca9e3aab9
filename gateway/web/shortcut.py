"""The short way of a plain webhook: read from its bytes, past aiohttp, to which everything unusual is handed over.

aiohttp spends more on a request than we do on verifying and storing it: a parser for all of HTTP, a task, objects for
request and answer (docs/decisions/0005-a-short-way-for-plain-webhooks.md). What is recognized here is one strict shape,
which has one meaning only; at the first doubt the connection goes to aiohttp for good, with every byte that came.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from time import perf_counter, time
from typing import cast

from aiohttp import web
from aiohttp.tcp_helpers import tcp_keepalive
from multidict import CIMultiDict

from gateway.errors import GatewayError, MalformedRequestError
from gateway.registry import LiveSource
from gateway.sources.signing import SignatureRefusedError
from gateway.web import problems
from gateway.web.webhooks import Door
from storage.errors import StorageError

MAX_HEAD_BYTES = 8 * 1024
MAX_BODY_BYTES = 256 * 1024
IDLE_SECONDS = 30.0

_BEGINNING = b"POST /webhooks/"
# RFC 9112, 3 and 5: a target and field names of a few safe letters, values of visible ASCII, no folding, CRLF only.
_HEAD = re.compile(
    rb"POST /webhooks/([A-Za-z0-9_-]{1,200}) HTTP/1\.1\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~]*+\r\n)++)\r\n"
)
_FIELD = re.compile(r"([^:\r]+):[\t ]*([^\r]*)\r\n")
# Fields that change how a message is read or answered. Content-Length is looked at below.
_UNUSUAL = ("transfer-encoding", "content-encoding", "expect", "upgrade", "connection", "trailer", "te")
_LENGTH = re.compile(r"[0-9]{1,7}")

Head = tuple[str, CIMultiDict[str], int, int]
"""Source, headers, where the body begins, where it ends."""


def read_head(data: bytes, most_body: int = MAX_BODY_BYTES) -> Head | None:
    """Return what a plain webhook's first bytes say, None when they are anything else."""
    found = _HEAD.match(data, 0, MAX_HEAD_BYTES)
    if found is None:
        return None
    text = found[2].decode("ascii")
    pairs = _FIELD.findall(text)
    if " \r" in text or "\t\r" in text:
        pairs = [(name, value.rstrip("\t ")) for name, value in pairs]
    headers = CIMultiDict(pairs)
    lengths = headers.getall("content-length", ())
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]) or len(headers.getall("host", ())) != 1:
        return None
    for name in _UNUSUAL:  # twice as fast as any() here, and this runs for each webhook
        if name in headers:
            return None
    length = int(lengths[0])
    if length > most_body:
        return None
    return found[1].decode("ascii"), headers, found.end(), found.end() + length


class Shortcut(asyncio.Protocol):
    """One connection, for as long as nothing but plain webhooks comes, one after another."""

    __slots__ = (
        "_answering", "_buffer", "_choked", "_closing", "_connections", "_deadline", "_door", "_head", "_idle",
        "_instead", "_loop", "_most_body", "_quiet_since", "_transport",
    )  # fmt: skip

    def __init__(self, door: Door, *, instead: Callable[[], asyncio.Protocol], connections: "set[Shortcut]") -> None:
        """Take plain webhooks to the door. `instead` makes aiohttp's protocol; `connections` lists the open ones."""
        self._door, self._instead, self._connections = door, instead, connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._head: Head | None = None
        self._answering = self._choked = self._closing = False
        self._deadline: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._quiet_since = 0.0
        self._most_body = min(MAX_BODY_BYTES, door.max_body_bytes)

    # What the event loop tells -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        tcp_keepalive(self._transport)
        self._connections.add(self)
        self._quiet_since = self._loop.time()
        self._idle = self._loop.call_later(IDLE_SECONDS, self._look_whether_idle)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._buffer = self._buffer + data if self._buffer else data
        if not (self._answering or self._choked):
            self._go_on()
        elif len(self._buffer) > MAX_HEAD_BYTES + MAX_BODY_BYTES and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Answer what is being stored before closing."""
        self._closing = True
        return self._answering

    def pause_writing(self) -> None:
        """Take no more while the sender does not read its answers."""
        self._choked = True

    def resume_writing(self) -> None:
        """Go on."""
        self._choked = False
        if not self._answering:
            self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection; what is on its way to the disk is stored all the same."""
        self._leave()

    def close_when_answered(self) -> None:
        """Take nothing more."""
        self._closing = True
        if not self._answering and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    # One webhook after another -----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        while self._buffer and self._transport is not None and not (self._answering or self._choked or self._closing):
            if self._head is None:
                self._head = read_head(self._buffer, self._most_body)
                if self._head is None:
                    if self._may_become_one():
                        self._wait_for_more()
                    else:
                        self._hand_over()
                    return
            name, headers, begin, end = self._head
            live = self._door.source(name)
            if live is None:
                self._hand_over()
                return
            if len(self._buffer) < end:
                self._wait_for_more()
                return
            body, self._buffer, self._head = self._buffer[begin:end], self._buffer[end:], None
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
            self._take(live, headers, body)

    def _may_become_one(self) -> bool:
        start = self._buffer[: len(_BEGINNING)]
        return (
            _BEGINNING.startswith(start) and len(self._buffer) < MAX_HEAD_BYTES and b"\r\n\r\n" not in self._buffer
        )  # fmt: skip

    def _take(self, live: LiveSource, headers: CIMultiDict[str], body: bytes) -> None:
        began = perf_counter()
        try:
            storing: Awaitable[tuple[str, bool]] = self._door.take_in(live, headers, body)
        except (SignatureRefusedError, GatewayError, StorageError) as error:
            self._say(self._door.refused(live, error, headers, body))
            return
        self._answering = True
        told = partial(self._stored, live, headers, body, began)
        asyncio.ensure_future(storing).add_done_callback(told)

    def _stored(
        self, live: LiveSource, headers: CIMultiDict[str], body: bytes, began: float,
        storing: "asyncio.Future[tuple[str, bool]]",
    ) -> None:  # fmt: skip
        self._answering = False
        if storing.cancelled():
            self.abort()
            return
        error = storing.exception()
        if error is None:
            stored = storing.result()
            if self._transport is not None:
                status, text = self._door.acknowledgement(stored)
                self._transport.write(_ANSWER % (_STATUS[status], len(text), http_date(), text))
            self._door.acknowledged(live, stored, began=began)
        elif isinstance(error, StorageError):
            self._say(self._door.refused(live, error, headers, body))
        else:
            self._loop.call_exception_handler({"message": "a webhook was not stored", "exception": error})
            self._say(_last(problems.answer(GatewayError())))
        self._quiet_since = self._loop.time()
        if self._closing and self._transport is not None:
            self._transport.close()
        elif self._transport is not None:
            self._transport.resume_reading()
            self._go_on()

    def _say(self, answer: web.Response) -> None:
        if self._transport is None:
            return
        keep = answer.keep_alive is not False
        self._transport.write(raw(answer, keep=keep))
        if not keep:
            self._closing = True
            self._transport.close()

    # Time, and other ways ------------------------------------------------------------------------------------------

    def _wait_for_more(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(self._door.read_seconds, self._give_up)

    def _give_up(self) -> None:
        self._say(_last(problems.answer(MalformedRequestError("the request did not arrive in time"))))

    def _look_whether_idle(self) -> None:
        waited = self._loop.time() - self._quiet_since
        busy = self._answering or self._choked or self._deadline is not None
        if waited >= IDLE_SECONDS and not busy and self._transport is not None:
            self._transport.close()
        else:
            left = IDLE_SECONDS if busy else max(1.0, IDLE_SECONDS - waited)
            self._idle = self._loop.call_later(left, self._look_whether_idle)

    def _hand_over(self) -> None:
        """Let aiohttp have the connection, from the first byte of this request on."""
        transport, buffer = self._transport, self._buffer
        if transport is None:
            return
        self._leave()
        protocol = self._instead()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(buffer)

    def _leave(self) -> None:
        self._transport, self._buffer = None, b""
        self._connections.discard(self)
        for timer in (self._deadline, self._idle):
            if timer is not None:
                timer.cancel()


_STATUS = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}
_ANSWER = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: %b\r\n\r\n%b"


def raw(answer: web.Response, *, keep: bool) -> bytes:
    """Return an answer as it goes over the wire."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    lines = [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() != "content-length"]
    lines.append(f"Content-Length: {len(body)}")
    if not keep:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1", "replace")
    return b"HTTP/1.1 %b\r\n%b\r\nDate: %b\r\n\r\n%b" % (_STATUS[answer.status], head, http_date(), body)


_dates: dict[int, bytes] = {}


def http_date() -> bytes:
    """Return the time as HTTP writes it; it is put together once a second."""
    second = int(time())
    date = _dates.get(second)
    if date is None:
        _dates.clear()
        date = _dates[second] = formatdate(second, usegmt=True).encode()
    return date


def _last(answer: web.Response) -> web.Response:
    answer.force_close()
    return answer
