"""A write that comes too late is not sent: not a byte of it reaches the service."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from connectors import Host
from connectors.errors import UnreachableError
from connectors.http import JsonApi
from connectors.sending import IN_TIME


class Listener:
    """A service that only notes what arrives, and answers `{}`."""

    def __init__(self) -> None:
        self.heard = b""
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.heard += data
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()
        self.left.set()


async def ask(listener: Listener, in_time: Callable[[], bool] | None, method: str = "POST") -> None:
    async with await asyncio.start_server(listener.serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        asked = IN_TIME.set(in_time)
        try:
            async with aiohttp.ClientSession() as session:
                api = JsonApi(Host(connection="test", session=session), f"http://{host}:{port}")
                await api.request(method, "/v1/customers", body=b'{"name":"Ada"}' if method == "POST" else None)
        finally:
            IN_TIME.reset(asked)
            await listener.left.wait()


async def test_a_write_that_is_too_late_sends_no_byte_and_says_that_nothing_was_sent() -> None:
    listener = Listener()
    with pytest.raises(UnreachableError, match="too late"):
        await ask(listener, lambda: False)
    assert listener.heard == b""


@pytest.mark.parametrize("in_time", [None, lambda: True])
async def test_a_write_in_time_is_sent_with_its_content_type(in_time: Callable[[], bool] | None) -> None:
    listener = Listener()
    await ask(listener, in_time)
    head, _, body = listener.heard.partition(b"\r\n\r\n")
    assert body == b'{"name":"Ada"}'
    assert head.lower().count(b"content-type: application/json") == 1
    assert b"content-length: 14" in head.lower()


async def test_reads_are_never_too_late() -> None:
    listener = Listener()
    await ask(listener, lambda: False, method="GET")
    assert listener.heard.startswith(b"GET /v1/customers")
