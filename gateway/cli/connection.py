"""`connection`: connectors with credentials; the consent has a room of its own."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import authorizing, bulk, output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import Environment, Json, Tenant, Watch, command, noun

if TYPE_CHECKING:
    from gateway.cli.opened import Opened

app = noun("Connections: the systems in which customers are found and made.")
authorizing.add_to(app)

COLUMNS = {
    "name": "name", "connector": "connector", "tenant": "tenant_id", "environment": "environment_id",
    "status": "status", "pause reason": "pause_reason", "account": "account", "outbound": "outbound",
}  # fmt: skip
Name = Annotated[str, typer.Argument(help="The connection's name.")]


@command(app, "list", "connection list", "connection list --watch", "connection list --environment-id prod --json")
def list_(
    *, tenant_id: Tenant = None, environment_id: Environment = None, watch: Watch = False, json: Json = False
) -> None:
    """List the connections, and why paused ones are."""
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> tuple[list[dict[str, Any]], frozenset[str]]:
        connections = desk.operations.connections
        return await connections.list(scope), frozenset() if json else await connections.unconsented(scope)

    def fetch() -> Any:
        found, unconsented = run(work)
        items = found if json else [_row(each, unconsented) for each in found]
        return {"items": items, "next_cursor": None}

    empty = "There is no connection yet: see `ledgergate connection add`."
    bulk.show_page(fetch, COLUMNS, empty=empty, watch=watch, json=json)


@command(app, "show", "connection show nomod-prod", "connection show qbo-prod --json")
def show(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Show one connection with its settings; of secrets only which there are."""
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> tuple[dict[str, Any], frozenset[str]]:
        connections = desk.operations.connections
        found = await connections.get(name, scope)
        return found, frozenset() if json else await connections.unconsented(scope, name=name)

    found, unconsented = run(work)
    if json:
        output.print_json(found)
        return
    found["status"] = _status(found, unconsented)
    settings = found.pop("settings")
    account = found.pop("account") or {}
    circuit = found.pop("circuit")
    output.print_facts({**found, "circuit": circuit["state"], "outbound": settings["invoice_sync"]["outbound"]})
    if circuit["failures"] or circuit["held_until"]:
        output.line("\nCircuit:")
        output.print_facts(circuit)
    if account:
        output.line("\nAccount:")
        output.print_facts(account)
    output.line("\nConfig:")
    output.print_facts(settings["config"])


@command(
    app,
    "add",
    "connection add nomod-prod --connector nomod --config api_key=env:NOMOD_API_KEY --outbound",
    "connection add nomod-prod --connector nomod --secret-stdin --outbound",
    "connection add qbo-prod --connector quickbooks --config client_id=ABc --config client_secret=env:QBO_SECRET",
)
def add(
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    connector: Annotated[str, typer.Option("--connector", help="`nomod`, `quickbooks`, or a plugin's name.")],
    config: Annotated[
        list[str] | None,
        typer.Option("--config", metavar="KEY=VALUE", help="A setting of the connector; secrets as env:NAME."),
    ] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read the connector's required secret from standard input.")
    ] = False,
    outbound: Annotated[bool, typer.Option("--outbound", help="Finalized invoices bring customers here.")] = False,
    customer_only: Annotated[
        bool, typer.Option("--customer-only", help="Never an invoice, whatever the connector can.")
    ] = False,
    tenant_id: Annotated[str, typer.Option("--tenant-id", help="Tenant that it belongs to.")] = "default",
    environment_id: Annotated[str, typer.Option("--environment-id", help="Environment that it belongs to.")] = "prod",
    replace: Annotated[bool, typer.Option("--replace", help="Change the one that is there.")] = False,
    json: Json = False,
) -> None:
    """Add a connection; running gateways use it within two seconds. `connection test` proves its credentials."""
    from gateway.cli.configuring import read_config
    from gateway.configuration.specs import ConnectionSpec, parse_spec

    raw = {
        "name": name, "connector": connector, "tenant_id": tenant_id, "environment_id": environment_id,
        "invoice_sync": {"outbound": outbound, "customer_only": customer_only},
        "config": read_config(connector, config or [], from_stdin=secret_stdin),
    }  # fmt: skip
    spec = parse_spec(ConnectionSpec, raw, where=f"connection {name}")

    async def work(desk: "Opened") -> dict[str, Any]:
        if not replace and any(row.name == name for row in await desk.store.list_connections()):
            from storage.errors import ConflictError

            msg = f"there is a connection {name!r} already; --replace changes it"
            raise ConflictError(msg)
        return await desk.operations.connections.put(spec, actor=ACTOR)

    done = run(work)
    if json:
        output.print_json(done)
    else:
        output.hint(f"Connection {name}: {done['change']}. Try it with `ledgergate connection test {name}`.")


@command(app, "test", "connection test nomod-prod", "connection test qbo-prod --json")
def prove(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Prove that its credentials work, without writing, and show the account behind them."""
    done = run(lambda desk: desk.operations.connections.test(name, scope_of(tenant_id, environment_id)))
    if json:
        output.print_json(done)
    else:
        output.print_facts(done)


@command(app, "pause", "connection pause nomod-prod --reason maintenance")
def pause(
    name: Name,
    *,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; shown with it.")] = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Let its jobs wait, without burning attempts, until it is resumed."""
    scope = scope_of(tenant_id, environment_id)
    _told(run(lambda desk: desk.operations.connections.pause(name, scope, reason=reason, actor=ACTOR)), json=json)


@command(app, "resume", "connection resume nomod-prod")
def resume(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Let its jobs go on."""
    scope = scope_of(tenant_id, environment_id)
    _told(run(lambda desk: desk.operations.connections.resume(name, scope, actor=ACTOR)), json=json)


@command(app, "remove", "connection remove nomod-old", "connection remove qbo-old --yes")
def remove(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Revoke its tokens, drop its secrets, cancel what waits for it. Mappings stay.

    Exit code 3 when the provider did not take part: the app's access must be removed there by hand.
    """
    import sys

    if sys.stdin.isatty() and not yes:
        typer.confirm(f"Remove connection {name}, its credentials and its waiting jobs?", abort=True, err=True)
    scope = scope_of(tenant_id, environment_id)
    done = run(lambda desk: desk.operations.connections.remove(name, scope, actor=ACTOR))
    if json:
        output.print_json(done)
    else:
        output.hint(f"Connection {name} is removed; {done['cancelled_jobs']} waiting jobs were cancelled.")
    if done["warning"]:
        output.hint(f"Attention: {done['warning']}.")
        raise typer.Exit(3)


def _status(found: dict[str, Any], unconsented: frozenset[str]) -> str:
    """Return a status for people: one that is active can do nothing before the consent."""
    return (
        output.NEEDS_CONSENT if found["status"] == "active" and found["name"] in unconsented else str(found["status"])
    )


def _row(found: dict[str, Any], unconsented: frozenset[str]) -> dict[str, Any]:
    account = found["account"] or {}
    return {
        **found,
        "status": _status(found, unconsented),
        "account": account.get("name") or account.get("account_id"),
        "outbound": found["settings"].get("invoice_sync", {}).get("outbound", False),
    }


def _told(done: dict[str, Any], *, json: bool) -> None:
    if json:
        output.print_json(done)
        return
    reason = f": {done['pause_reason']}" if done["pause_reason"] else ""
    output.hint(f"Connection {done['name']} is {done['status']}{reason}.")
