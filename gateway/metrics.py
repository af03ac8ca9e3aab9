"""Prometheus metrics, with bounded labels only: no id, no name of a customer ever becomes a label."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.http import Exchange
from gateway import families
from gateway.errors import catalogue
from gateway.families import Family
from gateway.tally import Tally

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series beside each, which nobody asks for
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
_OWN_REASONS = frozenset({"paused_by_operator", "being_removed"})


class Metrics:
    """All metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = r = CollectorRegistry()
        self.door, self.gauges = Tally(), Gauges()
        r.register(self.door)
        r.register(self.gauges)
        self._polls, self._polled = _counter(families.POLLS, r), _counter(families.POLLED, r)
        # The library looks a series up under a lock, each time. There are as many as it keeps: labels are bounded.
        self._attempts_as = cache(_counter(families.ATTEMPTS, r).labels)
        self._attempt_seconds_of = cache(_histogram(families.ATTEMPT_SECONDS, r).labels)
        self._provider_seconds_of = cache(_histogram(families.PROVIDER_SECONDS, r).labels)
        self._platform_seconds_of = cache(_histogram(families.PLATFORM_SECONDS, r).labels)
        self.alert_messages = _counter(families.ALERT_MESSAGES, r)
        self.alerts_open = Gauge(families.ALERTS_OPEN.name, families.ALERTS_OPEN.meaning, families.ALERTS_OPEN.labels,
                                 registry=r)  # fmt: skip
        ProcessCollector(registry=r)

    def attempted(
        self, *, kind: str, source: str, connection: str | None, outcome: str, code: str | None, seconds: float,
        exchanges: Sequence[Exchange],
    ) -> None:  # fmt: skip
        """Count an attempt and the requests that it has made."""
        self._attempts_as(kind, connection or "", outcome, bounded(code)).inc()
        self._attempt_seconds_of(kind).observe(seconds)
        for exchange in exchanges:
            asked = self._provider_seconds_of if exchange.connection else self._platform_seconds_of
            asked(exchange.connection or source, answer(exchange)).observe(exchange.milliseconds / 1000)

    def looked(self, source: str, scheme: str, *, code: str | None, delivered: int = 0) -> None:
        """Count a look at a source, and what it has found. `code` is that of the error which ended it."""
        self._polls.labels(source, scheme, bounded(code) or "ok").inc()
        self._polled.labels(source, scheme).inc(delivered)

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self.registry)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionReading:
    """One connection as it is at the moment."""

    name: str
    pause_reason: str | None = None
    """Why it is paused; None for an active one."""
    circuit_open: bool = False
    rate_limit: float = 0.0
    in_flight: int = 0
    queued: int = 0
    held_seconds: float = 0.0
    expiries: dict[str, float] = field(default_factory=dict)
    """Seconds since 1970 by token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogReading:
    """What waits, as the store says."""

    undispatched: int = 0
    jobs: dict[str, int] = field(default_factory=dict)
    reviews: int = 0
    age_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is true at the moment of a scrape. `backlog` is None when the store did not say."""

    waiting: int = 0
    backlog: BacklogReading | None = None
    worker_running: bool | None = None
    """None where the process does not work."""
    connections: tuple[ConnectionReading, ...] = ()
    sources: dict[str, bool] = field(default_factory=dict)
    build: tuple[str, str] = ("", "")


class Gauges(Collector):
    """The gauges. They are made anew for each scrape, so that nothing is told of what was removed."""

    def __init__(self) -> None:
        self.reading = Reading()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, as the library asks for them."""
        now = self.reading
        yield _gauge(families.WAITING, [((), now.waiting)])
        yield _gauge(families.STORE_UP, [((), now.backlog is not None)])
        yield _gauge(families.BUILD, [(now.build, 1)])
        yield _gauge(families.WORKER, [((), now.worker_running)] if now.worker_running is not None else [])
        yield _gauge(families.SOURCE_ACTIVE, [((name,), active) for name, active in now.sources.items()])
        yield from _backlog([now.backlog] if now.backlog is not None else [])
        yield from _connections(now.connections)


def _backlog(told: Sequence[BacklogReading]) -> Iterator[Metric]:
    yield _gauge(families.UNDISPATCHED, [((), each.undispatched) for each in told])
    yield _gauge(families.JOBS, [((status,), count) for each in told for status, count in each.jobs.items()])
    yield _gauge(families.REVIEWS, [((), each.reviews) for each in told])
    yield _gauge(families.BACKLOG_AGE, [((), each.age_seconds) for each in told])


def _connections(found: Sequence[ConnectionReading]) -> Iterator[Metric]:
    paused = [(each.name, each.pause_reason) for each in found if each.pause_reason is not None]
    yield _gauge(families.ACTIVE, [((each.name,), each.pause_reason is None) for each in found])
    yield _gauge(families.PAUSED, [((name, _why(reason)), 1) for name, reason in paused])
    yield _gauge(families.CIRCUIT, [((each.name,), each.circuit_open) for each in found])
    yield _gauge(families.RATE_LIMIT, [((each.name,), each.rate_limit) for each in found])
    yield _gauge(families.IN_FLIGHT, [((each.name,), each.in_flight) for each in found])
    yield _gauge(families.QUEUED, [((each.name,), each.queued) for each in found])
    yield _gauge(families.HELD, [((each.name,), each.held_seconds) for each in found])
    ends = [(each.name, token, moment) for each in found for token, moment in each.expiries.items()]
    yield _gauge(families.TOKEN_EXPIRY, [((name, token), moment) for name, token, moment in ends])


_known: set[str] = set()


def bounded(code: str | None) -> str:
    """Return an error code as a label: one that no error class has becomes `other`, none at all an empty text."""
    if not code:
        return ""
    if code not in _known:
        _known.update(entry.code for entry in catalogue())  # a plugin that was loaded since may have brought it
    return code if code in _known else OTHER


def answer(exchange: Exchange) -> str:
    """Return the class of an exchange's answer."""
    return f"{exchange.status // 100}xx" if exchange.status is not None and 200 <= exchange.status < 600 else "none"


def _why(reason: str) -> str:
    return reason if reason in _OWN_REASONS else bounded(reason)


def _counter(family: Family, registry: CollectorRegistry) -> Counter:
    return Counter(family.name, family.meaning, family.labels, registry=registry)


def _histogram(family: Family, registry: CollectorRegistry) -> Histogram:
    return Histogram(family.name, family.meaning, family.labels, registry=registry, buckets=family.buckets)


def _gauge(family: Family, samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    made = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
    for labels, value in samples:
        made.add_metric(labels, float(value))
    return made
