"""The sending side of webhooks: signs or adds a static header, posts, and tries again as Svix and Flexprice do."""

import asyncio
import random
import string
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp

from gateway.sandbox.shapes import (
    FINALIZED,
    Shape,
    customer_event,
    encode,
    invoice_event,
    payment_event,
    transaction_event,
)
from gateway.sources.signing import sign

__all__ = [
    "FINALIZED",
    "SVIX_SCHEDULE",
    "Attempt",
    "Mode",
    "Sent",
    "Shape",
    "Target",
    "WebhookSender",
    "customer_event",
    "encode",
    "invoice_event",
    "payment_event",
    "transaction_event",
]

SVIX_SCHEDULE = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
"""Seconds before each attempt of Svix: https://docs.svix.com/retries."""

_MAX_KEPT = 4096


class Mode(StrEnum):
    """How a delivery proves where it comes from."""

    SVIX = "svix"
    """Signed, under `svix-*` headers: Flexprice Cloud."""
    WEBHOOK = "webhook"
    """Signed, under `webhook-*` headers: Standard Webhooks, and Svix without its brand."""
    NATIVE = "native"
    """Not signed, no id, one static header: Flexprice as people host it themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where deliveries go. Its `repr` shows no secret."""

    url: str
    secrets: tuple[str, ...] = field(repr=False)
    """`whsec_…`, several of them while they are rotated (each signs); in native mode the value of `header`."""
    mode: Mode = Mode.SVIX
    header: str = "X-Api-Key"

    def headers(self, body: bytes, *, message_id: str, timestamp: int) -> dict[str, str]:
        """Return the headers of one attempt."""
        if self.mode is Mode.NATIVE:
            return {self.header: self.secrets[0], "User-Agent": "Go-http-client/1.1"}
        signed = [
            sign(secret, message_id=message_id, timestamp=timestamp, body=body, scheme=self.mode.value)
            for secret in self.secrets
        ]
        name = f"{self.mode.value}-signature"
        return {**signed[0], name: " ".join(headers[name] for headers in signed), "User-Agent": "Svix-Webhooks/1.81.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to deliver: `status` is None when no answer came, and then `error` says why."""

    timestamp: int
    status: int | None = None
    body: str = ""
    error: str = ""


@dataclass(slots=True, kw_only=True)
class Sent:
    """One message and what became of it."""

    message_id: str
    url: str
    body: bytes
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def status(self) -> int | None:
        """The status of the last attempt."""
        return self.attempts[-1].status if self.attempts else None

    @property
    def delivered(self) -> bool:
        """Whether the last attempt was answered with a 2xx."""
        return self.status is not None and 200 <= self.status < 300


class WebhookSender:
    """Posts messages until they are taken or the schedule is over, and keeps what became of each in `sent`.

    `schedule` has the seconds before each attempt. A `Retry-After` makes a wait longer, up to twice as long. `timeout`
    is in seconds; Flexprice Cloud promises 5. `clock` dates the signatures; `sleep` does the waiting.
    """

    def __init__(
        self,
        *,
        schedule: Sequence[float] = SVIX_SCHEDULE,
        timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not schedule:
            raise ValueError("a schedule has at least one attempt")
        self.sent: list[Sent] = []
        self.schedule = tuple(schedule)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - ids of made-up messages, not secrets
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Return itself; the connections open with the first message."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def new_message_id(self) -> str:
        """Return an id as Svix makes them."""
        alphabet = string.ascii_letters + string.digits
        return "msg_" + "".join(self._rng.choices(alphabet, k=27))

    async def send(
        self,
        target: Target,
        event: Mapping[str, Any] | bytes,
        *,
        message_id: str | None = None,
        tries: int | None = None,
    ) -> Sent:
        """Deliver one event to one target, and return what became of it; never raises for what the receiver does.

        An event as bytes is sent as it is. `message_id` is for a second delivery of the same message; retries keep
        theirs and are signed afresh. `tries` cuts the schedule short.
        """
        body = event if isinstance(event, bytes) else encode(dict(event), alphabetical=target.mode is not Mode.NATIVE)
        sent = Sent(message_id=message_id or self.new_message_id(), url=target.url, body=body)
        self.sent.append(sent)
        longer = 0.0
        for planned in self.schedule[:tries]:
            await self._sleep(min(max(planned, longer), 2 * planned))
            attempt, longer = await self._attempt(target, sent)
            sent.attempts.append(attempt)
            if sent.delivered:
                break
        return sent

    async def send_all(self, target: Target, events: Sequence[Mapping[str, Any] | bytes]) -> list[Sent]:
        """Deliver events side by side, in no order, and return what became of each."""
        return list(await asyncio.gather(*(self.send(target, event) for event in events)))

    async def _attempt(self, target: Target, sent: Sent) -> tuple[Attempt, float]:
        """Post once; return the attempt, and the seconds that a `Retry-After` asks for."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        timestamp = int(self._clock())
        headers = target.headers(sent.body, message_id=sent.message_id, timestamp=timestamp)
        headers["Content-Type"] = "application/json"
        try:
            async with self._session.post(target.url, data=sent.body, headers=headers, allow_redirects=False) as answer:
                text = (await answer.content.read(_MAX_KEPT)).decode(errors="replace")
                wait = answer.headers.get("Retry-After", "")
                attempt = Attempt(timestamp=timestamp, status=answer.status, body=text)
                return attempt, float(wait) if wait.isascii() and wait.isdigit() else 0.0
        except (aiohttp.ClientError, TimeoutError) as error:
            return Attempt(timestamp=timestamp, error=f"{type(error).__name__}: {error}"), 0.0
