"""JSON over HTTP for connectors: one request, its outcome sorted into our errors, a record of it for the attempt."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDictProxy
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from yarl import URL

from connectors.base import Host
from connectors.errors import (
    AddressRefusedError,
    AuthenticationError,
    ConnectorError,
    EdgeBlockedError,
    PermissionRefusedError,
    ProviderError,
    RateLimitedError,
    RejectedError,
    UnexpectedResponseError,
    UnreachableError,
)
from connectors.sending import IN_TIME, TimelyBody, send_once
from connectors.shapes import MAX_BYTES, shape_of, shape_of_query

MAX_ANSWER_BYTES = 8 * 1024 * 1024
READS = frozenset({"GET", "HEAD"})


class AddressNotAllowedError(OSError):
    """Raised by the gateway's session for an address that the installation does not allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer, without secrets and personal data, as kept with the attempt.

    `connection` is whose request it was; empty for one to the billing platform.
    """

    method: str
    url: str
    status: int | None
    milliseconds: float
    request_id: str | None = None
    error: str | None = None
    connection: str = ""
    sent: Any = None
    """The shapes of query and body (connectors/shapes.py), in an exchange that is told whole."""
    answered: Any = None
    """The shape of the answer's body."""
    _begun: float = field(default=0.0, repr=False, compare=False)
    """When it was sent, by perf_counter; kept in memory only."""
    _bodies: tuple[URL, bytes | int | None, bytes | int | None] | None = field(default=None, repr=False, compare=False)
    """What the shapes are made of; kept in memory only, while the attempt runs."""

    @property
    def begun(self) -> float:
        """Return when it was sent, by perf_counter, while its attempt runs."""
        return self._begun

    def whole(self) -> "Exchange":
        """Return it with the shapes of what was sent and answered."""
        if self._bodies is None:
            return self
        url, body, answer = self._bodies
        sent = {
            **({"query": shape_of_query(url.query)} if url.raw_query_string else {}),
            **({"body": shape_of(body)} if body else {}),
        }
        told = shape_of(answer) if answer else None
        return replace(self, sent=sent or None, answered=told, _bodies=None)


EXCHANGES: ContextVar[list[Exchange] | None] = ContextVar("exchanges", default=None)
"""The list into which the running attempt wants its exchanges; None outside of an attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, whatever its status. Its `repr` shows no body."""

    status: int
    headers: CIMultiDictProxy[str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_json(self) -> bool:
        """Whether the body looks like JSON: providers and proxies lie in Content-Type."""
        return self.body.lstrip()[:1] in (b"{", b"[")

    def json(self) -> Any:
        """Return the decoded body. Raises UnexpectedResponseError when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            msg = f"HTTP {self.status}: the body is not JSON"
            raise UnexpectedResponseError(msg) from error

    def exact_json(self) -> Any:
        """Return the decoded body with fractions as decimals, for money. Raises UnexpectedResponseError."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            msg = f"HTTP {self.status}: the body is not JSON"
            raise UnexpectedResponseError(msg) from error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a `Retry-After` header, at most a day; None when absent.

    A date counts from the answer's own `Date`, so that two clocks are never compared; without one it says nothing.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return min(float(text), 86_400.0)
    try:
        seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(seconds, 0.0), 86_400.0)


def classify(reply: Reply) -> ConnectorError | None:
    """Return the error that a status alone tells, None for 2xx. Connectors wrap it with what their bodies tell."""
    status = reply.status
    if 200 <= status < 300:
        return None
    detail, wait = f"HTTP {status}", retry_after(reply.headers)
    if status == 429:
        return RateLimitedError(detail, retry_after=wait)
    if status == 401:
        return AuthenticationError(detail)
    if status == 403:
        return PermissionRefusedError(detail) if reply.is_json else EdgeBlockedError(detail)
    if status >= 500 or status == 408:
        return ProviderError(detail, retry_after=wait)
    if 300 <= status < 400:
        return UnexpectedResponseError(f"{detail}: redirects are not followed")
    return RejectedError(detail)


class JsonApi:
    """A provider's API: base address, headers, and the rule that turns answers into errors.

    Every request goes through the connection's limiter, has a total deadline, follows no redirect, and is noted in
    `EXCHANGES`. Reads are tried up to `read_tries` times inside one attempt when they fail in passing; writes never.
    """

    def __init__(
        self,
        host: Host,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        classify: Callable[[Reply], ConnectorError | None] = classify,
        request_id_header: str | None = None,
        timeout: float = 30.0,
        read_tries: int = 2,
    ) -> None:
        self._host = host
        self._base = base_url.rstrip("/")
        self._headers = {"User-Agent": host.user_agent, "Accept": "application/json", **(headers or {})}
        self._classify = classify
        self._request_id_header = request_id_header
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(10.0, timeout))
        self._read_tries = read_tries

    async def get(self, path: str, **query: str) -> Any:
        """Read JSON. Raises ConnectorError kinds."""
        return (await self.request("GET", path, query=query)).json()

    async def post(self, path: str, body: Mapping[str, Any], **query: str) -> Any:
        """Send JSON once and return the decoded answer. Raises ConnectorError kinds."""
        return (await self.request("POST", path, body=orjson.dumps(body), query=query)).json()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accept_error: Callable[[Reply], bool] | None = None,
        classify: Callable[[Reply], ConnectorError | None] | None = None,
    ) -> Reply:
        """Send one request and return the answer. Raises what `classify` says, unless `accept_error` takes the answer.

        `classify` here sorts this one answer, for a rule that must know what was sent (to keep it out of the text).
        `path` is appended to the base address as it is: callers percent-encode what they put in.
        """
        url = URL(self._base + path, encoded=True)
        if query:
            url = url.update_query(query)
        sending = partial(
            self._try, method, url, body, headers, accept_error=accept_error, classify=classify or self._classify
        )
        try:
            return await sending()
        except (ProviderError, UnreachableError) as error:
            if method not in READS or not _passing(error):
                raise
            failed: ConnectorError | None = error
        # From here on only: to ask tenacity before a first try costs as much as a third of the request.
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(self._read_tries),
            wait=wait_random_exponential(multiplier=0.2, max=1.0),
            retry=retry_if_exception(_passing),
            sleep=self._host.sleep,
            reraise=True,
        ):
            with attempt:
                if failed is not None:  # the try that was made above is the first
                    told, failed = failed, None
                    raise told
                return await sending()
        msg = "tenacity ends with an answer or raises"
        raise AssertionError(msg)

    async def _try(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        *,
        accept_error: Callable[[Reply], bool] | None,
        classify: Callable[[Reply], ConnectorError | None],
    ) -> Reply:
        reply = await self._send(method, url, body, headers)
        if accept_error is not None and accept_error(reply):
            return reply
        error = classify(reply)
        if error is None:
            return reply
        if isinstance(error, RateLimitedError):
            self._host.limiter.hold(error.retry_after or 1.0)
        if error.provider_request_id is None and self._request_id_header:
            error.provider_request_id = reply.headers.get(self._request_id_header)
        raise error

    async def _send(self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str] | None) -> Reply:
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        status, request_id, failure, content = None, None, None, None
        in_time = IN_TIME.get() if body is not None else None
        data = body if body is None or in_time is None else TimelyBody(body, in_time)
        async with self._host.limiter.slot():
            begun = time.perf_counter()
            try:
                async with self._host.session.request(
                    method,
                    url,
                    data=data,
                    headers=sent,
                    timeout=self._timeout,
                    allow_redirects=False,
                    middlewares=() if method in READS else (send_once,),
                ) as answer:
                    status = answer.status
                    request_id = answer.headers.get(self._request_id_header) if self._request_id_header else None
                    content = await _read(answer.content)
                    if len(content) > MAX_ANSWER_BYTES:
                        msg = f"the answer is larger than {MAX_ANSWER_BYTES} bytes"
                        raise UnexpectedResponseError(msg)
                    return Reply(status=status, headers=answer.headers, body=content)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                held_back = isinstance(data, TimelyBody) and data.held_back
                sorted_error = UnreachableError("too late to be sent") if held_back else transport_error(error)
                failure = sorted_error.code
                raise sorted_error from error
            finally:
                note(
                    method,
                    url,
                    status=status,
                    begun=begun,
                    request_id=request_id,
                    error=failure,
                    connection=self._host.connection,
                    body=body,
                    answer=content,
                )


def note(
    method: str,
    url: URL,
    *,
    status: int | None,
    begun: float,
    request_id: str | None,
    error: str | None,
    connection: str = "",
    body: bytes | None = None,
    answer: bytes | None = None,
) -> None:
    """Keep an exchange for the running attempt. Query and bodies may hold personal data: see `Exchange.whole`."""
    exchanges = EXCHANGES.get()
    if exchanges is not None and len(exchanges) < 100:
        plain = not (url.raw_query_string or url.raw_fragment or url.raw_user)
        where = str(url if plain else url.with_query(None).with_fragment(None).with_user(None))
        taken = round((time.perf_counter() - begun) * 1000, 2)
        exchanges.append(
            Exchange(
                method=method, url=where, status=status, milliseconds=taken, request_id=request_id, error=error,
                connection=connection, _begun=begun, _bodies=(url, _small(body), _small(answer)),
            )
        )  # fmt: skip


async def _read(stream: aiohttp.StreamReader) -> bytes:
    """Return a body, or more than `MAX_ANSWER_BYTES` of one that is too large."""
    content = await stream.read(MAX_ANSWER_BYTES + 1)
    while len(content) <= MAX_ANSWER_BYTES and not stream.at_eof():
        content += await stream.read(MAX_ANSWER_BYTES)
    return content


def _small(body: bytes | None) -> bytes | int | None:
    """Return a body that is worth being kept for its shape; of a large one its size."""
    return body if body is None or len(body) <= MAX_BYTES else len(body)


def transport_error(error: BaseException) -> ConnectorError:
    """Sort what the HTTP client raised: nothing was sent (unreachable), or perhaps it was (provider error)."""
    os_error = getattr(error, "os_error", error)
    if isinstance(os_error, AddressNotAllowedError) or isinstance(error.__cause__, AddressNotAllowedError):
        return AddressRefusedError("loopback, private and link-local addresses are not allowed here")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL):
        return UnreachableError(_reason(os_error))
    if isinstance(error, ssl.SSLError | socket.gaierror | ConnectionRefusedError):
        return UnreachableError(_reason(error))
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return ProviderError("no answer within the deadline")
    return ProviderError(f"the connection was lost ({type(error).__name__})")


def _reason(error: object) -> str:
    return type(error).__name__


def _passing(error: BaseException) -> bool:
    """Whether a read is worth another try at once: not throttling, not refusals."""
    return isinstance(error, ProviderError | UnreachableError) and not isinstance(error, UnexpectedResponseError)
