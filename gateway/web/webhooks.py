"""The door: read a bounded body within a deadline, verify it over its raw bytes, store it, and only then answer."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import orjson
from aiohttp import StreamReader, hdrs, web
from multidict import CIMultiDictProxy

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
from gateway.sources.signing import RefusalReason, SignatureRefusedError
from gateway.web import problems
from storage import Store
from storage.errors import StorageError
from storage.ids import new_id
from storage.records import NewDelivery

PREFIX = "/webhooks/"
READ_SECONDS = 10.0
HIDDEN_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
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
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._registry, self._store, self._quarantine, self._metrics = registry, store, quarantine, metrics
        self._now, self._max, self._wake, self._read_seconds = now, max_body_bytes, wake, read_seconds
        self._unsigned = {hdrs.CONTENT_ENCODING}

    async def receive(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request whose raw path begins with `/webhooks/`."""
        return await self._answer(request, request.raw_path[len(PREFIX) :].partition("?")[0])

    async def receive_routed(self, request: web.Request) -> web.StreamResponse:
        """Answer a request that came by the router: its target is absolute, or percent-encoded."""
        return await self._answer(request, request.match_info["source"])

    async def _answer(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        live = self._registry.sources.get(name)
        if request.method != hdrs.METH_POST:
            return self._refuse(MethodNotAllowedError(), headers={"Allow": "POST"})
        if live is None or live.verifier is None or live.row.status != "active":
            self._metrics.rejected.labels("unknown", "source_unknown").inc()
            return self._refuse(SourceUnknownError())
        body = b""
        try:
            body = await self._read(request)
            return await self._accept(live, request.headers, body)
        except SignatureRefusedError as refused:
            self._note(live, refused.reason, request, body)
            repeated = refused.reason is RefusalReason.HEADER_REPEATED
            error = MalformedRequestError("a signature header is repeated") if repeated else SignatureInvalidError()
            return self._refuse(error)
        except GatewayError as error:
            self._note(live, error.code, request, body)
            return self._refuse(error)
        except StorageError as error:
            self._metrics.rejected.labels(live.row.name, error.code).inc()
            return self._refuse(error)

    async def _accept(self, live: LiveSource, headers: CIMultiDictProxy[str], body: bytes) -> web.Response:
        now, row = self._now(), live.row
        verifier = live.verifier
        if verifier is None:
            raise SourceUnknownError
        verified = verifier.verify(headers, body, now=now.timestamp())
        delivery_id, duplicate = await self._store.add_delivery(
            NewDelivery(
                delivery_id=new_id("dlv", now), source=row.name, tenant_id=row.tenant_id,
                environment_id=row.environment_id, delivery_key=verified.delivery_key, received_at=now,
                headers=kept_headers(headers, live.header), body=body, scheme=verified.scheme,
                secret_index=verified.secret_index,
            )
        )  # fmt: skip
        self._wake()
        self._quarantine.accepted(row.name, now)
        self._metrics.accepted.labels(row.name, "true" if duplicate else "false").inc()
        self._metrics.ack_seconds.observe((self._now() - now).total_seconds())
        if duplicate:
            text = b'{"delivery_id":"%b","duplicate":true}' % delivery_id.encode()
            return web.Response(status=200, body=text, content_type=_JSON)
        text = b'{"delivery_id":"%b","duplicate":false}' % delivery_id.encode()
        return web.Response(status=202, body=text, content_type=_JSON)

    async def _read(self, request: web.BaseRequest) -> bytes:
        """Return the raw body. Raises MalformedRequestError, PayloadTooLargeError."""
        headers = request.headers
        if hdrs.CONTENT_ENCODING in headers and headers.getall(hdrs.CONTENT_ENCODING) != ["identity"]:
            msg = "Content-Encoding must be identity"
            raise MalformedRequestError(msg)
        length = request.content_length
        if length is not None and length > self._max:
            raise PayloadTooLargeError
        content = request.content
        try:
            if content.is_eof():
                body = await content.read(self._max + 1)
            else:
                if headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
                    request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                async with asyncio.timeout(self._read_seconds):
                    body = await self._read_slowly(content)
        except TimeoutError:
            msg = "the body did not arrive in time"
            raise MalformedRequestError(msg) from None
        except (web.RequestPayloadError, asyncio.IncompleteReadError) as error:
            msg = "the body is cut or wrongly encoded"
            raise MalformedRequestError(msg) from error
        if len(body) > self._max:
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
            if size > self._max:
                raise PayloadTooLargeError

    def _note(self, live: LiveSource, reason: str, request: web.BaseRequest, body: bytes) -> None:
        self._metrics.rejected.labels(live.row.name, reason).inc()
        self._quarantine.refused(live.row.name, reason, headers=request.headers.items(), body=body, at=self._now())

    @staticmethod
    def _refuse(error: BaseException, *, headers: dict[str, str] | None = None) -> web.Response:
        refused = problems.answer(error, headers=headers)
        if not isinstance(error, SignatureInvalidError):
            refused.force_close()  # whatever is left of the body is not read
        return refused


def kept_headers(headers: CIMultiDictProxy[str], secret: str | None) -> bytes:
    """Return the headers as JSON pairs, in their order, without what is secret."""
    hidden = secret.lower() if secret else ""
    pairs = [
        (name, HIDDEN if (low := name.lower()) in HIDDEN_HEADERS or low == hidden else value)
        for name, value in headers.items()
    ]
    try:
        return orjson.dumps(pairs)
    except TypeError:  # a header that is not UTF-8
        return orjson.dumps([[part.encode("utf-8", "backslashreplace").decode() for part in pair] for pair in pairs])
