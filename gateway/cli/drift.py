"""`drift`: linked records that are not as they were linked."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import Environment, Json, Tenant, command, noun

if TYPE_CHECKING:
    from gateway.operations.drift import DriftDetail

app = noun("Drift: linked records that are gone, inactive, renamed or doubled at the provider.")

COLUMNS = {
    "connection": "connection", "scanned": "ended_at", "checked": "checked", "gone": "gone", "inactive": "inactive",
    "renamed": "renamed", "doubled": "doubled", "next": "next_at", "detail": "error",
}  # fmt: skip
FINDINGS = {
    "kind": "kind", "source": "source", "customer": "entity_id", "record": "provider_entity_id", "fields": "fields",
    "other": "other",
}  # fmt: skip
Name = Annotated[str, typer.Argument(help="The connection's name.")]


@command(app, "list", "drift list", "drift list --json")
def list_(*, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """List what the last scan of each connection came to. Each is scanned once a day."""
    found = run(lambda desk: desk.operations.drift.list(scope_of(tenant_id, environment_id)))
    if json:
        output.print_json({"items": found, "next_cursor": None})
    else:
        rows = [each.model_dump(mode="json") for each in found]
        output.print_table(rows, COLUMNS, empty="There is no connection yet.")


@command(app, "show", "drift show qbo-prod", "drift show qbo-prod --json")
def show(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Show what the last scan of a connection has found.

    What is gone or inactive stands in `review list` as well; what was renamed or is there twice is only told.
    """
    _print(run(lambda desk: desk.operations.drift.get(name, scope_of(tenant_id, environment_id))), json=json)


@command(app, "scan", "drift scan qbo-prod", "drift scan qbo-prod --json")
def scan(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Look at every linked record now. It keeps to the provider's limits, and may take hours for many records.

    Exit code 3 when something needs a person.
    """
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: Any) -> "DriftDetail":
        found: DriftDetail = await desk.operations.drift.scan(name, scope, actor=ACTOR)
        return found

    found = run(work, live=True)
    _print(found, json=json)
    if found.gone or found.inactive:
        raise typer.Exit(3)


def _print(found: "DriftDetail", *, json: bool) -> None:
    if json:
        output.print_json(found)
        return
    shown = found.model_dump(mode="json")
    output.print_facts({name: value for name, value in shown.items() if name != "findings"})
    output.print_titled("Findings:", shown["findings"], FINDINGS)
