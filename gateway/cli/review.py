"""`review`: what only a person may decide."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli import bulk, output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import (
    Cursor,
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
)

if TYPE_CHECKING:
    from gateway.cli.opened import Opened

app = noun("Reviews: what only a person may decide.")

COLUMNS = {
    "review": "review_id", "created": "created_at", "connection": "connection", "about": "entity_id",
    "kind": "kind", "candidates": "count", "status": "status", "reason": "reason",
}  # fmt: skip
CANDIDATES = {
    "record": "provider_entity_id", "name": "name", "email": "email", "phone": "phone", "total": "total",
    "active": "active", "differs": "differs", "why": "why",
}  # fmt: skip


@command(app, "list", "review list", "review list --status all --json", "review list --connection qbo-prod --watch")
def list_(
    *,
    status: Annotated[Literal["open", "resolved", "all"], typer.Option("--status", help="Which.")] = "open",
    connection: Annotated[str | None, typer.Option("--connection", help="Of this connection.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="`ambiguous`, `outcome_unknown`, `stale`, …")] = None,
    entity_id: Annotated[str | None, typer.Option("--entity-id", help="About this billing customer.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Of this source.")] = None,
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
    """List what waits for a decision, newest first."""
    from gateway.operations.reviews import ReviewFilter
    from storage.records import ReviewStatus

    chosen = ReviewFilter(
        status=ReviewStatus(status) if status != "all" else None, connection=connection, kind=kind,
        entity_id=entity_id, source=source, text=text, since=moment(since, option="--since"),
        until=moment(until, option="--until"),
    )  # fmt: skip
    scope = scope_of(tenant_id, environment_id)

    def fetch() -> Any:
        found = run(lambda desk: desk.operations.reviews.list(scope, chosen, limit=limit, cursor=cursor))
        if json:
            return found
        plain = output.plain(found)
        return {**plain, "items": [{**each, "count": len(each["candidates"])} for each in plain["items"]]}

    bulk.show_page(fetch, COLUMNS, empty="Nothing waits for a decision.", watch=watch, json=json)


@command(app, "show", "review show rev_0123", "review show rev_0123 --json")
def show(
    review_id: Annotated[str, typer.Argument(help="The review's id.")],
    *,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Show one question with its candidates side by side, and what each decision will do."""
    found = output.plain(run(lambda desk: desk.operations.reviews.get(review_id, scope_of(tenant_id, environment_id))))
    if json:
        output.print_json(found)
        return
    candidates, customer = found.pop("candidates"), found.pop("customer") or {}
    decisions, undo = found.pop("choices"), found.pop("undo")
    output.print_facts(found)
    kind = found["entity_type"].replace("_", " ")
    rows = [
        {**customer, "provider_entity_id": f"(the {kind})", "active": None, "differs": None, "why": found["source"]}
    ]
    output.print_titled(f"The {kind} and the candidates:", [*(rows if customer else []), *candidates], CANDIDATES)
    if decisions:
        output.line("\nDecide:")
    for each in decisions:
        record = " --provider-entity-id ID" if each["decision"] == "adopt" else ""
        output.line(f"  ledgergate review resolve {review_id} --decision {each['decision']}{record}")
        output.line(f"      {each['does']}{' ' + each['warning'] if each['warning'] else ''}")
    if undo:
        output.line(f"\nTo take it back: {undo}")


@command(
    app,
    "resolve",
    "review resolve rev_0123 --decision adopt --provider-entity-id 58",
    "review resolve rev_0123 --decision create",
    "review resolve rev_0123 --decision ignore",
)
def resolve(
    review_id: Annotated[str, typer.Argument(help="The review's id.")],
    *,
    decision: Annotated[
        Literal["adopt", "create", "ignore"], typer.Option("--decision", help="Link, make a new record, or do nothing.")
    ],
    provider_entity_id: Annotated[
        str | None, typer.Option("--provider-entity-id", help="The record to link; with adopt only.")
    ] = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Record a decision; the running gateway carries it out at once.

    Exit code 3 when it cannot yet, since the connection is paused.
    """
    from gateway.cli.options import wrong_usage
    from gateway.operations.reviews import Decision

    if (decision == "adopt") != (provider_entity_id is not None):
        wrong_usage("--provider-entity-id goes with --decision adopt, and only with it")
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> tuple[Any, str | None]:
        done = await desk.operations.reviews.resolve(
            review_id, scope, decision=Decision(decision), provider_entity_id=provider_entity_id, actor=ACTOR
        )
        rows = await desk.store.list_connections()
        reasons = [row.pause_reason for row in rows if row.name == done.connection and row.status == "paused"]
        return done, reasons[0] if reasons else None

    done, paused = run(work, live=decision == "adopt")
    if json:
        output.print_json(done)
    else:
        output.hint(f"Review {review_id} is resolved: {decision}.")
    if done.voided_at is not None and decision == "adopt":
        off = "switched off" if done.entity_type == "payment_link" else "voided as well"
        output.hint(f"The platform has voided the invoice meanwhile: record {provider_entity_id} is {off}.")
    if paused is not None and decision != "ignore":
        output.hint(f"Attention: connection {done.connection} is paused ({paused}); the job waits until it is resumed.")
        raise typer.Exit(3)
