"""Jobs over HTTP."""

from pydantic import Field

from gateway.access import Role
from gateway.operations.jobs import JobDetail, JobFilter, JobSummary
from gateway.operations.values import EntityId, Name, Reason, Text
from gateway.operations.views import Bulk, Listed
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given, Moment, TimedQuery, require_choice
from storage.errors import ConflictError, CursorInvalidError, NotFoundError
from storage.records import JobStatus


class JobsQuery(TimedQuery):
    """Which jobs."""

    status: JobStatus | None = Field(None, description="Its state.")
    connection: Name | None = Field(None, description="The connection that it works on.")
    kind: Text | None = Field(None, description="`ensure_customer`, `write_back`, …")
    source: Name | None = Field(None, description="The source of its delivery.")
    delivery_id: EntityId | None = Field(None, description="The delivery that asked for it.")
    entity_id: EntityId | None = Field(None, description="The platform's id of what it is about.")
    error_code: Text | None = Field(None, description="The last attempt's error.")


class RetryMany(Given):
    """Which jobs to retry; those that have failed, unless `status` names others."""

    status: JobStatus | None = None
    connection: Name | None = None
    kind: Text | None = None
    source: Name | None = None
    delivery_id: EntityId | None = None
    entity_id: EntityId | None = None
    error_code: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    text: Text | None = None
    all: bool = Field(default=False, description="Must be true where nothing is filtered.")
    dry_run: bool = Field(default=False, description="Only count.")


class CancelMany(RetryMany):
    """Which jobs to cancel; those that wait or have failed, unless `status` names others."""

    reason: Reason | None = None


class Cancel(Given):
    """Why a job is cancelled."""

    reason: Reason | None = None


@endpoint("GET", "/jobs", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_jobs(call: Call, *, query: JobsQuery) -> Listed[JobSummary]:
    """List jobs, newest first."""
    return await call.operations.jobs.list(call.scope, _chosen(query), limit=query.limit, cursor=query.cursor)


@endpoint("GET", "/jobs/{job_id}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_job(call: Call, *, job_id: EntityId) -> JobDetail:
    """Show a job with its attempts."""
    return await call.operations.jobs.get(job_id, call.scope)


@endpoint("POST", "/jobs/{job_id}/retry", role=Role.OPERATOR, problems=(NotFoundError, ConflictError))
async def retry_job(call: Call, *, job_id: EntityId) -> JobDetail:
    """Make a job due now, with a whole retry schedule before it."""
    await call.operations.jobs.retry(job_id, call.scope, actor=call.actor)
    return await call.operations.jobs.get(job_id, call.scope)


@endpoint("POST", "/jobs/{job_id}/cancel", role=Role.OPERATOR, problems=(NotFoundError, ConflictError))
async def cancel_job(call: Call, *, job_id: EntityId, body: Cancel = Cancel()) -> JobDetail:  # noqa: B008 - frozen
    """End a job that waits, has failed or is under review.

    Where its create was sent and never answered, the record may exist: the mapping stays `intended`.
    """
    await call.operations.jobs.cancel(job_id, call.scope, actor=call.actor, reason=body.reason)
    return await call.operations.jobs.get(job_id, call.scope)


@endpoint("POST", "/jobs/retry", role=Role.OPERATOR)
async def retry_jobs(call: Call, *, body: RetryMany) -> Bulk:
    """Retry the jobs of a filter, or count them."""
    chosen = _chosen(body)
    require_choice(is_empty=chosen.is_empty, everything=body.all)
    return await call.operations.jobs.retry_many(chosen, call.scope, actor=call.actor, dry_run=body.dry_run)


@endpoint("POST", "/jobs/cancel", role=Role.OPERATOR)
async def cancel_jobs(call: Call, *, body: CancelMany) -> Bulk:
    """Cancel the jobs of a filter, or count them."""
    chosen = _chosen(body)
    require_choice(is_empty=chosen.is_empty, everything=body.all)
    return await call.operations.jobs.cancel_many(
        chosen, call.scope, actor=call.actor, reason=body.reason, dry_run=body.dry_run
    )


def _chosen(given: JobsQuery | RetryMany) -> JobFilter:
    return JobFilter(
        status=given.status, connection=given.connection, kind=given.kind, source=given.source,
        delivery_id=given.delivery_id, entity_id=given.entity_id, error_code=given.error_code, since=given.since,
        until=given.until, text=given.text,
    )  # fmt: skip


ENDPOINTS = (list_jobs, get_job, retry_job, cancel_job, retry_jobs, cancel_jobs)
