"""`channel`: where alerts are told."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import Environment, Json, SecretStdin, Tenant, command, noun, wrong_usage

if TYPE_CHECKING:
    from gateway.cli.opened import Opened

app = noun("Channels: where alerts are told, by signed webhook or by e-mail.")

COLUMNS = {
    "name": "name", "kind": "kind", "where": "where", "alerts": "kinds", "last sent": "last_sent_at",
    "pending": "pending", "failed": "failed", "detail": "trouble", "tenant": "tenant_id",
    "environment": "environment_id",
}  # fmt: skip
MESSAGES = {
    "message": "message_id", "alert": "alert_id", "event": "event", "title": "title", "status": "status",
    "attempts": "attempts", "created": "created_at", "detail": "error",
}  # fmt: skip
Name = Annotated[str, typer.Argument(help="The channel's name.")]


@command(app, "list", "channel list", "channel list --json")
def list_(*, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """List the channels, and how each has fared."""
    found = run(lambda desk: desk.operations.channels.list(scope_of(tenant_id, environment_id)))
    if json:
        output.print_json({"items": found, "next_cursor": None})
    else:
        rows = [_row(each.model_dump(mode="json")) for each in found]
        output.print_table(rows, COLUMNS, empty="There is no channel yet: see `ledgergate channel add --help`.")


@command(app, "show", "channel show on-call", "channel show on-call --json")
def show(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Show one channel with its last messages. Of a URL only scheme and host are shown."""
    found = run(lambda desk: desk.operations.channels.get(name, scope_of(tenant_id, environment_id)))
    if json:
        output.print_json(found)
        return
    shown = found.model_dump(mode="json")
    messages = [{**each, "error": (each["error"] or {}).get("detail")} for each in shown.pop("messages")]
    output.print_facts({**shown, "last_error": (shown["last_error"] or {}).get("detail")})
    output.print_titled("Messages, newest first:", messages, MESSAGES)


@command(
    app,
    "add",
    "channel add on-call --url env:ALERT_URL --secret env:ALERT_SECRET",
    "channel add on-call --url https://hooks.example/ledgergate --generate-secret",
    "channel add mail --to ops@example.com --kind dead_letter --kind connection_paused",
)
def add(
    name: Annotated[str, typer.Argument(help="Its name.")],
    *,
    url: Annotated[
        str | None, typer.Option("--url", help="Where signed webhooks go; env:NAME or file:PATH where it is secret.")
    ] = None,
    secret: Annotated[
        list[str] | None, typer.Option("--secret", metavar="REF", help="env:NAME or file:PATH; all of several sign.")
    ] = None,
    secret_stdin: SecretStdin = False,
    generate_secret: Annotated[
        bool, typer.Option("--generate-secret", help="Make one, and print it this once.")
    ] = False,
    to: Annotated[
        list[str] | None, typer.Option("--to", help="Instead of a URL: an e-mail address; repeatable.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only alerts of this kind; repeatable. Default: all.")
    ] = None,
    tenant_id: Annotated[str | None, typer.Option("--tenant-id", help="Tenant; `default` when left out.")] = None,
    environment_id: Annotated[str | None, typer.Option("--environment-id", help="`prod` when left out.")] = None,
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="Hear of every tenant and environment.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change the one that is there.")] = False,
    json: Json = False,
) -> None:
    """Add a channel. Alerts that are open already are told to it where nobody has heard of them."""
    from gateway.configuration.channels import ChannelSpec
    from gateway.configuration.references import resolve
    from gateway.configuration.specs import parse_spec

    secrets, generated = _secrets(secret, secret_stdin, generate_secret) if url is not None else ([], None)
    given = {
        "url": resolve(url, where="--url") if url is not None else None, "secrets": secrets, "to": to, "kinds": kind,
        "tenant_id": tenant_id, "environment_id": environment_id, "all_tenants": all_tenants,
    }  # fmt: skip
    raw = {"name": name, **{key: value for key, value in given.items() if value}}
    spec = parse_spec(ChannelSpec, raw, where=f"channel {name}")

    async def work(desk: "Opened") -> Any:
        if not replace:
            await _refuse_known(desk, name)
        return await desk.operations.channels.put(spec, actor=ACTOR)

    done = run(work).model_dump(mode="json")
    if json:
        output.print_json({**done, **({"secret": generated} if generated else {})})
        return
    output.hint(f"Channel {name}: {done['change']}. Try it: `ledgergate channel test {name}`.")
    if generated is not None:
        output.hint("The secret, shown this once; give it to the receiver:")
        output.line(generated)


@command(app, "test", "channel test on-call", "channel test mail --json")
def send_test(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Send a harmless message now, from this process. Exit code 1, with the reason, when it is not taken."""
    scope = scope_of(tenant_id, environment_id)
    done = run(lambda desk: desk.operations.channels.test(name, scope, actor=ACTOR))
    if json:
        output.print_json(done)
    else:
        output.hint(f"Taken: message {done.message_id} through channel {name}.")


@command(app, "remove", "channel remove on-call")
def remove(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Remove it; what waited for it is not sent any more."""
    scope = scope_of(tenant_id, environment_id)
    run(lambda desk: desk.operations.channels.delete(name, scope, actor=ACTOR))
    if json:
        output.print_json({"name": name, "status": "removed"})
    else:
        output.hint(f"Channel {name} is removed.")


def _secrets(
    references: list[str] | None,
    from_stdin: bool,  # noqa: FBT001 - as typer hands it over
    generate: bool,  # noqa: FBT001 - as typer hands it over
) -> tuple[list[str], str | None]:
    """Return the secrets, and the one that was made here, if any."""
    from gateway.cli.given import read_stdin, referenced
    from gateway.sources.signing import new_secret

    if (references is not None) + from_stdin + generate != 1:
        wrong_usage("give the secret one way: --secret env:NAME, --secret file:PATH, --secret-stdin, --generate-secret")
    if references is not None:
        return [referenced(each, option="--secret") for each in references], None
    if from_stdin:
        return [read_stdin()], None
    made = new_secret()
    return [made], made


async def _refuse_known(desk: "Opened", name: str) -> None:
    from storage.errors import ConflictError

    if any(row.name == name for row in await desk.store.list_channels()):
        msg = f"there is a channel {name!r} already; --replace changes it"
        raise ConflictError(msg)


def _row(shown: dict[str, Any]) -> dict[str, Any]:
    trouble = (shown["last_error"] or {}).get("detail")
    return {**shown, "where": shown["host"] or shown["to"], "trouble": trouble, "kinds": len(shown["kinds"])}
