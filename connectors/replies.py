"""Answers over HTTP, and what statuses and failures of the transport tell: our errors."""

import asyncio
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDictProxy

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


class AddressNotAllowedError(OSError):
    """Raised by the gateway's session for an address that the installation does not allow."""


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
