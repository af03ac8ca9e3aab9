"""JSON over HTTP for connectors: one request, its outcome sorted into our errors, a record of it for the attempt."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import aiohttp
import orjson
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential
from yarl import URL

from connectors.base import Host
from connectors.errors import ConnectorError, ProviderError, RateLimitedError, UnexpectedResponseError, UnreachableError
from connectors.exchanges import EXCHANGES, Exchange, note
from connectors.replies import Reply, classify, retry_after, transport_error
from connectors.sending import IN_TIME, TimelyBody, send_once

__all__ = ["EXCHANGES", "Exchange", "JsonApi", "Reply", "classify", "retry_after"]

MAX_ANSWER_BYTES = 8 * 1024 * 1024
READS = frozenset({"GET", "HEAD"})


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


async def _read(stream: aiohttp.StreamReader) -> bytes:
    """Return a body, or more than `MAX_ANSWER_BYTES` of one that is too large."""
    content = await stream.read(MAX_ANSWER_BYTES + 1)
    while len(content) <= MAX_ANSWER_BYTES and not stream.at_eof():
        content += await stream.read(MAX_ANSWER_BYTES)
    return content


def _passing(error: BaseException) -> bool:
    """Whether a read is worth another try at once: not throttling, not refusals."""
    return isinstance(error, ProviderError | UnreachableError) and not isinstance(error, UnexpectedResponseError)
