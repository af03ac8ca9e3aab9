"""Every metric by name: its kind, its labels and what bounds them, what it means. docs/metrics.md is made from this."""

from dataclasses import dataclass, field
from typing import Literal

LABELS: dict[str, str] = {
    "answer": "`2xx`, `3xx`, `4xx`, `5xx`, or `none` where no answer came",
    "channel": "names of channels for alerts",
    "code": "an [error code](runbook.md#by-error-code), empty where all went well; `other` for one that is not known",
    "connection": "names of connections",
    "duplicate": "`true`, `false`",
    "kind": "kinds of jobs: `ensure_customer`, `ensure_invoice`, `ensure_payment_link`, `void_invoice`, "
    "`record_payment`, `write_back`, `check_mapping`; of [alerts](alerts.md)",
    "outcome": "what comes of attempts, some twenty words; of a look, `ok` or an error code; of a message, `sent` or "
    "an error code",
    "reason": "why the door refuses, or why a connection is paused: error codes, and a few words of their own",
    "scheme": "`reconcile`, `poll`",
    "source": "names of sources, or `unknown` where a request names none of them",
    "status": "states of jobs",
    "store": "`sqlite`, `postgresql`",
    "token": "`access`, `refresh`, `consent`",
    "version": "the version that runs",
}
"""All labels that there are, and what each can be. Nothing that comes from outside makes a new value."""

_ACK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_WORK = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. A counter's name ends in `_total`; `buckets` are upper bounds in seconds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = field(default=())


# The door
ACCEPTED = Family(
    "ledgergate_deliveries_accepted_total", "counter", "Deliveries acknowledged.", ("source", "duplicate")
)
REJECTED = Family(
    "ledgergate_deliveries_rejected_total", "counter", "Requests refused at the door: signatures, sizes, a store in "
    "trouble.", ("source", "reason"),
)  # fmt: skip
ACK_SECONDS = Family(
    "ledgergate_ack_seconds", "histogram", "From a webhook's last byte to its acknowledgement, the flush to disk "
    "included.", (), _ACK,
)  # fmt: skip
WAITING = Family("ledgergate_deliveries_waiting", "gauge", "Deliveries that wait for the disk, unanswered.")
UNDISPATCHED = Family("ledgergate_deliveries_undispatched", "gauge", "Deliveries in the inbox that no worker has read.")

# Looks at sources
POLLS = Family(
    "ledgergate_polls_total", "counter", "Looks at sources for what no webhook told of.",
    ("source", "scheme", "outcome"),
)  # fmt: skip
POLLED = Family(
    "ledgergate_deliveries_polled_total", "counter", "Deliveries made of what was found that way.",
    ("source", "scheme"),
)  # fmt: skip

# Work
ATTEMPTS = Family(
    "ledgergate_attempts_total", "counter", "Attempts of jobs, by what came of them.",
    ("kind", "connection", "outcome", "code"),
)  # fmt: skip
ATTEMPT_SECONDS = Family("ledgergate_attempt_seconds", "histogram", "Duration of attempts.", ("kind",), _WORK)
JOBS = Family("ledgergate_jobs", "gauge", "Jobs that have not ended well: waiting, running, dead letters.", ("status",))
REVIEWS = Family("ledgergate_reviews_open", "gauge", "Decisions that wait for a person.")
BACKLOG_AGE = Family(
    "ledgergate_backlog_age_seconds", "gauge", "How long the oldest job that is due has been waiting, those of paused "
    "connections included.",
)  # fmt: skip
WORKER = Family("ledgergate_worker_running", "gauge", "1 while this process works, 0 when its worker has stopped.")

# Providers and platforms
PROVIDER_SECONDS = Family(
    "ledgergate_provider_request_seconds", "histogram", "Duration of requests to providers within attempts.",
    ("connection", "answer"), _WORK,
)  # fmt: skip
PLATFORM_SECONDS = Family(
    "ledgergate_platform_request_seconds", "histogram", "Duration of requests to billing platforms within attempts.",
    ("source", "answer"), _WORK,
)  # fmt: skip
ACTIVE = Family(
    "ledgergate_connection_active", "gauge", "1 for an active connection, 0 for a paused one.", ("connection",)
)
PAUSED = Family(
    "ledgergate_connection_paused", "gauge", "1 for each paused connection, with the code of why.",
    ("connection", "reason"),
)  # fmt: skip
CIRCUIT = Family(
    "ledgergate_connection_circuit_open", "gauge", "1 while a provider is left alone after failures in a row.",
    ("connection",),
)  # fmt: skip
RATE_LIMIT = Family(
    "ledgergate_provider_rate_limit", "gauge", "Requests a second that a connection allows itself, over all processes.",
    ("connection",),
)  # fmt: skip
IN_FLIGHT = Family("ledgergate_provider_requests_in_flight", "gauge", "Requests under way.", ("connection",))
QUEUED = Family(
    "ledgergate_provider_requests_queued", "gauge", "Requests that wait for the budget: rate, concurrency, or a pause "
    "that the provider has asked for.", ("connection",),
)  # fmt: skip
HELD = Family(
    "ledgergate_provider_held_seconds", "gauge", "For how long the provider wants nothing yet (`Retry-After`).",
    ("connection",),
)  # fmt: skip
TOKEN_EXPIRY = Family(
    "ledgergate_token_expiry_timestamp_seconds", "gauge", "When a token ends, seconds since 1970: the access token "
    "(renewed by itself), the refresh token (if it is not used), the consent (for good).", ("connection", "token"),
)  # fmt: skip
SOURCE_ACTIVE = Family("ledgergate_source_active", "gauge", "1 for a source that takes webhooks, else 0.", ("source",))

# Alerts
ALERTS_OPEN = Family("ledgergate_alerts_open", "gauge", "Alerts that hold, where this process watches.", ("kind",))
ALERT_MESSAGES = Family(
    "ledgergate_alert_messages_total", "counter", "Tries to tell of an alert.", ("channel", "outcome")
)

# The process
STORE_UP = Family("ledgergate_store_up", "gauge", "1 when the store has answered this scrape, else 0.")
BUILD = Family("ledgergate_build_info", "gauge", "1, with what runs.", ("version", "store"))

ALL: tuple[Family, ...] = (
    ACCEPTED, REJECTED, ACK_SECONDS, WAITING, UNDISPATCHED, POLLS, POLLED, ATTEMPTS, ATTEMPT_SECONDS, JOBS, REVIEWS,
    BACKLOG_AGE, WORKER, PROVIDER_SECONDS, PLATFORM_SECONDS, ACTIVE, PAUSED, CIRCUIT, RATE_LIMIT, IN_FLIGHT, QUEUED,
    HELD, TOKEN_EXPIRY, SOURCE_ACTIVE, ALERTS_OPEN, ALERT_MESSAGES, STORE_UP, BUILD,
)  # fmt: skip
