"""JSON over HTTP to a billing platform's API: answers sorted into our errors, reads tried again in passing."""

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import orjson
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from connectors.base import Host
from connectors.errors import (
    AddressRefusedError,
    AuthenticationError,
    ConnectorError,
    EdgeBlockedError,
    PauseError,
    RejectedError,
)
from connectors.http import JsonApi, Reply
from gateway.errors import GatewayError, SourceAuthenticationError, SourceRejectedError, SourceUnavailableError

__all__ = ["PlatformApi"]


class PlatformApi:
    """One platform's API behind one key. 404 is an answer (None), never an error of the transport."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, *, headers: Mapping[str, str], user_agent: str
    ) -> None:
        host = Host(connection="", session=session, user_agent=user_agent)
        self._api = JsonApi(host, base_url, headers=headers, read_tries=1)

    async def get(self, path: str, **query: str) -> Any | None:
        """Read JSON, or None for 404. Raises GatewayError kinds."""
        return await self._get(path, query, Reply.json)

    async def get_exact(self, path: str, **query: str) -> Any | None:
        """Read JSON that holds money: fractions come as decimals. None for 404. Raises GatewayError kinds."""
        return await self._get(path, query, Reply.exact_json)

    async def _get(self, path: str, query: Mapping[str, str], read: Callable[[Reply], Any]) -> Any | None:
        try:
            return await self._ask("GET", path, None, query, read)
        except SourceUnavailableError as error:
            failed: SourceUnavailableError | None = error
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(2),
            wait=wait_random_exponential(multiplier=0.2, max=1.0),
            retry=retry_if_exception_type(SourceUnavailableError),
            reraise=True,
        ):
            with attempt:
                if failed is not None:  # the try that was made above is the first
                    told, failed = failed, None
                    raise told
                return await self._ask("GET", path, None, query, read)
        msg = "tenacity ends with an answer or raises"
        raise AssertionError(msg)

    async def send(self, method: str, path: str, body: Mapping[str, Any], **query: str) -> Any | None:
        """Send JSON once and return the decoded answer, or None where nothing takes it. Raises GatewayError kinds."""
        return await self._ask(method, path, orjson.dumps(body), query)

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None,
        query: Mapping[str, str],
        read: Callable[[Reply], Any] = Reply.json,
    ) -> Any | None:
        try:
            taken = _is_not_found if body is None else _takes_nothing
            reply = await self._api.request(method, path, query=query, body=body, accept_error=taken)
            if reply.status >= 400:
                return None
            # A write may be answered with nothing.
            return {} if body is not None and not reply.body.strip() else read(reply)
        except ConnectorError as error:
            raise _as_source_error(error) from error


def _is_not_found(reply: Reply) -> bool:
    return reply.status == 404 and reply.is_json


def _takes_nothing(reply: Reply) -> bool:
    return reply.status in {404, 405}


def _as_source_error(error: ConnectorError) -> GatewayError:
    detail = error.detail
    if isinstance(error, AddressRefusedError):
        return SourceUnavailableError(detail)
    if isinstance(error, AuthenticationError | PauseError):
        return SourceAuthenticationError(detail)
    if isinstance(error, EdgeBlockedError):
        return SourceUnavailableError(f"{detail}: blocked before the API")
    if isinstance(error, RejectedError):
        if detail in ("HTTP 404", "HTTP 501", "HTTP 405"):
            return SourceUnavailableError(f"{detail}: check `api_url`")
        return SourceRejectedError(detail)
    return SourceUnavailableError(detail, retry_after=error.retry_after)
