"""Jobs: lists, one with its attempts, retry and cancel, one by one or by filter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from pydantic import Field

from gateway.operations.acting import Desk
from gateway.operations.bulk import MAX_BULK, act_on_each, collect
from gateway.operations.search import ids_for
from gateway.operations.views import Bulk, Listed, Problem, View, listed, problem_view
from storage.records import EVERYWHERE, Attempt, Job, JobStatus, Page, Scope

RETRIED_UNASKED = (JobStatus.FAILED,)
"""What a bulk retry takes when the filter names no status."""
CANCELLED_UNASKED = (JobStatus.PENDING, JobStatus.FAILED)
"""What a bulk cancel takes when the filter names no status."""


class JobBase(View):
    """What every view of a job has."""

    job_id: str
    delivery_id: str | None
    kind: str = Field(description="`ensure_customer`, `write_back`, …")
    source: str
    connection: str | None
    entity_type: str
    entity_id: str | None
    subject: str | None = Field(description="The invoice or transaction that it is about.")
    tenant_id: str
    environment_id: str
    status: JobStatus
    outcome: str | None = Field(description="`done` or `ignored` of a job that has succeeded.")
    reason: str | None
    error: Problem | None = Field(description="The last attempt's error.")
    failures: int = Field(description="How many tries have moved along the retry schedule.")
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime


class JobSummary(JobBase):
    """A job in a list."""

    attempts: int = Field(description="How many tries there were.")


class AttemptView(View):
    """One try of a job."""

    number: int
    started_at: datetime
    finished_at: datetime
    outcome: str
    error: Problem | None
    decision: dict[str, Any] | None = Field(description="What was decided, and why.")
    exchanges: Sequence[dict[str, Any]] = Field(
        description="Requests to providers and platforms; with the shapes of `sent` and `answered` where it failed."
    )


class JobDetail(JobBase):
    """A job with its attempts, oldest first."""

    attempts: Sequence[AttemptView]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs. An empty filter means all."""

    status: JobStatus | None = None
    connection: str | None = None
    kind: str | None = None
    source: str | None = None
    delivery_id: str | None = None
    entity_id: str | None = None
    error_code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is filtered."""
        return self == JobFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs(Desk):
    """The use-cases of jobs."""

    async def list(
        self, scope: Scope = EVERYWHERE, chosen: JobFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Listed[JobSummary]:
        """Return jobs, newest first. Raises CursorInvalidError."""
        return listed(await self._page(scope, chosen or JobFilter(), limit, cursor), summary)

    async def get(self, job_id: str, scope: Scope = EVERYWHERE) -> JobDetail:
        """Return a job with its attempts. Raises NotFoundError."""
        job = await self.store.get_job(job_id, scope)
        attempts = await self.store.list_attempts(job_id, scope)
        return JobDetail(**_shared(job), attempts=[attempt_view(attempt) for attempt in attempts])

    async def retry(self, job_id: str, scope: Scope = EVERYWHERE, *, actor: str) -> JobSummary:
        """Make a job due now, with a whole retry schedule before it. Raises NotFoundError, ConflictError."""
        job = await self._retry(job_id, scope, actor)
        self.wake()
        return summary(job)

    async def cancel(
        self, job_id: str, scope: Scope = EVERYWHERE, *, actor: str, reason: str | None = None
    ) -> JobSummary:
        """End a job that waits, has failed or is under review. Raises NotFoundError, ConflictError.

        One whose create was sent and not answered may have made a record: its mapping stays `intended`.
        """
        return summary(await self._cancel(job_id, scope, actor, reason))

    async def retry_many(
        self, chosen: JobFilter, scope: Scope = EVERYWHERE, *, actor: str, dry_run: bool = False
    ) -> Bulk:
        """Retry the jobs of a filter: those that have failed, unless it names a status."""
        found = await self._matching(chosen, RETRIED_UNASKED, scope)
        done = await act_on_each(found, lambda job_id: self._retry(job_id, scope, actor), dry_run=dry_run)
        self.wake()
        return done

    async def cancel_many(
        self,
        chosen: JobFilter,
        scope: Scope = EVERYWHERE,
        *,
        actor: str,
        reason: str | None = None,
        dry_run: bool = False,
    ) -> Bulk:
        """Cancel the jobs of a filter: those that wait or have failed, unless it names a status."""
        found = await self._matching(chosen, CANCELLED_UNASKED, scope)
        return await act_on_each(found, lambda job_id: self._cancel(job_id, scope, actor, reason), dry_run=dry_run)

    async def _retry(self, job_id: str, scope: Scope, actor: str) -> Job:
        job = await self.store.retry_job(job_id, scope, now=self.now())
        await self.note(actor, "job.retried", job_id, _home(job), {"kind": job.kind})
        return job

    async def _cancel(self, job_id: str, scope: Scope, actor: str, reason: str | None) -> Job:
        told = f"cancelled by {actor}" + (f": {reason}" if reason else "")
        job = await self.store.cancel_job(job_id, scope, now=self.now(), reason=told)
        await self.note(actor, "job.cancelled", job_id, _home(job), {"kind": job.kind})
        return job

    async def _page(self, scope: Scope, chosen: JobFilter, limit: int, cursor: str | None) -> Page[Job]:
        about = await ids_for(chosen.text, self.store, scope) if chosen.text else None
        return await self.store.list_jobs(
            scope, limit=limit, cursor=cursor, status=chosen.status, connection=chosen.connection, kind=chosen.kind,
            source=chosen.source, delivery_id=chosen.delivery_id, entity_id=chosen.entity_id,
            error_code=chosen.error_code, since=chosen.since, until=chosen.until, about=about,
        )  # fmt: skip

    async def _matching(self, chosen: JobFilter, unasked: Sequence[JobStatus], scope: Scope) -> Sequence[str]:
        """Return up to one more id than a bulk command takes."""
        found: Sequence[str] = []
        for status in unasked if chosen.status is None else (chosen.status,):
            narrowed = replace(chosen, status=status)
            more = await collect(
                partial(self._page, scope, narrowed), lambda job: job.job_id, most=MAX_BULK + 1 - len(found)
            )
            found = [*found, *more]
        return found


def summary(job: Job) -> JobSummary:
    """Return a job as it stands in lists."""
    return JobSummary(**_shared(job), attempts=job.attempts)


def attempt_view(attempt: Attempt) -> AttemptView:
    """Return an attempt as it is shown."""
    return AttemptView(
        number=attempt.number, started_at=attempt.started_at, finished_at=attempt.finished_at, outcome=attempt.outcome,
        error=problem_view(attempt.error), decision=attempt.decision, exchanges=attempt.exchanges or [],
    )  # fmt: skip


def _shared(job: Job) -> dict[str, Any]:
    shown = {name: getattr(job, name) for name in JobBase.model_fields if name != "error"}
    return {**shown, "error": problem_view(job.error)}


def _home(job: Job) -> Scope:
    return Scope(tenant_id=job.tenant_id, environment_id=job.environment_id)
