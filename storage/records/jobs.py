"""Jobs and their attempts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.records.shared import Json


class JobStatus(StrEnum):
    """Where a job stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NEEDS_REVIEW = "needs_review"


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
class Backlog:
    """How much waits, and since when."""

    deliveries: int
    jobs: Mapping[str, int]
    """Jobs by status."""
    reviews: int
    oldest_due_at: datetime | None
