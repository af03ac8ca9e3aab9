"""A claim, the review that it may end in, and all that the end of an attempt changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage.records.jobs import Attempt, Job, JobStatus, NewJob
from storage.records.mappings import EntityMapping, Held, Intent, Link, MappingKey, Note, SeenCustomer
from storage.records.shared import Json


class ReviewStatus(StrEnum):
    """Whether a person has decided."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A job on lease, with what is known about its subject at this moment."""

    job: Job
    mapping: EntityMapping | None
    intent: Intent | None
    done_before: bool
    """Whether a job of a delivery has already done this for the same subject and connection.

    What was asked for otherwise, such as the customer of a payment link, had another end in view.
    """


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
    voided_at: datetime | None = None
    """When the platform was seen to have voided the invoice that it is about, while it was open."""


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
    note: Note | None = None
    stale: Held | None = None
    """Whose record has died. Raises RecordMovedError at settling when another one is linked by now."""
    written_back: Held | None = None
    close_intent: str | None = None
    intent_result: str | None = None
    looked: str | None = None
    """Intent for which a complete look-up found nothing at the attempt's end."""
    customer: SeenCustomer | None = None
    follow_ups: Sequence[NewJob] = ()
    review: NewReview | None = None
    pause: tuple[str, str, str] | None = None
    """Connection to pause, error code, detail."""
    voided_at: datetime | None = None
    """When the platform was seen to have voided the job's invoice: open reviews about it say so from now on."""
    answers: Sequence[str] = ()
    """Jobs whose question is answered by this: they run again at once, as by `retry_job`."""
    wakes: MappingKey | None = None
    """A mapping that stands: who waits for its link, or has asked about it, is due, as by that link."""
    waits_for: MappingKey | None = None
    """Whose link the job waits for: the transaction which makes that link makes the job due, also one that failed."""

    def __post_init__(self) -> None:
        """Refuse what would leave the job in nobody's hands."""
        if self.status is JobStatus.RUNNING:
            raise ValueError("an attempt that has ended leaves no running job")

    @property
    def due_at(self) -> datetime | None:
        """Return when the job runs again: at once where nothing else was said, never when it has ended."""
        return (self.next_attempt_at or self.attempt.finished_at) if self.status is JobStatus.PENDING else None
