"""From what a stage found out to the settlement that is written: one place that fills in the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.http import Exchange
from storage.records import (
    Attempt,
    Claimed,
    Held,
    JobStatus,
    Link,
    MappingKey,
    NewJob,
    NewReview,
    Note,
    SeenCustomer,
    Settlement,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one attempt has come to. Defaults say: nothing more than the status."""

    status: JobStatus
    outcome: str
    """One word for the attempt: done, ignored, created, adopted, retry, looking, outcome_unknown, review, failed, …"""
    job_outcome: str | None = None
    """`done` or `ignored` for a job that has succeeded."""
    reason: str | None = None
    error: Mapping[str, Any] | None = None
    next_attempt_at: datetime | None = None
    burn: bool = False
    decision: Mapping[str, Any] | None = None
    entity_id: str | None = None
    lock_key: str | None = None
    link: Link | None = None
    note: Note | None = None
    stale: Held | None = None
    written_back: Held | None = None
    close_intent: str | None = None
    intent_result: str | None = None
    looked: str | None = None
    customer: SeenCustomer | None = None
    follow_ups: Sequence[NewJob] = ()
    review: NewReview | None = None
    pause: tuple[str, str, str] | None = None
    answers: Sequence[str] = ()
    """Jobs whose question this attempt has answered: they run again at once."""
    waits_for: MappingKey | None = None
    """Whose link the job waits for."""
    wakes: MappingKey | None = None
    """A link that stands: who waits for it runs again at once."""


def settlement(
    claimed: Claimed,
    result: Result,
    *,
    owner: str,
    started_at: datetime,
    finished_at: datetime,
    exchanges: Sequence[Exchange],
    voided_at: datetime | None = None,
) -> Settlement:
    """Return the one transaction that ends an attempt. `voided_at`: when its invoice was seen to be void."""
    job = claimed.job
    attempt = Attempt(
        number=job.attempts + 1, started_at=started_at, finished_at=finished_at, outcome=result.outcome,
        error=result.error, exchanges=_told(result, exchanges) or None, decision=result.decision,
        worker=owner,
    )  # fmt: skip
    return Settlement(
        job_id=job.job_id, fence=job.fence, owner=owner, attempt=attempt, status=result.status,
        outcome=result.job_outcome, reason=result.reason, error=result.error, next_attempt_at=result.next_attempt_at,
        burn=result.burn, entity_id=result.entity_id, lock_key=result.lock_key, link=result.link, note=result.note,
        stale=result.stale, written_back=result.written_back, close_intent=result.close_intent,
        intent_result=result.intent_result, looked=result.looked, customer=result.customer,
        follow_ups=result.follow_ups, review=result.review, pause=result.pause, answers=result.answers,
        waits_for=result.waits_for, wakes=result.wakes, voided_at=voided_at,
    )  # fmt: skip


def _told(result: Result, exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Return the exchanges, with the shapes of their bodies where the attempt did not end well: there they matter."""
    if result.status is JobStatus.SUCCEEDED:
        return list(exchanges)
    return [exchange.whole() for exchange in exchanges]
