"""`audit`: who changed what."""

from typing import Annotated

import typer

from gateway.cli import bulk
from gateway.cli.opened import run, scope_of
from gateway.cli.options import Cursor, Environment, Json, Limit, Since, Tenant, Until, command, moment, noun

app = noun("Audit: who changed what, and when.")

COLUMNS = {
    "at": "at", "actor": "actor", "action": "action", "subject": "subject", "tenant": "tenant_id",
    "environment": "environment_id", "detail": "detail",
}  # fmt: skip


@command(app, "list", "audit list", "audit list --subject qbo-prod --since 7d --json")
def list_(
    *,
    subject: Annotated[str | None, typer.Option("--subject", help="About this: a name or an id.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Such as `review.resolved`.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="By `admin`, `key:NAME`, `cli`, …")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """List changes, newest first."""
    scope = scope_of(tenant_id, environment_id)
    first, last = moment(since, option="--since"), moment(until, option="--until")
    bulk.show_page(
        lambda: run(
            lambda desk: desk.operations.audits.list(
                scope, subject=subject, action=action, actor=actor, since=first, until=last, limit=limit, cursor=cursor
            )
        ),
        COLUMNS, empty="No change yet.", watch=False, json=json,
    )  # fmt: skip
