"""Traces for OpenTelemetry: what came of a webhook, from the door to each request that its jobs have made.

On where the extra `otel` is installed and the environment names where traces go (OTEL_EXPORTER_OTLP_ENDPOINT); else
nothing of it is imported, and `None` stands in its place. The settings are OpenTelemetry's own:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/

A trace's id is made of the delivery's id, so that all processes know it, and so do people; spans are written when they
have ended, with the times that are known anyway. Attributes hold ids, codes and names of what is configured: nothing of
a customer, no path and no query of a request.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from connectors.http import Exchange
from gateway.egress import VERSION
from storage.records import Dispatched, Job

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor

log = structlog.get_logger("ledgergate")

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
STOP_SECONDS = 2.0
_HEX = 32


def from_environment(instance: str) -> "Tracing | None":
    """Return what writes traces, None where the environment asks for none, or the extra is not installed."""
    asked = any(os.environ.get(name) for name in ENDPOINTS)
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if not asked or off:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning("tracing_not_installed", step="pip install 'ledgergate[otel]'")
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - only if asked
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    exporter = OTLPSpanExporter()
    return Tracing(BatchSpanProcessor(exporter), instance=instance, give_up=exporter.shutdown)


class Tracing:
    """Writes spans. Belongs to one event loop. `give_up` ends a sending that takes too long at a stop."""

    def __init__(self, processor: "SpanProcessor", *, instance: str, give_up: Callable[[], None] | None = None) -> None:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - only where traces are written
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - as above
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - as above

        class Ids(RandomIdGenerator):
            """Random ids, but for the root of a trace."""

            root: tuple[int, int] | None = None

            def generate_trace_id(self) -> int:
                return self.root[0] if self.root else super().generate_trace_id()

            def generate_span_id(self) -> int:
                return self.root[1] if self.root else super().generate_span_id()

        told: dict[str, str] = {"service.version": VERSION, "service.instance.id": instance}
        resource = Resource.create(told)
        if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "ledgergate"}))
        self._ids, self._give_up = Ids(), give_up
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("ledgergate", VERSION)
        self._kinds, self._status, self._error = SpanKind, Status, StatusCode.ERROR

    # What is told ------------------------------------------------------------------------------------------------

    def received(
        self, delivery_id: str, *, source: str, duplicate: bool, status: int, at: datetime, seconds: float
    ) -> None:
        """Tell of an acknowledged webhook. The first of a delivery is the root of its trace; repeats hang below it."""
        parent = self._parent(delivery_id)
        if parent is None:
            return
        end = _nanoseconds(at)
        attributes = {
            "ledgergate.delivery_id": delivery_id, "ledgergate.source": source, "ledgergate.duplicate": duplicate,
            "http.request.method": "POST", "http.response.status_code": status,
        }  # fmt: skip
        self._ids.root = None if duplicate else (trace_id(delivery_id), root_span_id(delivery_id))
        try:
            self._span(
                "receive", self._kinds.SERVER, attributes, context=parent if duplicate else None,
                start=end - int(seconds * 1e9), end=end,
            )  # fmt: skip
        finally:
            self._ids.root = None

    def dispatched(self, results: Sequence[Dispatched], *, started: datetime, finished: datetime) -> None:
        """Tell of deliveries that were dispatched together."""
        for result in results:
            parent = self._parent(result.delivery_id)
            if parent is not None:
                attributes = {
                    "ledgergate.delivery_id": result.delivery_id, "ledgergate.event_type": result.event_type or "",
                    "ledgergate.status": str(result.end_status), "ledgergate.jobs": len(result.jobs),
                    "ledgergate.batch": len(results),
                }  # fmt: skip
                self._span(
                    "dispatch", self._kinds.CONSUMER, attributes, context=parent, start=_nanoseconds(started),
                    end=_nanoseconds(finished),
                )  # fmt: skip

    def attempted(
        self, job: Job, *, started: datetime, finished: datetime, outcome: str, code: str,
        exchanges: Sequence[Exchange],
    ) -> None:  # fmt: skip
        """Tell of an attempt, and of the requests that it has made."""
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415 - only where traces are written

        parent = self._parent(job.delivery_id or job.job_id)
        if parent is None:
            return
        attributes = {
            "ledgergate.delivery_id": job.delivery_id or "", "ledgergate.job_id": job.job_id,
            "ledgergate.attempt": job.attempts + 1, "ledgergate.kind": job.kind, "ledgergate.source": job.source,
            "ledgergate.connection": job.connection or "", "ledgergate.outcome": outcome,
        }  # fmt: skip
        if code:
            attributes["error.type"] = code
        end, moment = _nanoseconds(finished), time.perf_counter()
        span = self._span(
            f"attempt {job.kind}", self._kinds.CONSUMER, attributes, context=parent, start=_nanoseconds(started),
            end=end, error=code,
        )  # fmt: skip
        below = set_span_in_context(span)
        for exchange in exchanges:
            self._request(exchange, job, context=below, start=end - int((moment - exchange.begun) * 1e9))

    def _request(self, exchange: Exchange, job: Job, *, context: "Context", start: int) -> None:
        address = urlsplit(exchange.url)
        attributes: dict[str, Any] = {
            "http.request.method": exchange.method, "server.address": address.hostname or "",
            "server.port": address.port or (443 if address.scheme == "https" else 80),
            "peer.service": exchange.connection or job.source,
        }  # fmt: skip
        if exchange.status is not None:
            attributes["http.response.status_code"] = exchange.status
        failed = exchange.error or ("" if exchange.status is None or exchange.status < 400 else str(exchange.status))
        if failed:
            attributes["error.type"] = failed
        self._span(
            exchange.method, self._kinds.CLIENT, attributes, context=context, start=start,
            end=start + int(exchange.milliseconds * 1e6), error=failed,
        )  # fmt: skip

    async def close(self) -> None:
        """Send what is left, for a few seconds at most: a collector that is away holds up no stop."""
        sending = asyncio.create_task(asyncio.to_thread(self._provider.shutdown))
        done, _ = await asyncio.wait({sending}, timeout=STOP_SECONDS)
        if not done:
            log.warning("traces_not_sent")
            if self._give_up is not None:
                self._give_up()
        await sending

    # How ---------------------------------------------------------------------------------------------------------

    def _parent(self, subject: str) -> "Context | None":
        """Return the context of a trace's root, wherever that was written; None for a trace that is not sampled."""
        from opentelemetry.sdk.trace.sampling import Decision  # noqa: PLC0415 - only where traces are written
        from opentelemetry.trace import (  # noqa: PLC0415 - as above
            NonRecordingSpan,
            SpanContext,
            TraceFlags,
            set_span_in_context,
        )

        found = trace_id(subject)
        if self._provider.sampler.should_sample(None, found, "receive").decision is not Decision.RECORD_AND_SAMPLE:
            return None
        root = SpanContext(found, root_span_id(subject), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        return set_span_in_context(NonRecordingSpan(root))

    def _span(
        self, name: str, kind: Any, attributes: Mapping[str, Any], *, context: "Context | None", start: int, end: int,
        error: str = "",
    ) -> Any:  # fmt: skip
        from opentelemetry.context import Context  # noqa: PLC0415 - only where traces are written

        span = self._tracer.start_span(
            name, context=context if context is not None else Context(), kind=kind, attributes=attributes,
            start_time=start, record_exception=False,
        )  # fmt: skip
        if error:
            span.set_status(self._status(self._error, error))
        span.end(max(start, end))
        return span


def trace_id(subject: str) -> int:
    """Return the trace of a delivery, or of a job that has none: the 32 hexadecimal digits of its id."""
    digits = subject.rpartition("_")[2]
    try:
        found = int(digits, 16) if len(digits) == _HEX else 0
    except ValueError:
        found = 0
    return found or int.from_bytes(hashlib.sha256(subject.encode()).digest()[:16], "big")


def root_span_id(subject: str) -> int:
    """Return the id of a trace's first span, which every process can reckon."""
    return int.from_bytes(hashlib.sha256(b"receive|" + subject.encode()).digest()[:8], "big") or 1


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
