"""`alert`: what needs a person or did, and what was told of it."""

from typing import Annotated, Literal

import typer

from gateway.cli import bulk, output
from gateway.cli.opened import run, scope_of
from gateway.cli.options import Cursor, Environment, Json, Limit, Tenant, Watch, command, noun

app = noun("Alerts: what needs a person, and what was told of it.")

COLUMNS = {
    "alert": "alert_id", "kind": "kind", "subject": "subject", "status": "status", "count": "count",
    "opened": "opened_at", "told": "told_at", "closed": "closed_at", "facts": "facts", "tenant": "tenant_id",
    "environment": "environment_id",
}  # fmt: skip
MESSAGES = {
    "message": "message_id", "channel": "channel", "event": "event", "status": "status", "attempts": "attempts",
    "created": "created_at", "next attempt": "next_attempt_at", "detail": "error",
}  # fmt: skip


@command(app, "list", "alert list", "alert list --status open --json", "alert list --kind dead_letter")
def list_(
    *,
    status: Annotated[
        Literal["open", "closed"] | None, typer.Option("--status", help="Whether it still holds.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="Such as `dead_letter`; docs/alerts.md lists them.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    watch: Watch = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """List alerts, the one that opened last first. Those that are over are kept for 30 days."""
    from storage.records import AlertStatus

    scope, wanted = scope_of(tenant_id, environment_id), AlertStatus(status) if status is not None else None
    bulk.show_page(
        lambda: run(
            lambda desk: desk.operations.alerts.list(scope, status=wanted, kind=kind, limit=limit, cursor=cursor)
        ),
        COLUMNS, empty="No alert: nothing needs a person.", watch=watch, json=json,
    )  # fmt: skip


@command(app, "show", "alert show alr_0199", "alert show alr_0199 --json")
def show(
    alert: Annotated[str, typer.Argument(help="The alert's id.")],
    *,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Show one alert, and each message that tells of it."""
    found = run(lambda desk: desk.operations.alerts.get(alert, scope_of(tenant_id, environment_id)))
    if json:
        output.print_json(found)
        return
    shown = found.model_dump(mode="json")
    output.print_facts({name: value for name, value in shown.items() if name != "messages"})
    rows = [{**each, "error": (each["error"] or {}).get("detail")} for each in shown["messages"]]
    output.print_titled("Messages, newest first:", rows, MESSAGES)
