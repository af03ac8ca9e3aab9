"""What the tests of the simulators share: a clock that stands still until it is moved, and one request."""

import datetime as dt
from typing import Any

import aiohttp

START = dt.datetime(2026, 11, 20, 8, 30, tzinfo=dt.UTC)


class Clock:
    """Unix time that moves only when a test says so."""

    def __init__(self) -> None:
        self.now = START.timestamp()

    def __call__(self) -> float:
        return self.now


async def ask(client: aiohttp.ClientSession, method: str, path: str, **options: Any) -> tuple[int, Any]:
    """Return the status and the body of one request, decoded where it says that it is JSON."""
    async with client.request(method, path, **options) as answer:
        return answer.status, await answer.json() if answer.content_type == "application/json" else await answer.text()
