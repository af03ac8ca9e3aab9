"""`key`: API keys."""

from typing import Annotated, Any, Literal

import typer

from gateway.cli import output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import Environment, Json, Tenant, command, noun

app = noun("Keys: who may use the API and the console, where, and for what.")

COLUMNS = {
    "key": "key_id", "name": "name", "tenant": "tenant_id", "environment": "environment_id", "role": "role",
    "status": "status", "created": "created_at", "last used": "last_used_at",
}  # fmt: skip


@command(
    app,
    "create",
    "key create billing-app --tenant-id tenant_123 --environment-id prod --role viewer",
    "key create ops --tenant-id tenant_123 --role operator --json",
)
def create(
    name: Annotated[str, typer.Argument(help="A name for it.")],
    *,
    tenant_id: Annotated[str, typer.Option("--tenant-id", help="The tenant that it is bound to.")] = "default",
    environment_id: Annotated[str, typer.Option("--environment-id", help="And the environment.")] = "prod",
    role: Annotated[
        Literal["viewer", "operator", "admin"], typer.Option("--role", help="Look, act, or configure as well.")
    ] = "viewer",
    json: Json = False,
) -> None:
    """Make an API key. It is printed this once, on stdout, and kept only as a hash."""
    from gateway.access import Role

    async def work(desk: Any) -> dict[str, Any]:
        made: dict[str, Any] = await desk.operations.keys.create(
            name, role=Role(role), actor=ACTOR, tenant_id=tenant_id, environment_id=environment_id
        )
        return made

    made = run(work)
    if json:
        output.print_json(made)
        return
    output.hint(f"Key {made['key_id']} ({role} of {tenant_id}/{environment_id}), shown this once:")
    output.line(made["key"])


@command(app, "list", "key list", "key list --tenant-id tenant_123 --json")
def list_(*, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """List the keys, revoked ones too; never a key itself."""
    found = run(lambda desk: desk.operations.keys.list(scope_of(tenant_id, environment_id)))
    if json:
        output.print_json({"items": found, "next_cursor": None})
    else:
        output.print_table(found, COLUMNS, empty="There is no key yet: see `ledgergate key create`.")


@command(app, "revoke", "key revoke key_0123", "key revoke billing-app")
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, or its name.")],
    *,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Refuse a key from now on; running gateways follow within two seconds."""
    scope = scope_of(tenant_id, environment_id)
    done = run(lambda desk: desk.operations.keys.revoke(key, scope, actor=ACTOR))
    if json:
        output.print_json(done)
    else:
        output.hint(f"Key {done['key_id']} ({done['name']}) is revoked.")
