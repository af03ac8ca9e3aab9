"""The rows of the store as frozen values. They hold text, bytes, numbers, times and JSON; no domain types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

Json = Any


class DeliveryStatus(StrEnum):
    """Where a delivery stands; all but `pending` are end states, left only by a replay or a retry."""

    PENDING = "pending"
    PROCESSED = "processed"
    IGNORED = "ignored"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"


class JobStatus(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NEEDS_REVIEW = "needs_review"


class MappingStatus(StrEnum):
    """Where a mapping stands."""

    INTENDED = "intended"
    LINKED = "linked"
    STALE = "stale"


class ReviewStatus(StrEnum):
    """Whether a person has decided."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Tenant and environment that a read or change is confined to. None means any: for the gateway itself only."""

    tenant_id: str | None = None
    environment_id: str | None = None


EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A verified POST on its way into the inbox."""

    delivery_id: str
    source: str
    tenant_id: str
    environment_id: str
    delivery_key: str
    received_at: datetime
    headers: bytes = field(repr=False)
    body: bytes = field(repr=False)
    scheme: str
    secret_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the inbox. `headers` (JSON pairs, redacted) and `body` are None in lists, and after pruning."""

    delivery_id: str
    source: str
    tenant_id: str
    environment_id: str
    delivery_key: str
    event_type: str | None
    entity_id: str | None
    subject: str | None
    received_at: datetime
    status: DeliveryStatus
    reason: str | None
    scheme: str
    secret_index: int
    replays: int
    body_bytes: int
    headers: bytes | None = field(repr=False, default=None)
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be inserted. `gate` names what must be active and have room for it: a connection, or `source:NAME`."""

    job_id: str
    kind: str
    source: str
    tenant_id: str
    environment_id: str
    gate: str
    lock_key: str
    delivery_id: str | None = None
    connection: str | None = None
    entity_type: str = "customer"
    entity_id: str | None = None
    subject: str | None = None
    payload: Json = None
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One durable unit of work. `attempts` counts all tries, `failures` those that moved along the retry schedule."""

    job_id: str
    kind: str
    source: str
    tenant_id: str
    environment_id: str
    gate: str
    lock_key: str
    delivery_id: str | None
    connection: str | None
    entity_type: str
    entity_id: str | None
    subject: str | None
    payload: Json
    status: JobStatus
    outcome: str | None
    reason: str | None
    error: Json
    attempts: int
    failures: int
    fence: int
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a job: when, with what outcome, what was asked of the provider, what was decided and why."""

    number: int
    started_at: datetime
    finished_at: datetime
    outcome: str
    error: Json = None
    exchanges: Json = None
    decision: Json = None
    worker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingKey:
    """What identifies a mapping."""

    source: str
    entity_type: str
    entity_id: str
    connection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityMapping:
    """Entity integration mapping: a source's entity on a connection → the provider's id."""

    source: str
    entity_type: str
    entity_id: str
    connection: str
    connector: str
    tenant_id: str
    environment_id: str
    provider_entity_id: str | None
    status: MappingStatus
    origin: str | None
    why: str | None
    shared: bool
    epoch: int
    details: Json
    synced_at: datetime | None
    written_back_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> MappingKey:
        """Return the identifying part."""
        return MappingKey(
            source=self.source, entity_type=self.entity_type, entity_id=self.entity_id, connection=self.connection
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A create that was or is about to be sent. Open until its outcome is known for certain."""

    intent_id: str
    key: MappingKey
    idempotency_key: str
    epoch: int
    variant: int
    attempt: int
    snapshot: Json = field(repr=False)
    digest: str
    guards: tuple[str, ...] = ()
    started_at: datetime
    looked_at: datetime | None = None
    refused_at: datetime | None = None
    lost_before: int = 0
    """How many creates of this epoch ended unknown and were then proven absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIntent:
    """What is committed before a create is sent. `seed` is what the idempotency key must differ by."""

    intent_id: str
    key: MappingKey
    connector: str
    tenant_id: str
    environment_id: str
    variant: int
    seed: str = field(repr=False)
    snapshot: Json = field(repr=False)
    digest: str
    guards: tuple[str, ...] = ()
    started_at: datetime
    searched_since: datetime
    replaces: str | None = None
    """Intent of the same mapping that is closed in the same transaction, with `replaces_result`."""
    replaces_result: str = "replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A job on lease, with what is known about its subject at this moment."""

    job: Job
    mapping: EntityMapping | None
    intent: Intent | None
    done_before: bool
    """Whether another job has already done this for the same subject and connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenCustomer:
    """What lists and searches know of a customer."""

    source: str
    customer_id: str
    tenant_id: str
    environment_id: str
    name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatched:
    """What dispatch decided about a delivery: an end state with a reason, or jobs."""

    delivery_id: str
    event_type: str | None
    entity_id: str | None = None
    subject: str | None = None
    status: DeliveryStatus = DeliveryStatus.PENDING
    reason: str | None = None
    jobs: Sequence[NewJob] = ()
    customer: SeenCustomer | None = None

    @property
    def end_status(self) -> DeliveryStatus:
        """Return the status to write: with no job to wait for, nothing is pending."""
        nothing_to_do = self.status is DeliveryStatus.PENDING and not self.jobs
        return DeliveryStatus.IGNORED if nothing_to_do else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A mapping that becomes linked. Raises ConflictError at settling when the record belongs to another customer.

    With `searched_since`, when the look-up began that has found the record, settling raises GuardBusyError while a
    create for another customer with one of these guards is open, or when one has ended since: the record may be that
    one's.
    """

    key: MappingKey
    connector: str
    tenant_id: str
    environment_id: str
    provider_entity_id: str
    origin: str
    why: str
    shared: bool = False
    details: Json = None
    guards: tuple[str, ...] = ()
    searched_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReview:
    """A question to a person."""

    review_id: str
    kind: str
    reason: str
    candidates: Json = field(default=None, repr=False)
    customer: Json = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A decision only a person may take, and what was decided."""

    review_id: str
    job_id: str | None
    source: str
    tenant_id: str
    environment_id: str
    connection: str | None
    entity_type: str
    entity_id: str | None
    kind: str
    reason: str
    candidates: Json = field(repr=False)
    customer: Json = field(repr=False)
    status: ReviewStatus
    decision: str | None
    provider_entity_id: str | None
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """All that one attempt changes, written in one transaction or not at all."""

    job_id: str
    fence: int
    owner: str
    attempt: Attempt
    status: JobStatus
    outcome: str | None = None
    reason: str | None = None
    error: Json = None
    next_attempt_at: datetime | None = None
    burn: bool = False
    """Whether the try counts against the retry schedule."""
    entity_id: str | None = None
    """The true entity, where the job was queued under another; goes with `lock_key`."""
    lock_key: str | None = None
    payload: Json = None
    """New payload, where the attempt has learned something; None leaves it."""
    link: Link | None = None
    stale: MappingKey | None = None
    written_back: MappingKey | None = None
    close_intent: str | None = None
    intent_result: str | None = None
    looked: str | None = None
    """Intent for which a complete look-up found nothing at the attempt's end."""
    customer: SeenCustomer | None = None
    follow_ups: Sequence[NewJob] = ()
    review: NewReview | None = None
    pause: tuple[str, str, str] | None = None
    """Connection to pause, error code, detail."""

    def __post_init__(self) -> None:
        """Refuse what would leave the job in nobody's hands."""
        if self.status is JobStatus.RUNNING:
            raise ValueError("an attempt that has ended leaves no running job")

    @property
    def due_at(self) -> datetime | None:
        """Return when the job runs again: at once where nothing else was said, never when it has ended."""
        return (self.next_attempt_at or self.attempt.finished_at) if self.status is JobStatus.PENDING else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A configured source. `settings` is public; secrets lie encrypted in `secrets`."""

    name: str
    platform: str
    tenant_id: str
    environment_id: str
    verification: str
    status: str
    settings: Json
    secrets: Mapping[str, bytes] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRow:
    """A configured connection. `settings`: the public part of its config, and `invoice_sync`. Secrets are encrypted."""

    name: str
    connector: str
    tenant_id: str
    environment_id: str
    status: str
    pause_reason: str | None
    pause_detail: str | None
    settings: Json
    account: Json
    secrets: Mapping[str, bytes] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An API key: its hash, never the key."""

    key_id: str
    name: str
    hash: bytes = field(repr=False)
    tenant_id: str | None
    environment_id: str | None
    role: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A connection's OAuth tokens, encrypted, with the version that a change must name."""

    payload: bytes = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A refused request, kept without its body."""

    source: str
    at: datetime
    reason: str
    headers: Json
    body_sha256: str
    body_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceActivity:
    """When a source last was heard, and last refused."""

    last_accepted_at: datetime | None
    last_rejected: Rejection | None
    rejected: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who changed what, when."""

    audit_id: int
    at: datetime
    actor: str
    tenant_id: str | None
    environment_id: str | None
    action: str
    subject: str
    detail: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much waits, and since when."""

    deliveries: int
    jobs: Mapping[str, int]
    """Jobs by status."""
    reviews: int
    oldest_due_at: datetime | None


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list, newest first, and where the next begins."""

    items: Sequence[T]
    next_cursor: str | None
