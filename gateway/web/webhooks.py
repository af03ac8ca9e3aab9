"""The door: read a bounded body within a deadline, verify it over its raw bytes, store it, and only then answer."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import perf_counter

import orjson
from aiohttp import StreamReader, hdrs, web

from gateway.errors import (
    GatewayError,
    MalformedRequestError,
    MethodNotAllowedError,
    PayloadTooLargeError,
    SignatureInvalidError,
    SourceUnknownError,
)
from gateway.metrics import Metrics
from gateway.quarantine import Quarantine
from gateway.registry import LiveSource, Registry
from gateway.sources.signing import Headers, RefusalReason, SignatureRefusedError
from gateway.tracing import Tracing
from gateway.web import problems
from gateway.web.reading import require_plain
from storage import Store
from storage.errors import StorageError
from storage.ids import new_id
from storage.records import NewDelivery

PREFIX = "/webhooks/"
READ_SECONDS = 10.0
HIDDEN_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key")
HIDDEN = "[redacted]"
_JSON = "application/json"


class Door:
    """Receives webhooks. Every refusal is decided before anything is parsed; no input gives a 5xx."""

    def __init__(
        self,
        *,
        registry: Registry,
        store: Store,
        quarantine: Quarantine,
        metrics: Metrics,
        now: Callable[[], datetime],
        max_body_bytes: int,
        wake: Callable[[], None],
        tracing: Tracing | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._registry, self._store, self._quarantine, self._metrics = registry, store, quarantine, metrics
        self._now, self._wake, self._tracing = now, wake, tracing
        self.max_body_bytes, self.read_seconds = max_body_bytes, read_seconds

    async def receive(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request whose raw path begins with `/webhooks/`."""
        return await self._answer(request, request.raw_path[len(PREFIX) :].partition("?")[0])

    async def receive_routed(self, request: web.Request) -> web.StreamResponse:
        """Answer a request that came by the router: its target is absolute, or percent-encoded."""
        return await self._answer(request, request.match_info["source"])

    def source(self, name: str) -> LiveSource | None:
        """Return a source that takes webhooks now."""
        live = self._registry.sources.get(name)
        return live if live is not None and live.verifier is not None and live.row.status == "active" else None

    def take_in(self, live: LiveSource, headers: Headers, body: bytes) -> Awaitable[tuple[str, bool]]:
        """Verify a delivery, and hand it to the store: what is returned ends once it is on disk.

        Raises SignatureRefusedError, SourceUnknownError, StorageError kinds.
        """
        if live.verifier is None:
            raise SourceUnknownError
        now, row = self._now(), live.row
        verified = live.verifier.verify(headers, body, now=now.timestamp())
        if live.keep is not None:
            body = live.keep(body)
        return self._store.add_delivery(
            NewDelivery(
                delivery_id=new_id("dlv", now), source=row.name, tenant_id=row.tenant_id,
                environment_id=row.environment_id, delivery_key=verified.delivery_key, received_at=now,
                headers=kept_headers(headers, live.header), body=body, scheme=verified.scheme,
                secret_index=verified.secret_index,
            )
        )  # fmt: skip

    @staticmethod
    def acknowledgement(stored: tuple[str, bool]) -> tuple[int, bytes]:
        """Return status and body of the answer to a stored delivery."""
        delivery_id, duplicate = stored
        if duplicate:
            return 200, b'{"delivery_id":"%b","duplicate":true}' % delivery_id.encode()
        return 202, b'{"delivery_id":"%b","duplicate":false}' % delivery_id.encode()

    def acknowledged(self, live: LiveSource, stored: tuple[str, bool], *, began: float) -> None:
        """Count an answered delivery that was there whole at `began` (perf_counter), and wake who works it off."""
        delivery_id, duplicate = stored
        self._wake()
        self._quarantine.accepted(live.row.name, self._now())
        seconds = perf_counter() - began
        self._metrics.door.accepted(live.row.name, duplicate=duplicate, seconds=seconds)
        if self._tracing is not None:
            self._tracing.received(
                delivery_id, source=live.row.name, duplicate=duplicate, status=200 if duplicate else 202,
                at=self._now(), seconds=seconds,
            )  # fmt: skip

    def refused(self, live: LiveSource, error: BaseException, headers: Headers, body: bytes) -> web.Response:
        """Count and note a refusal; return what to answer."""
        if isinstance(error, StorageError):
            self._metrics.door.rejected(live.row.name, error.code)
            return self._refuse(error)
        told: BaseException = error
        reason = "malformed_request"
        if isinstance(error, SignatureRefusedError):
            reason = error.reason
            repeated = error.reason is RefusalReason.HEADER_REPEATED
            told = MalformedRequestError("a signature header is repeated") if repeated else SignatureInvalidError()
        elif isinstance(error, GatewayError):
            reason = error.code
        self._metrics.door.rejected(live.row.name, reason)
        self._quarantine.refused(live.row.name, reason, headers=headers.items(), body=body, at=self._now())
        return self._refuse(told)

    async def _answer(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if request.method != hdrs.METH_POST:
            return self._refuse(MethodNotAllowedError(), headers={"Allow": "POST"})
        live = self.source(name)
        if live is None:
            self._metrics.door.rejected("unknown", "source_unknown")
            return self._refuse(SourceUnknownError())
        body = b""
        try:
            body = await self._read(request)
            began = perf_counter()
            stored = await self.take_in(live, request.headers, body)
        except (SignatureRefusedError, GatewayError, StorageError) as error:
            return self.refused(live, error, request.headers, body)
        self.acknowledged(live, stored, began=began)
        status, text = self.acknowledgement(stored)
        return web.Response(status=status, body=text, content_type=_JSON)

    async def _read(self, request: web.BaseRequest) -> bytes:
        """Return the raw body. Raises MalformedRequestError, PayloadTooLargeError."""
        headers = request.headers
        require_plain(request)
        length = request.content_length
        if length is not None and length > self.max_body_bytes:
            raise PayloadTooLargeError
        content = request.content
        try:
            if content.is_eof():
                body = await content.read(self.max_body_bytes + 1)
            else:
                if headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
                    request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                async with asyncio.timeout(self.read_seconds):
                    body = await self._read_slowly(content)
        except TimeoutError:
            msg = "the body did not arrive in time"
            raise MalformedRequestError(msg) from None
        except (web.RequestPayloadError, asyncio.IncompleteReadError) as error:
            msg = "the body is cut or wrongly encoded"
            raise MalformedRequestError(msg) from error
        if len(body) > self.max_body_bytes:
            raise PayloadTooLargeError
        return body

    async def _read_slowly(self, content: StreamReader) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            part = await content.readany()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > self.max_body_bytes:
                raise PayloadTooLargeError

    @staticmethod
    def _refuse(error: BaseException, *, headers: dict[str, str] | None = None) -> web.Response:
        refused = problems.answer(error, headers=headers)
        if not isinstance(error, SignatureInvalidError):
            refused.force_close()  # whatever is left of the body is not read
        return refused


def kept_headers(headers: Headers, secret: str | None) -> bytes:
    """Return the headers as JSON pairs, in their order, without what is secret."""
    pairs = list(headers.items())
    names = (*HIDDEN_HEADERS, secret.lower()) if secret else HIDDEN_HEADERS
    for hidden in names:
        if hidden in headers:
            pairs = [(name, HIDDEN if name.lower() in names else value) for name, value in pairs]
            break
    try:
        return orjson.dumps(pairs)
    except TypeError:  # a header that is not UTF-8
        return orjson.dumps([[part.encode("utf-8", "backslashreplace").decode() for part in pair] for pair in pairs])
