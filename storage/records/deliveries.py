"""Deliveries, what dispatch decides about them, and what happened at the door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage.records.jobs import NewJob
from storage.records.mappings import SeenCustomer
from storage.records.shared import Json


class DeliveryStatus(StrEnum):
    """Where a delivery stands; all but `pending` are end states, left only by a replay or a retry."""

    PENDING = "pending"
    PROCESSED = "processed"
    IGNORED = "ignored"
    FAILED = "failed"
    NEEDS_REVIEW = "needs_review"


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
