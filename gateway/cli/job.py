"""`job`: the units of work, their attempts, and what a person does about them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import bulk, output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import (
    All,
    Cursor,
    DryRun,
    Environment,
    JobState,
    Json,
    Limit,
    Since,
    Tenant,
    Text,
    Until,
    Watch,
    command,
    moment,
    noun,
    one_of_many,
)

if TYPE_CHECKING:
    from gateway.cli.opened import Opened
    from gateway.operations.jobs import JobFilter

app = noun("Jobs: the durable units of work.")

COLUMNS = {
    "job": "job_id", "kind": "kind", "source": "source", "connection": "connection", "about": "entity_id",
    "status": "status", "attempts": "attempts", "next attempt": "next_attempt_at", "error": "error_code",
    "reason": "reason",
}  # fmt: skip
ATTEMPTS = {
    "no.": "number", "started": "started_at", "finished": "finished_at", "outcome": "outcome", "error": "error_code",
    "detail": "detail", "requests": "requests",
}  # fmt: skip
Ids = Annotated[list[str] | None, typer.Argument(help="Jobs, by id.")]
Status = Annotated[JobState | None, typer.Option("--status", help="In this state.")]
Connection = Annotated[str | None, typer.Option("--connection", help="Of this connection.")]
Kind = Annotated[str | None, typer.Option("--kind", help="`ensure_customer`, `write_back`, …")]
Source = Annotated[str | None, typer.Option("--source", help="Of this source.")]
Delivery = Annotated[str | None, typer.Option("--delivery-id", help="Of this delivery.")]
Entity = Annotated[str | None, typer.Option("--entity-id", help="About this billing customer, or this invoice.")]
ErrorCode = Annotated[str | None, typer.Option("--error-code", help="Whose last error has this code.")]


@command(
    app,
    "list",
    "job list --status failed",
    "job list --connection nomod-prod --watch",
    "job list --text lovelace --since 1d --json",
)
def list_(
    *,
    status: Status = None,
    connection: Connection = None,
    kind: Kind = None,
    source: Source = None,
    delivery_id: Delivery = None,
    entity_id: Entity = None,
    error_code: ErrorCode = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    chosen = _chosen(
        status=status,
        connection=connection,
        kind=kind,
        source=source,
        delivery_id=delivery_id,
        entity_id=entity_id,
        error_code=error_code,
        since=since,
        until=until,
        text=text,
    )
    scope = scope_of(tenant_id, environment_id)

    def fetch() -> Any:
        found = run(lambda desk: desk.operations.jobs.list(scope, chosen, limit=limit, cursor=cursor))
        return found if json else _rows(output.plain(found))

    bulk.show_page(fetch, COLUMNS, empty="No job.", watch=watch, json=json)


@command(app, "show", "job show job_0123", "job show job_0123 --json")
def show(
    job_id: Annotated[str, typer.Argument(help="The job's id.")],
    *,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Show one job with its attempts, and what to do about its error."""
    found = output.plain(run(lambda desk: desk.operations.jobs.get(job_id, scope_of(tenant_id, environment_id))))
    if json:
        output.print_json(found)
        return
    error, attempts = found.pop("error"), found.pop("attempts")
    output.print_facts(found)
    if error:
        output.line("\nLast error:")
        output.print_facts({name: error[name] for name in ("code", "detail", "cause", "resolution")})
    rows = [{**each, **_error(each), "requests": len(each["exchanges"])} for each in attempts]
    output.print_titled("Attempts, oldest first:", rows, ATTEMPTS)


@command(
    app, "retry", "job retry job_0123", "job retry --error-code unreachable --since 1d --dry-run", "job retry --all"
)
def retry(
    job_ids: Ids = None,
    *,
    status: Status = None,
    connection: Connection = None,
    kind: Kind = None,
    source: Source = None,
    delivery_id: Delivery = None,
    entity_id: Entity = None,
    error_code: ErrorCode = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    everything: All = False,
    dry_run: DryRun = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Make jobs due at once, with a whole retry schedule before them.

    By a filter: those that have failed, unless it names a status. Exit code 3 when some could not be retried.
    """
    chosen = _chosen(
        status=status,
        connection=connection,
        kind=kind,
        source=source,
        delivery_id=delivery_id,
        entity_id=entity_id,
        error_code=error_code,
        since=since,
        until=until,
        text=text,
    )
    one_of_many(bool(job_ids), not chosen.is_empty, everything, what="jobs")
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> dict[str, Any]:
        jobs = desk.operations.jobs
        if job_ids:
            act: Callable[[str], Any] = lambda each: jobs.retry(each, scope, actor=ACTOR)  # noqa: E731
            return await bulk.each(job_ids, look=lambda each: jobs.get(each, scope), act=act, dry_run=dry_run)
        done = await jobs.retry_many(chosen, scope, actor=ACTOR, dry_run=dry_run)
        return {**done.model_dump(mode="json"), "refused": []}

    bulk.tell(run(work), "retried", noun="job", nouns="jobs", json=json)


@command(app, "cancel", "job cancel job_0123 --reason 'test customer'", "job cancel --connection old --dry-run")
def cancel(
    job_ids: Ids = None,
    *,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept with the job.")] = None,
    status: Status = None,
    connection: Connection = None,
    kind: Kind = None,
    source: Source = None,
    delivery_id: Delivery = None,
    entity_id: Entity = None,
    error_code: ErrorCode = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    everything: All = False,
    dry_run: DryRun = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """End jobs that wait, have failed or are under review.

    By a filter: those that wait or have failed, unless it names a status. Exit code 3 when some could not be cancelled.
    """
    chosen = _chosen(
        status=status,
        connection=connection,
        kind=kind,
        source=source,
        delivery_id=delivery_id,
        entity_id=entity_id,
        error_code=error_code,
        since=since,
        until=until,
        text=text,
    )
    one_of_many(bool(job_ids), not chosen.is_empty, everything, what="jobs")
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> dict[str, Any]:
        jobs = desk.operations.jobs
        if job_ids:
            act: Callable[[str], Any] = lambda each: jobs.cancel(each, scope, actor=ACTOR, reason=reason)  # noqa: E731
            return await bulk.each(job_ids, look=lambda each: jobs.get(each, scope), act=act, dry_run=dry_run)
        done = await jobs.cancel_many(chosen, scope, actor=ACTOR, reason=reason, dry_run=dry_run)
        return {**done.model_dump(mode="json"), "refused": []}

    bulk.tell(run(work), "cancelled", noun="job", nouns="jobs", json=json)


def _chosen(
    *,
    status: str | None,
    connection: str | None,
    kind: str | None,
    source: str | None,
    delivery_id: str | None,
    entity_id: str | None,
    error_code: str | None,
    since: str | None,
    until: str | None,
    text: str | None,
) -> "JobFilter":
    from gateway.operations.jobs import JobFilter
    from storage.records import JobStatus

    return JobFilter(
        status=JobStatus(status) if status else None, connection=connection, kind=kind, source=source,
        delivery_id=delivery_id, entity_id=entity_id, error_code=error_code, text=text,
        since=moment(since, option="--since"), until=moment(until, option="--until"),
    )  # fmt: skip


def _rows(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "items": [{**each, **_error(each)} for each in found["items"]]}


def _error(found: dict[str, Any]) -> dict[str, Any]:
    error = found["error"] or {}
    return {"error_code": error.get("code"), "detail": error.get("detail")}
