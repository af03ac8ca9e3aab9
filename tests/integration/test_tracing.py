"""Traces: one for each delivery, over processes and restarts, with ids and codes and nothing of a customer."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from connectors.testing import Fault, FaultKind
from gateway.app import Gateway
from gateway.tracing import ENDPOINTS, Tracing, from_environment, root_span_id, trace_id
from tests.harness import NOMOD, SOURCE, Rig

NAME, EMAIL = "Ada Lovelace", "ada.lovelace@example.com"


class Kept(InMemorySpanExporter):
    """Keeps what it has, and goes on, when one of several gateways stops."""

    def shutdown(self) -> None:
        """Do nothing."""


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where spans end up."""
    return Kept()


@pytest.fixture
async def traced(tmp_path: Path, exporter: InMemorySpanExporter) -> AsyncIterator[Rig]:
    """A rig whose gateways trace."""
    rig = Rig(tmp_path)

    def kind(*arguments: object, **options: object) -> Gateway:
        tracing = Tracing(SimpleSpanProcessor(exporter), instance="tests")
        return partial(Gateway, tracing=tracing)(*arguments, **options)  # type: ignore[arg-type]

    rig.kind = kind
    try:
        await rig.start()
        await rig.add_flexprice()
        await rig.add_nomod()
        yield rig
    finally:
        await rig.stop()


def ids(span: ReadableSpan) -> tuple[int, int, int | None]:
    """Trace, span and parent."""
    context = span.context
    assert context is not None
    return context.trace_id, context.span_id, span.parent.span_id if span.parent else None


async def test_a_trace_tells_of_a_webhook_up_to_each_request(traced: Rig, exporter: InMemorySpanExporter) -> None:
    """Also after a failure, and in another process than the one that received it."""
    traced.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/customers", times=4))
    ada = traced.flexprice.add_customer(name=NAME, email=EMAIL)
    await traced.pause(NOMOD)
    delivery_id = await traced.finalize(ada["id"])
    await traced.finish()
    await traced.restart()
    await traced.resume(NOMOD)
    await traced.finish()
    spans = [span for span in exporter.get_finished_spans() if ids(span)[0] == trace_id(delivery_id)]
    assert f"{trace_id(delivery_id):032x}" == delivery_id.removeprefix("dlv_")

    (receive,) = [span for span in spans if span.name == "receive"]
    assert (ids(receive)[1:], receive.kind) == ((root_span_id(delivery_id), None), SpanKind.SERVER)
    (dispatch,) = [span for span in spans if span.name == "dispatch"]
    attempts = [span for span in spans if span.name.startswith("attempt ")]
    assert {span.name for span in attempts} >= {"attempt ensure_customer", "attempt write_back"}
    assert {ids(span)[2] for span in [dispatch, *attempts]} == {root_span_id(delivery_id)}

    failed = [span for span in attempts if not span.status.is_ok and span.status.description]
    assert {span.status.description for span in failed} == {"provider_api_error"}
    assert {span.attributes["error.type"] for span in failed if span.attributes} == {"provider_api_error"}
    requests = [span for span in spans if span.kind is SpanKind.CLIENT]
    assert {ids(span)[2] for span in requests} <= {ids(span)[1] for span in attempts}
    assert {span.attributes["peer.service"] for span in requests if span.attributes} == {SOURCE, NOMOD}
    by_id = {ids(span)[1]: span for span in spans}
    for request in requests:
        above = by_id[ids(request)[2] or 0]
        assert above.start_time is not None
        assert request.start_time is not None
        assert request.start_time >= above.start_time - 50_000_000  # its clock is another one
    job = attempts[0].attributes or {}
    kept = await traced.store.list_attempts(str(job["ledgergate.job_id"]))
    assert job["ledgergate.attempt"] in {attempt.number for attempt in kept}


async def test_nothing_of_a_customer_is_in_a_span(traced: Rig, exporter: InMemorySpanExporter) -> None:
    """Nor a path, a query, or what proves anything."""
    ada = traced.flexprice.add_customer(name=NAME, email=EMAIL)
    await traced.finalize(ada["id"])
    await traced.finish()
    told = json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()])
    assert "ledgergate.delivery_id" in told
    for word in ("Ada", "Lovelace", "ada.lovelace", "example.com", ada["id"], traced.nomod.api_key, "/v1/", "whsec"):
        assert word not in told, word


async def test_a_repeat_hangs_below_the_first(traced: Rig, exporter: InMemorySpanExporter) -> None:
    ada = traced.flexprice.add_customer(name=NAME, email=EMAIL)
    invoice = traced.flexprice.add_invoice(ada["id"])
    delivery_id = await traced.announce(invoice["id"], message_id="msg_1")
    assert await traced.announce(invoice["id"], message_id="msg_1") == delivery_id
    first, repeat = [span for span in exporter.get_finished_spans() if span.name == "receive"]
    assert ids(repeat)[0] == ids(first)[0]
    assert ids(repeat)[2] == ids(first)[1] != ids(repeat)[1]
    assert (repeat.attributes or {})["ledgergate.duplicate"] is True


async def test_a_trace_that_is_not_sampled_is_not_in_part(
    tmp_path: Path, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_TRACES_SAMPLER decides by the trace's id, and so alike in every process."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    rig = Rig(tmp_path)
    rig.kind = partial(Gateway, tracing=Tracing(SimpleSpanProcessor(exporter), instance="tests"))
    try:
        await rig.start()
        await rig.add_flexprice()
        await rig.add_nomod()
        for number in range(24):
            person = rig.flexprice.add_customer(name=f"Guest {number}", email=f"guest{number}@example.com")
            await rig.finalize(person["id"])
        await rig.finish()
    finally:
        await rig.stop()
    names: dict[int, set[str]] = {}
    for span in exporter.get_finished_spans():
        names.setdefault(ids(span)[0], set()).add(span.name)
    assert 0 < len(names) < 24  # either end has a chance of 1 in 16 million
    assert all({"receive", "dispatch", "attempt ensure_customer", "POST"} <= told for told in names.values())


async def test_the_environment_switches_it_on_and_a_collector_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By OTLP over HTTP, with the service's name, before the process has stopped."""
    got: list[ExportTraceServiceRequest] = []

    async def collect(request: web.Request) -> web.Response:
        got.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    monkeypatch.setenv(ENDPOINTS[0], f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=tests")
    rig = Rig(tmp_path)
    try:
        await rig.start()
        await rig.add_flexprice()
        await rig.finalize(rig.flexprice.add_customer(name=NAME, email=EMAIL)["id"])
        await rig.finish()
    finally:
        await rig.stop()
        await runner.cleanup()
    told = {
        attribute.key: attribute.value.string_value
        for request in got
        for resource in request.resource_spans
        for attribute in resource.resource.attributes
    }
    assert (told["service.name"], told["deployment.environment.name"]) == ("ledgergate", "tests")
    names = {
        span.name
        for request in got
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert {"receive", "dispatch"} <= names


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINTS[0]: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINTS[1]: "http://127.0.0.1:4318/v1/traces", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_it_is_off_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert from_environment("tests") is None


async def test_a_collector_that_is_away_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:9")
    rig = Rig(tmp_path)
    await rig.start()
    await rig.add_flexprice()
    await rig.finalize(rig.flexprice.add_customer(name=NAME, email=EMAIL)["id"])
    async with asyncio.timeout(30):  # the exporter alone would try for longer
        await rig.stop()


def test_off_it_is_not_even_imported(tmp_path: Path) -> None:
    """A gateway without it pays nothing: no import, and one comparison at the door."""
    script = (
        "import sys, gateway.app, gateway.tracing as t; assert t.from_environment('x') is None;"
        " print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
