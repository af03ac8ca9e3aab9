"""One delivery's way in time: received, verified, stored, dispatched, tried, mapped, written back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.console.words import (
    BAD,
    BUSY,
    GOOD,
    QUIET,
    Said,
    decision_said,
    kind_said,
    outcome_said,
)
from gateway.operations.deliveries import DeliveryDetail
from gateway.operations.jobs import AttemptView, JobDetail
from gateway.pipeline.dispatch import ENSURE_INVOICE, WRITE_BACK
from gateway.pipeline.work import CUSTOMER
from storage.records import DeliveryStatus, JobStatus

FOLLOWING = (ENSURE_INVOICE, WRITE_BACK)
"""Jobs that follow another, and are not dispatched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened. `took` and `after` are seconds: its own duration, and the time since the step before."""

    title: str
    at: datetime
    said: Said
    detail: str = ""
    path: str = ""
    """Page of the console that tells more."""
    took: float | None = None
    after: float | None = None
    to_come: bool = False


def way_of(delivery: DeliveryDetail, jobs: Sequence[JobDetail]) -> list[Step]:
    """Return the steps, in the order of time; what is still to come stands last."""
    done = sorted([*_door(delivery), *_dispatched(delivery, jobs), *_worked(jobs)], key=lambda step: step.at)
    coming = [
        Step(title=f"{kind_said(job.kind)}{_on(job)}", at=job.next_attempt_at, to_come=True, path=f"/jobs/{job.job_id}",
             said=Said(word="Next attempt", shape="clock", tone=BUSY))
        for job in jobs
        if job.status is JobStatus.PENDING and job.next_attempt_at is not None
    ]  # fmt: skip
    return [*_timed(done), *coming]


def _timed(steps: Sequence[Step]) -> list[Step]:
    timed = []
    before: Step | None = None
    for step in steps:
        after = (step.at - before.at).total_seconds() if before is not None else None
        timed.append(
            Step(title=step.title, at=step.at, said=step.said, detail=step.detail, path=step.path, took=step.took,
                 after=after)
        )  # fmt: skip
        before = step
    return timed


def _door(delivery: DeliveryDetail) -> list[Step]:
    at, good = delivery.received_at, Said(word="Done", shape="check", tone=GOOD)
    if delivery.secret_index < 0:  # no webhook told of it: the gateway asked for it (gateway/pipeline/polling.py)
        asked = f"asked of the platform, and {delivery.body_bytes} bytes written for it ({delivery.scheme})"
        return [Step(title="Found", at=at, said=good, detail=asked)]
    named = {"static-header": "the static header", "intuit-signature": "Intuit's signature"}
    how = named.get(delivery.scheme, f"the signature ({delivery.scheme}-* headers)")
    return [
        Step(title="Received", at=at, said=good, detail=f"{delivery.body_bytes} bytes from {delivery.source}"),
        Step(title="Verified", at=at, said=good, detail=f"by {how} with secret {delivery.secret_index + 1}"),
        Step(title="Stored", at=at, said=good, detail="on disk before it was acknowledged"),
    ]


def _dispatched(delivery: DeliveryDetail, jobs: Sequence[JobDetail]) -> list[Step]:
    if not jobs:
        if delivery.status is DeliveryStatus.PENDING:
            return []
        tone, shape = (BAD, "cross") if delivery.status is DeliveryStatus.FAILED else (QUIET, "dash")
        said = Said(word=str(delivery.status).replace("_", " ").capitalize(), shape=shape, tone=tone)
        return [Step(title="Dispatched", at=delivery.received_at, said=said, detail=delivery.reason or "")]
    starts = sorted({job.created_at for job in jobs if job.kind not in FOLLOWING})
    steps = []
    for number, start in enumerate(starts):
        begun = [job for job in jobs if job.created_at == start and job.kind not in FOLLOWING]
        names = ", ".join(sorted(job.connection or job.source for job in begun))
        title = "Dispatched" if number == 0 else "Dispatched again"
        steps.append(
            Step(title=title, at=start, detail=f"to {names}", said=Said(word="Done", shape="check", tone=GOOD))
        )
    return steps


def _worked(jobs: Sequence[JobDetail]) -> list[Step]:
    steps = []
    for job in jobs:
        for attempt in job.attempts:
            steps.append(_attempt(job, attempt))
            decision = attempt.decision or {}
            if decision.get("decision") == "link":
                page = f"/customers/{job.entity_id}" if job.entity_type == CUSTOMER else f"/jobs/{job.job_id}"
                steps.append(
                    Step(title=f"Mapped{_on(job)}", at=attempt.finished_at, path=page,
                         said=Said(word="Linked", shape="check", tone=GOOD),
                         detail=f"{job.entity_id} is {decision.get('record')}")
                )  # fmt: skip
    return steps


def _attempt(job: JobDetail, attempt: AttemptView) -> Step:
    told = decision_said(attempt.decision)
    error = f"{attempt.error.title}: {attempt.error.detail}" if attempt.error else ""
    if not told and not error and attempt.number == len(job.attempts):
        told = job.reason or ""
    name = "Written back" if job.kind == WRITE_BACK and attempt.outcome == "done" else kind_said(job.kind)
    place = f" to {job.source}" if job.kind == WRITE_BACK else _on(job)
    return Step(
        title=f"{name}{place}, attempt {attempt.number}", at=attempt.started_at, said=outcome_said(attempt.outcome),
        detail=" ".join(part for part in (told, error) if part), path=f"/jobs/{job.job_id}/attempts/{attempt.number}",
        took=(attempt.finished_at - attempt.started_at).total_seconds(),
    )  # fmt: skip


def _on(job: JobDetail) -> str:
    return f" on {job.connection}" if job.connection else ""
