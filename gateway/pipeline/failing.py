"""From an error to the result of the attempt, as policy.py decides."""

from collections.abc import Sequence
from datetime import datetime

from connectors.errors import ConnectorError, StaleRecordError
from gateway.errors import problem
from gateway.pipeline.policy import Fail, Pause, Retry, Review, decide
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from storage.ids import new_id
from storage.records import Intent, JobStatus, NewReview

REVIEW_KINDS = {
    "email_already_exists": "conflict",
    "record_taken": "conflict",
    "record_stale": "stale",
    "lookup_impossible": "lookup_impossible",
    "outcome_unknown": "outcome_unknown",
}


def failed(
    work: Work,
    error: BaseException,
    *,
    schedule: Sequence[float],
    now: datetime,
    spread: float,
    refused: Intent | None = None,
) -> Result:
    """Return what an attempt that ended in an error has come to. `refused` is an intent to close with it."""
    job = work.claimed.job
    told = problem(error)
    reason = f"{told['code']}: {told['detail']}"[:500]
    closing = refused.intent_id if refused is not None else None
    match decide(error, failures=job.failures, schedule=schedule, now=now, spread=spread):
        case Retry(at=at, burn=burn):
            return Result(
                status=JobStatus.PENDING, outcome="retry", error=told, reason=reason, next_attempt_at=at, burn=burn,
                close_intent=closing, intent_result="refused",
            )  # fmt: skip
        case Pause() if job.connection is not None:
            return Result(
                status=JobStatus.PENDING, outcome="paused", error=told, reason=reason, next_attempt_at=now,
                pause=(job.connection, str(told["code"]), str(told["detail"])), close_intent=closing,
                intent_result="refused",
            )  # fmt: skip
        case Review():
            return _review(work, error, reason=reason, closing=closing, now=now)
        case Fail() | Pause():
            if work.claimed.intent is not None and refused is None and isinstance(error, ConnectorError):
                return _review(work, error, reason=reason, closing=None, now=now, kind="outcome_unknown")
            return Result(
                status=JobStatus.FAILED, outcome="failed", error=told, reason=reason, close_intent=closing,
                intent_result="refused", burn=True, customer=work.seen if work.customer is not None else None,
            )  # fmt: skip


def _review(
    work: Work, error: BaseException, *, reason: str, closing: str | None, now: datetime, kind: str | None = None
) -> Result:
    told, mapping = problem(error), work.claimed.mapping
    review = NewReview(
        review_id=new_id("rev", now), kind=kind or REVIEW_KINDS.get(str(told["code"]), str(told["code"])),
        reason=reason, candidates=[], customer=work.asked,
    )  # fmt: skip
    return Result(
        status=JobStatus.NEEDS_REVIEW, outcome="review", error=told, reason=reason, review=review, close_intent=closing,
        intent_result="refused", stale=mapping.held if mapping and isinstance(error, StaleRecordError) else None,
        customer=work.seen if work.customer is not None else None,
    )  # fmt: skip
