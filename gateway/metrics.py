"""Prometheus metrics, with bounded labels only: no id, no name of a customer ever becomes a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.tally import Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_WORK_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """All metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.door = Tally()
        r.register(self.door)
        self.polls = Counter(
            "ledgergate_polls_total", "Looks at sources for what no webhook told of: `ok`, or an error code.",
            ["source", "scheme", "outcome"], registry=r,
        )  # fmt: skip
        self.polled = Counter(
            "ledgergate_deliveries_polled_total", "Deliveries made of what was found that way.", ["source", "scheme"],
            registry=r,
        )  # fmt: skip
        self.attempts = Counter(
            "ledgergate_attempts_total", "Attempts by kind, connection, outcome and error code.",
            ["kind", "connection", "outcome", "code"], registry=r,
        )  # fmt: skip
        self.attempt_seconds = Histogram(
            "ledgergate_attempt_seconds", "Duration of attempts.", ["kind"], registry=r, buckets=_WORK_BUCKETS
        )
        self.provider_seconds = Histogram(
            "ledgergate_provider_request_seconds", "Duration of requests to providers and platforms.",
            ["connection"], registry=r, buckets=_WORK_BUCKETS,
        )  # fmt: skip
        self.waiting = Gauge("ledgergate_deliveries_waiting", "Deliveries waiting for the disk.", registry=r)
        self.undispatched = Gauge("ledgergate_deliveries_undispatched", "Deliveries not dispatched yet.", registry=r)
        self.jobs = Gauge("ledgergate_jobs", "Jobs that have not ended well, by status.", ["status"], registry=r)
        self.reviews = Gauge("ledgergate_reviews_open", "Reviews waiting for a person.", registry=r)
        self.backlog_age = Gauge(
            "ledgergate_backlog_age_seconds", "How long the oldest due job has been waiting.", registry=r
        )
        self.connection_up = Gauge(
            "ledgergate_connection_active",
            "1 for an active connection, 0 for a paused one.",
            ["connection"],
            registry=r,
        )

        self.alerts_open = Gauge("ledgergate_alerts_open", "Alerts that hold, by kind.", ["kind"], registry=r)
        self.alert_messages = Counter(
            "ledgergate_alert_messages_total", "Tries to tell of an alert: `sent`, or an error code.",
            ["channel", "outcome"], registry=r,
        )  # fmt: skip

    def text(self) -> bytes:
        """Return the exposition format."""
        return generate_latest(self.registry)
