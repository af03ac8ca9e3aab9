"""`mapping`: which record of a provider belongs to which billing customer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import bulk, output, transferring
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import Cursor, Environment, Json, Limit, MappingState, Tenant, Text, command, noun

if TYPE_CHECKING:
    from gateway.cli.opened import Opened
    from gateway.operations.mappings import MappingFilter
    from storage.records import MappingKey

app = noun("Mappings: which record of a provider belongs to which billing customer.")

COLUMNS = {
    "source": "source", "type": "entity_type", "entity": "entity_id", "connection": "connection",
    "record": "provider_entity_id", "status": "status", "origin": "origin", "synced": "synced_at",
    "written back": "written_back_at",
}  # fmt: skip
Source = Annotated[str, typer.Argument(help="The source that the customer is of.")]
Entity = Annotated[str, typer.Argument(help="The customer's id at the source.")]
Connection = Annotated[str, typer.Argument(help="The connection.")]
EntityType = Annotated[str, typer.Option("--entity-type", help="What is mapped.")]
OfSource = Annotated[str | None, typer.Option("--source", help="Of this source.")]
OfEntity = Annotated[str | None, typer.Option("--entity-id", help="Of this billing customer.")]
OfConnection = Annotated[str | None, typer.Option("--connection", help="On this connection.")]
OfRecord = Annotated[str | None, typer.Option("--provider-entity-id", help="To this record.")]
OfType = Annotated[str | None, typer.Option("--entity-type", help="Of this type.")]
Status = Annotated[MappingState | None, typer.Option("--status", help="In this state.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; kept in the audit.")]


@command(app, "list", "mapping list --text lovelace", "mapping list --connection qbo-prod --status stale --json")
def list_(
    *,
    source: OfSource = None,
    entity_id: OfEntity = None,
    connection: OfConnection = None,
    provider_entity_id: OfRecord = None,
    entity_type: OfType = None,
    status: Status = None,
    text: Text = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """List mappings, in the order of their keys."""
    chosen = _chosen(
        source=source,
        entity_id=entity_id,
        connection=connection,
        provider_entity_id=provider_entity_id,
        entity_type=entity_type,
        status=status,
        text=text,
    )
    scope = scope_of(tenant_id, environment_id)
    bulk.show_page(
        lambda: run(lambda desk: desk.operations.mappings.list(scope, chosen, limit=limit, cursor=cursor)),
        COLUMNS, empty="No mapping.", watch=False, json=json,
    )  # fmt: skip


@command(app, "show", "mapping show flexprice-prod cust_1 nomod-prod")
def show(
    source: Source,
    entity_id: Entity,
    connection: Connection,
    *,
    entity_type: EntityType = "customer",
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Show one mapping."""
    key, scope = _key(source, entity_type, entity_id, connection), scope_of(tenant_id, environment_id)
    _show(run(lambda desk: desk.operations.mappings.get(key, scope)), json=json)


@command(app, "link", "mapping link flexprice-prod cust_1 qbo-prod 58 --reason 'same company'")
def link(
    source: Source,
    entity_id: Entity,
    connection: Connection,
    provider_entity_id: Annotated[str, typer.Argument(help="The record's id at the provider.")],
    *,
    entity_type: EntityType = "customer",
    reason: Reason = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Ask the provider whether the record is there.")
    ] = True,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Link a customer to a record; the platform is told. What is linked so already stays as it is."""
    key, scope = _key(source, entity_type, entity_id, connection), scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> Any:
        return await desk.operations.mappings.put(
            key, scope, provider_entity_id=provider_entity_id, actor=ACTOR, reason=reason, verify=verify
        )

    _show(run(work, live=verify), json=json)


@command(app, "unlink", "mapping unlink flexprice-prod cust_1 qbo-prod --reason 'wrong company'")
def unlink(
    source: Source,
    entity_id: Entity,
    connection: Connection,
    *,
    entity_type: EntityType = "customer",
    reason: Reason = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Forget a mapping; the record stays at the provider. The next event looks for the customer again."""
    key, scope = _key(source, entity_type, entity_id, connection), scope_of(tenant_id, environment_id)
    _show(run(lambda desk: desk.operations.mappings.delete(key, scope, actor=ACTOR, reason=reason)), json=json)


@command(app, "export", "mapping export > mappings.csv", "mapping export --json --connection qbo-prod")
def export(
    *,
    form: transferring.FormatOption = None,
    file: Annotated[Path | None, typer.Option("--output", help="A new file; default: stdout.")] = None,
    source: OfSource = None,
    connection: OfConnection = None,
    status: Status = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Write mappings as CSV, or with --json as one JSON array, for spreadsheets and `mapping import`."""
    chosen = _chosen(source=source, connection=connection, status=status)
    transferring.export(chosen, scope_of(tenant_id, environment_id), form="json" if json else form, file=file)


@command(app, "import", "mapping import mappings.csv --dry-run", "mapping import mappings.json --verify")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or JSON, as `mapping export` writes it; - for stdin.")],
    *,
    form: transferring.FormatOption = None,
    verify: Annotated[bool, typer.Option("--verify", help="Ask the provider for each record.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be linked.")] = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Link row by row; a second import of the same changes nothing. Exit code 3 when rows were refused."""
    scope = scope_of(tenant_id, environment_id)
    done = transferring.take_in(file, scope, form=form, verify=verify, dry_run=dry_run)
    if json:
        output.print_json(done)
    else:
        told = "would be " if dry_run else ""
        output.line(
            f"{done['rows']} rows: {done['linked']} {told}linked, {done['unchanged']} as they were,"
            f" {done['refused']} refused."
        )
        for refusal in done["refusals"]:
            output.hint(f"row {refusal['row']}: {refusal['code']}: {refusal['detail']}")
    if done["refused"]:
        raise typer.Exit(3)


def _chosen(
    *,
    source: str | None,
    connection: str | None,
    status: str | None,
    entity_id: str | None = None,
    provider_entity_id: str | None = None,
    entity_type: str | None = None,
    text: str | None = None,
) -> "MappingFilter":
    from gateway.operations.mappings import MappingFilter
    from storage.records import MappingStatus

    return MappingFilter(
        source=source, entity_id=entity_id, connection=connection, provider_entity_id=provider_entity_id,
        entity_type=entity_type, status=MappingStatus(status) if status else None, text=text,
    )  # fmt: skip


def _key(source: str, entity_type: str, entity_id: str, connection: str) -> "MappingKey":
    from storage.records import MappingKey

    return MappingKey(source=source, entity_type=entity_type, entity_id=entity_id, connection=connection)


def _show(found: Any, *, json: bool) -> None:
    if json:
        output.print_json(found)
    else:
        output.print_facts(output.plain(found))
