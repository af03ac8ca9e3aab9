"""The short way of plain webhooks: it answers as aiohttp's way does, in order, and hands over whatever is unusual."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.sources.signing import new_secret, sign
from gateway.web import shortcut
from gateway.web.shortcut import read_head
from tests.harness import SOURCE, Rig

BODY = b'{"event_type":"customer.created","customer":{"id":"cust_1"}}'
PLAIN = ""
WHOLE = "Connection: keep-alive\r\n"
"""A field that means nothing in HTTP/1.1, and sends a request to aiohttp."""


def request(
    rig: Rig, message_id: str, *, fields: str = PLAIN, body: bytes = BODY, secret: str = "", at: int = 0, **changed: Any
) -> bytes:
    """Return the bytes of a signed webhook."""
    signature = sign(
        secret or rig.secret, message_id=message_id, timestamp=int(time.time()) + at, body=body, scheme="svix"
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in signature.items())
    target, length = changed.get("target", f"/webhooks/{SOURCE}"), changed.get("length", len(body))
    head = f"POST {target} HTTP/1.1\r\nHost: gateway\r\n{fields}{lines}Content-Length: {length}\r\n\r\n"
    return head.encode() + body


class Line:
    """An open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Read one answer: status, headers, body."""
        async with asyncio.timeout(20):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await self.reader.readexactly(int(fields["content-length"]))
        return int(head[0].split(" ")[1]), fields, json.loads(body)

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Send, and read the answer."""
        self.writer.write(data)
        return await self.answer()


Dial = Callable[[], Awaitable[Line]]


@pytest.fixture
async def dial(rig: Rig) -> AsyncIterator[Dial]:
    """Opens connections to the gateway."""
    opened: list[Line] = []

    async def open_one() -> Line:
        opened.append(Line(*await asyncio.open_connection("127.0.0.1", rig.gateway.port)))
        return opened[-1]

    yield open_one
    for one in opened:
        one.writer.close()
        with contextlib.suppress(OSError):
            await one.writer.wait_closed()


async def test_both_ways_give_the_same_answers(rig: Rig, dial: Dial) -> None:
    """New, repeated, forged, stale, of a repeated header, of an unknown source, too long for the short way."""
    await rig.add_flexprice()
    big = b'{"event_type":"wallet.created","x":"' + b"x" * 300_000 + b'"}'
    twice = "svix-id: another\r\n"
    answers = []
    for way in (PLAIN, WHOLE):
        asked = [
            request(rig, f"new{way.strip()}", fields=way),
            request(rig, f"new{way.strip()}", fields=way),
            request(rig, "forged", fields=way, secret=new_secret()),
            request(rig, "stale", fields=way, at=-400),
            request(rig, "twice", fields=way + twice),
            request(rig, "unknown", fields=way, target="/webhooks/nobody"),
            request(rig, f"big{way.strip()}", fields=way, body=big),
            request(rig, f"empty{way.strip()}", fields=way, body=b""),
        ]
        got = []
        for data in asked:
            status, fields, body = await (await dial()).ask(data)
            body.pop("delivery_id", None)
            got.append((status, fields["content-type"].partition(";")[0], body, "date" in fields))
        answers.append(got)
    assert answers[0] == answers[1]
    assert [status for status, *_ in answers[0]] == [202, 200, 401, 401, 400, 404, 202, 202]


async def test_what_is_stored_is_the_same_byte_for_byte(rig: Rig, dial: Dial) -> None:
    """Headers in their order and letters, and the body."""
    await rig.add_flexprice()
    kept: list[tuple[list[list[str]], bytes | None]] = []
    for way in ("X-First:  a b \r\nCookie: secret\r\nX-Empty:\r\n", "X-First: a b\r\nCookie: secret\r\nX-Empty: \r\n"):
        fields = way + (WHOLE if kept else PLAIN)
        _, _, answer = await (await dial()).ask(request(rig, f"msg_{len(kept)}", fields=fields))
        stored = await rig.store.get_delivery(answer["delivery_id"])
        headers = [
            pair for pair in json.loads(stored.headers or b"") if not pair[0].startswith(("svix-", "Connection"))
        ]
        kept.append((headers, stored.body))
    assert kept[0] == kept[1]
    assert kept[0][0][:4] == [["Host", "gateway"], ["X-First", "a b"], ["Cookie", "[redacted]"], ["X-Empty", ""]]


async def test_requests_sent_at_once_are_answered_in_their_order(rig: Rig, dial: Dial) -> None:
    """Pipelined: plain ones, one for aiohttp among them, and another resource."""
    await rig.add_flexprice()
    opened = await dial()
    ids = [f"msg_{n}" for n in range(12)]
    sent = [request(rig, one, fields=WHOLE if n >= 8 else PLAIN) for n, one in enumerate(ids)]
    opened.writer.write(b"".join(sent) + b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
    answers = [await opened.answer() for _ in ids]
    told = [(await rig.store.get_delivery(body["delivery_id"])).delivery_key for _, _, body in answers]
    assert told == ids
    assert (await opened.answer())[2] == {"status": "ok"}


@pytest.mark.parametrize("step", [1, 7, 100])
async def test_it_does_not_matter_how_the_bytes_arrive(rig: Rig, dial: Dial, step: int) -> None:
    """In pieces of any size, over one connection, plain and unusual ones in turn."""
    await rig.add_flexprice()
    opened = await dial()
    data = request(rig, "msg_a") + request(rig, "msg_b") + request(rig, "msg_c", fields=WHOLE)
    for at in range(0, len(data), step):
        opened.writer.write(data[at : at + step])
        await opened.writer.drain()
        await asyncio.sleep(0)
    assert [(await opened.answer())[0] for _ in range(3)] == [202, 202, 202]


async def test_a_sender_that_says_no_more_still_gets_its_answer(rig: Rig, dial: Dial) -> None:
    """It has closed its half of the connection after the request."""
    await rig.add_flexprice()
    opened = await dial()
    opened.writer.write(request(rig, "msg_last"))
    opened.writer.write_eof()
    assert (await opened.answer())[0] == 202
    assert await opened.reader.read() == b""


@pytest.mark.parametrize(
    "begun",
    [b"POST /webhooks/", f"POST /webhooks/{SOURCE} HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\n12345".encode()],
    ids=["in the head", "in the body"],
)
async def test_a_sender_that_never_ends_is_cut(
    rig: Rig, dial: Dial, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """400 once the deadline has passed, and the connection is closed."""
    await rig.add_flexprice()
    door = rig.gateway._door
    assert door is not None
    monkeypatch.setattr(door, "read_seconds", 0.3)
    opened = await dial()
    status, fields, body = await opened.ask(begun)
    assert (status, body["code"], fields["connection"]) == (400, "malformed_request", "close")
    assert await opened.reader.read() == b""


async def test_an_idle_connection_is_closed_and_a_used_one_is_not(
    rig: Rig, dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that never said anything."""
    await rig.add_flexprice()
    monkeypatch.setattr(shortcut, "IDLE_SECONDS", 1.0)
    silent, used = await dial(), await dial()
    begun = time.monotonic()
    while time.monotonic() - begun < 2.5:
        assert (await used.ask(request(rig, f"msg_{time.monotonic()}")))[0] == 202
        await asyncio.sleep(0.2)
    assert await silent.reader.read() == b""
    assert (await used.ask(request(rig, "msg_more")))[0] == 202


async def test_what_is_being_stored_at_the_stop_is_answered_first(rig: Rig, dial: Dial) -> None:
    """And connections in keep-alive do not hold the stop up."""
    await rig.add_flexprice()
    waiting, asking = await dial(), [await dial() for _ in range(20)]
    assert (await waiting.ask(request(rig, "msg_before")))[0] == 202
    for n, one in enumerate(asking):
        one.writer.write(request(rig, f"msg_{n}"))
    answers = [asyncio.create_task(one.answer()) for one in asking]
    await answers[0]
    await rig.stop_nodes()
    done = await asyncio.gather(*answers, return_exceptions=True)
    assert {got[0] for got in done if not isinstance(got, BaseException)} == {202}
    assert all(isinstance(got, asyncio.IncompleteReadError) for got in done if isinstance(got, BaseException))


def asked_of_aiohttp(data: bytes) -> tuple[str, list[tuple[str, str]], bytes] | None:
    """Return target, headers and body as aiohttp reads them; None when it refuses or wants more."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(
            BaseProtocol(loop), loop, 2**16, max_line_size=8190, max_headers=128, max_field_size=16 * 1024
        )
        messages, _, _ = parser.feed_data(data)
        if not messages:
            return None
        message, payload = messages[0]
        body = b"".join(payload._buffer)
        return message.path, list(message.headers.items()), body
    except HttpProcessingError:
        return None
    finally:
        loop.close()


_FIELD = st.one_of(
    st.sampled_from(
        ["Host: g", "host:g", "X: y", "X : y", " folded: y", "X:\ty \t", "A;B: c", "X: \x7f", "X: \x0b", "x: é", ": y",
         "Content-Length: 3", "content-length: 03", "Content-Length: +3", "Content-Length: 3, 3", "Content-Length: 999",
         "Transfer-Encoding: chunked", "Connection: close", "Expect: 100-continue", "Content-Encoding: gzip",
         "Upgrade: websocket", "Transfer-Encoding : chunked"]
    ),
    st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=12),
)  # fmt: skip
_LINE = st.sampled_from(
    ["POST /webhooks/a HTTP/1.1", "POST /webhooks/a HTTP/1.0", "GET /webhooks/a HTTP/1.1", "POST  /webhooks/a HTTP/1.1",
     "POST /webhooks/a?b HTTP/1.1", "POST /webhooks/%61 HTTP/1.1", "POST /webhooks/a HTTP/1.1 ",
     "POST /webhooks/ HTTP/1.1"]
)  # fmt: skip


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(first=_LINE, fields=st.lists(_FIELD, max_size=6), end=st.sampled_from(["\r\n", "\n"]))
def test_what_is_recognized_means_the_same_to_aiohttp(first: str, fields: list[str], end: str) -> None:
    """Whatever the short way takes, aiohttp would have read the same name, headers and body out of it."""
    head = end.join([first, "Host: g", *fields, "Content-Length: 3"] if len(fields) % 2 else [first, *fields])
    data = (head + end + end).encode("latin-1") + b"abc"
    found = read_head(data)
    if found is None:
        return
    name, headers, begin, stop = found
    theirs = asked_of_aiohttp(data)
    assert theirs is not None
    target, their_headers, their_body = theirs
    assert target == f"/webhooks/{name}"
    assert [(k, v) for k, v in headers.items()] == [(str(k), v) for k, v in their_headers]
    assert stop - begin <= 3 or len(data) < stop
    if len(data) >= stop:
        assert data[begin:stop] == their_body


def test_a_plain_request_is_recognized() -> None:
    """The test above would pass if nothing ever were."""
    data = b"POST /webhooks/a-b_1 HTTP/1.1\r\nHost: g\r\nX: y\r\nContent-Length: 3\r\n\r\nabc"
    found = read_head(data)
    assert found is not None
    name, headers, begin, end = found
    assert (name, dict(headers), data[begin:end]) == ("a-b_1", {"Host": "g", "X": "y", "Content-Length": "3"}, b"abc")
