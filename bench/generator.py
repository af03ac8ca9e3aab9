"""Our own load generator: keep-alive connections, one request in flight on each, an exact count, latencies by kind."""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import uvloop

from bench.deliveries import Request, read
from bench.figures import percentile

MAX_SECONDS = 60.0


@dataclass(slots=True)
class Load:
    """What came of a load. Milliseconds from the first byte written to the last byte read; only of 2xx and 401."""

    requests: int = 0
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    good_p99_ms: float = 0.0
    """p99 of those with a right signature."""
    statuses: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    engine: str = "python"

    @property
    def per_second(self) -> float:
        """Return the answers a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def unexpected(self, *, forged: int = 0) -> int:
        """Return how many answers were neither 2xx nor, for the forged ones, 401; lost connections included."""
        good = sum(count for status, count in self.statuses.items() if status.startswith("2"))
        refused = min(self.statuses.get("401", 0), forged)
        return sum(self.statuses.values()) - good - refused + self.errors


class Sending:
    """What all connections of one load share."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self.waiting = deque(requests)
        self.taken: list[tuple[float, bool]] = []
        self.statuses: Counter[str] = Counter()
        self.errors = 0
        self.open = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Connection(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last one is there."""

    def __init__(self, shared: Sending) -> None:
        self._shared = shared
        self._transport: asyncio.WriteTransport | None = None
        self._sent: Request | None = None
        self._began = 0.0
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are of no such class
        self._shared.open += 1
        self._next()

    def data_received(self, data: bytes) -> None:
        """Read an answer; bodies without a length are not understood, and none of ours are."""
        got = self._got = self._got + data if self._got else data
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = got[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(got) < end + 4 + length or self._sent is None:
            return
        shared = self._shared
        shared.taken.append((time.perf_counter() - self._began, self._sent.forged))
        shared.statuses[got[9:12].decode()] += 1
        self._got, self._sent = b"", None
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Count what was cut before its answer."""
        shared = self._shared
        shared.open -= 1
        shared.errors += self._sent is not None
        if shared.open == 0 and not shared.done.done():
            shared.done.set_result(None)

    def _next(self) -> None:
        if self._transport is None:
            return
        if not self._shared.waiting:
            self._transport.close()
            return
        self._sent = self._shared.waiting.popleft()
        self._began = time.perf_counter()
        self._transport.write(self._sent.raw)


async def send(requests: Iterable[Request], *, port: int, connections: int, most_seconds: float = MAX_SECONDS) -> Load:
    """Send all requests over so many connections to a loopback port, and return what came of it."""
    shared = Sending(requests)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    opened = await asyncio.gather(
        *(loop.create_connection(lambda: Connection(shared), "127.0.0.1", port) for _ in range(connections)),
        return_exceptions=True,
    )
    shared.errors += sum(isinstance(one, BaseException) for one in opened)
    try:
        async with asyncio.timeout(most_seconds):
            if shared.open:
                await shared.done
    except TimeoutError:
        shared.errors += shared.open
        for one in opened:
            if not isinstance(one, BaseException):
                one[0].abort()
    return _summary(shared, time.perf_counter() - began)


def _summary(shared: Sending, seconds: float) -> Load:
    every = sorted(taken for taken, _ in shared.taken)
    good = sorted(taken for taken, forged in shared.taken if not forged)
    return Load(
        requests=len(every), seconds=seconds, p50_ms=percentile(every, 0.5) * 1000,
        p99_ms=percentile(every, 0.99) * 1000, max_ms=(every[-1] if every else 0.0) * 1000,
        good_p99_ms=percentile(good, 0.99) * 1000, statuses=dict(shared.statuses), errors=shared.errors,
    )  # fmt: skip


def main() -> int:
    """Send what two files say, as `deliveries.write` has made them; print the load as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("index", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    asked = parser.parse_args()
    requests = read(asked.data, asked.index)
    gc.disable()
    load = uvloop.run(send(requests, port=asked.port, connections=asked.connections))
    json.dump(asdict(load), sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
