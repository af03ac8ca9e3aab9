"""`delivery`: what was received, what became of it, and once more on purpose."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import bulk, output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import (
    All,
    Cursor,
    DeliveryState,
    DryRun,
    Environment,
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
    from gateway.operations.deliveries import DeliveryFilter

app = noun("Deliveries: what was received, byte for byte.")

COLUMNS = {
    "delivery": "delivery_id", "received": "received_at", "source": "source", "event": "event_type",
    "customer": "entity_id", "subject": "subject", "status": "status", "reason": "reason",
}  # fmt: skip
JOBS = {
    "job": "job_id", "kind": "kind", "connection": "connection", "about": "entity_id", "status": "status",
    "attempts": "attempts", "next attempt": "next_attempt_at", "reason": "reason",
}  # fmt: skip
Source = Annotated[str | None, typer.Option("--source", help="Of this source.")]
Status = Annotated[DeliveryState | None, typer.Option("--status", help="In this state.")]
EventType = Annotated[str | None, typer.Option("--event-type", help="Of this type, in the platform's own word.")]
Connection = Annotated[str | None, typer.Option("--connection", help="That went to this connection.")]
ErrorCode = Annotated[str | None, typer.Option("--error-code", help="With a job whose last error has this code.")]


@command(
    app,
    "list",
    "delivery list --status failed",
    "delivery list --since 2h --watch",
    "delivery list --text lovelace --json",
)
def list_(
    *,
    source: Source = None,
    status: Status = None,
    event_type: EventType = None,
    connection: Connection = None,
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
    """List deliveries, newest first."""
    chosen = _chosen(
        source=source,
        status=status,
        event_type=event_type,
        connection=connection,
        error_code=error_code,
        since=since,
        until=until,
        text=text,
    )
    scope = scope_of(tenant_id, environment_id)
    bulk.show_page(
        lambda: run(lambda desk: desk.operations.deliveries.list(scope, chosen, limit=limit, cursor=cursor)),
        COLUMNS, empty="No delivery.", watch=watch, json=json,
    )  # fmt: skip


@command(app, "show", "delivery show dlv_0123", "delivery show dlv_0123 --body > body.json")
def show(
    delivery_id: Annotated[str, typer.Argument(help="The delivery's id.")],
    *,
    body: Annotated[bool, typer.Option("--body", help="Print the body, byte for byte, and nothing else.")] = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Show one delivery with its jobs."""
    import sys

    from gateway.operations.deliveries import shown_headers

    scope = scope_of(tenant_id, environment_id)
    if body:
        sys.stdout.buffer.write(run(lambda desk: desk.operations.deliveries.body(delivery_id, scope)))
        sys.stdout.buffer.flush()
        return
    found = output.plain(run(lambda desk: desk.operations.deliveries.get(delivery_id, scope)))
    if json:
        output.print_json(found)
        return
    jobs, headers = found.pop("jobs"), found.pop("headers")
    output.print_facts(found)
    output.print_titled("Headers:", [{"name": name, "value": value} for name, value in shown_headers(headers)], HEADERS)
    output.print_titled("Jobs, oldest first:", jobs, JOBS)


HEADERS = {"name": "name", "value": "value"}


@command(app, "replay", "delivery replay dlv_0123", "delivery replay --source flexprice-prod --since 1d --dry-run")
def replay(
    delivery_ids: Annotated[list[str] | None, typer.Argument(help="Deliveries, by id.")] = None,
    *,
    source: Source = None,
    status: Status = None,
    event_type: EventType = None,
    connection: Connection = None,
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
    """Dispatch deliveries again, past dedupe and on purpose; linked customers stay linked.

    By a filter: those that have failed, unless it names a status. Exit code 3 when some could not be replayed.
    """
    chosen = _chosen(
        source=source,
        status=status,
        event_type=event_type,
        connection=connection,
        error_code=error_code,
        since=since,
        until=until,
        text=text,
    )
    one_of_many(bool(delivery_ids), not chosen.is_empty, everything, what="deliveries")
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> dict[str, Any]:
        deliveries = desk.operations.deliveries
        if delivery_ids:
            return await bulk.each(
                delivery_ids,
                look=lambda each: deliveries.get(each, scope),
                act=lambda each: deliveries.replay(each, scope, actor=ACTOR),
                dry_run=dry_run,
            )
        done = await deliveries.replay_many(chosen, scope, actor=ACTOR, dry_run=dry_run)
        return {**done.model_dump(mode="json"), "refused": []}

    bulk.tell(run(work), "replayed", noun="delivery", nouns="deliveries", json=json)


def _chosen(
    *,
    source: str | None,
    status: str | None,
    event_type: str | None,
    connection: str | None,
    error_code: str | None,
    since: str | None,
    until: str | None,
    text: str | None,
) -> "DeliveryFilter":
    from gateway.operations.deliveries import DeliveryFilter
    from storage.records import DeliveryStatus

    return DeliveryFilter(
        source=source, status=DeliveryStatus(status) if status else None, event_type=event_type,
        connection=connection, error_code=error_code, text=text, since=moment(since, option="--since"),
        until=moment(until, option="--until"),
    )  # fmt: skip
