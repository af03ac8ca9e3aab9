"""`source`: the billing platforms' accounts that post to us."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli import bulk, output
from gateway.cli.opened import ACTOR, run, scope_of
from gateway.cli.options import Environment, Json, SecretStdin, Tenant, Watch, command, noun

if TYPE_CHECKING:
    from gateway.cli.opened import Opened

app = noun("Sources: the platforms' accounts that post to us.")

COLUMNS = {
    "name": "name", "platform": "platform", "tenant": "tenant_id", "environment": "environment_id",
    "status": "status", "verification": "verification", "last accepted": "last_accepted_at",
    "last rejected": "last_rejected",
}  # fmt: skip
Name = Annotated[str, typer.Argument(help="The source's name.")]
PLATFORMS = "`flexprice`, `tirdad`, `tithely`; `nomod`, `quickbooks` for payments; or a plugin's name."


@command(app, "list", "source list", "source list --watch", "source list --tenant-id tenant_123 --json")
def list_(
    *, tenant_id: Tenant = None, environment_id: Environment = None, watch: Watch = False, json: Json = False
) -> None:
    """List the sources, and when each was last heard and refused."""
    scope = scope_of(tenant_id, environment_id)

    def fetch() -> Any:
        found = run(lambda desk: desk.operations.sources.list(scope))
        return {"items": found if json else [*map(_row, found)], "next_cursor": None}

    bulk.show_page(fetch, COLUMNS, empty="There is no source yet: see `ledgergate source add`.", watch=watch, json=json)


@command(app, "show", "source show flexprice-prod", "source show flexprice-prod --json")
def show(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Show one source, with the last requests that its door has refused."""
    found = run(lambda desk: desk.operations.sources.get(name, scope_of(tenant_id, environment_id)))
    if json:
        output.print_json(found)
        return
    output.print_facts(
        {field: value for field, value in _row(found).items() if field not in ("rejections", "secrets_used")}
    )
    used = {"secret": "number", "last used": "last_used_at"}
    output.print_titled("Secrets, newest first; uses since they were changed:", found["secrets_used"], used)
    columns = {"time": "time", "reason": "reason", "bytes": "body_bytes", "headers": "headers"}
    rows = [{**each, "headers": dict(each["headers"])} for each in found["rejections"]]
    output.print_titled("Refused requests, newest first:", rows, columns)


@command(
    app,
    "add",
    "source add flexprice-prod --platform flexprice --secret env:WEBHOOK_SECRET --api-key env:API_KEY",
    "source add tithely --platform tithely --generate-secret",
    "source add legacy --platform flexprice --verification static-header --secret file:token.txt",
    "source add nomod-payments --platform nomod --secret env:NOMOD_SECRET --option connection=nomod-prod",
    "source add gifts --platform tithely --generate-secret --poll public_key=pub_1 --poll private_key=env:TITHELY_KEY"
    " --poll organization_id=org_1",
)
def add(
    name: Annotated[str, typer.Argument(help="Its name, also the end of its webhooks' URL.")],
    *,
    platform: Annotated[str, typer.Option("--platform", help=PLATFORMS)],
    verification: Annotated[
        Literal["standard-webhooks", "static-header", "intuit-signature"],
        typer.Option("--verification", help="How it proves itself."),
    ] = "standard-webhooks",
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="REF", help="env:NAME or file:PATH; several are all tried."),
    ] = None,
    secret_stdin: SecretStdin = False,
    generate_secret: Annotated[
        bool, typer.Option("--generate-secret", help="Make one, and print it this once.")
    ] = False,
    header: Annotated[str | None, typer.Option("--header", help="Header of the token; static-header only.")] = None,
    api_url: Annotated[str | None, typer.Option("--api-url", help="Base address of the platform's API.")] = None,
    api_key: Annotated[str | None, typer.Option("--api-key", help="Its key: env:NAME or file:PATH.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the platform; secrets as env:NAME."),
    ] = None,
    poll: Annotated[
        list[str] | None,
        typer.Option("--poll", metavar="KEY=VALUE", help="A setting of Tithely's polling; private_key as env:NAME."),
    ] = None,
    tenant_id: Annotated[str, typer.Option("--tenant-id", help="Tenant that it belongs to.")] = "default",
    environment_id: Annotated[str, typer.Option("--environment-id", help="Environment that it belongs to.")] = "prod",
    replace: Annotated[bool, typer.Option("--replace", help="Change the one that is there.")] = False,
    json: Json = False,
) -> None:
    """Add a source; running gateways receive for it within two seconds."""
    from gateway.cli.configuring import read_options, read_poll
    from gateway.cli.given import referenced
    from gateway.configuration.specs import SourceSpec, parse_spec

    secrets, generated = _secrets(secret, secret_stdin, generate_secret, verification)
    raw = {
        "name": name, "platform": platform, "verification": verification, "secrets": secrets, "header": header,
        "api_url": api_url, "tenant_id": tenant_id, "environment_id": environment_id,
        "api_key": referenced(api_key, option="--api-key") if api_key is not None else None,
        "options": read_options(platform, option or []), "poll": read_poll(poll or []),
    }  # fmt: skip
    spec = parse_spec(SourceSpec, raw, where=f"source {name}")

    async def work(desk: "Opened") -> dict[str, Any]:
        if not replace:
            await _refuse_known(desk, name)
        return await desk.operations.sources.put(spec, actor=ACTOR)

    done = run(work)
    if json:
        output.print_json({**done, **({"secret": generated} if generated else {})})
        return
    output.hint(f"Source {name}: {done['change']}. Its URL: {done['url']}")
    _show_secret(generated)


@command(
    app,
    "rotate-secret",
    "source rotate-secret flexprice-prod --secret-stdin",
    "source rotate-secret tithely",
    "source rotate-secret tithely --secret file:new.txt --drop-old",
)
def rotate_secret(
    name: Name,
    *,
    secret: Annotated[
        str | None, typer.Option("--secret", help="The new one: env:NAME or file:PATH; without, one is made.")
    ] = None,
    secret_stdin: SecretStdin = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Refuse the old ones from now on.")] = False,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Put a new signing secret before the others. The old ones go on working until `--drop-old`.

    Without a secret given, one is made and printed this once.
    """
    from gateway.cli.given import secret as given

    new = given(secret, from_stdin=secret_stdin)
    scope = scope_of(tenant_id, environment_id)

    async def work(desk: "Opened") -> tuple[str, int]:
        sources = desk.operations.sources
        made = await sources.rotate_secret(name, scope, new_secret=new, keep_old=not drop_old, actor=ACTOR)
        return made, int((await sources.get(name, scope))["secrets"])

    made, count = run(work)
    if json:
        told = {"secret": made} if new is None else {}
        output.print_json({"name": name, "generated": new is None, "secrets": count, **told})
        return
    output.hint(f"Source {name} now takes {count} secret{'s' if count != 1 else ''}, the new one first.")
    _show_secret(made if new is None else None)


@command(app, "send-test", "source send-test flexprice-prod", "source send-test tithely --url http://127.0.0.1:8080")
def send_test(
    name: Name,
    *,
    url: Annotated[str | None, typer.Option("--url", help="The gateway's address; default: its public one.")] = None,
    tenant_id: Tenant = None,
    environment_id: Environment = None,
    json: Json = False,
) -> None:
    """Sign a harmless event and post it through the HTTP door of the running gateway."""

    async def work(desk: "Opened") -> dict[str, Any]:
        address = url or desk.own_url
        return await desk.operations.sources.send_test(name, scope_of(tenant_id, environment_id), url=address)

    done = run(work)
    if json:
        output.print_json(done)
    else:
        output.print_facts(done)
    if not done["accepted"]:
        output.hint(f"{done['code'] or 'refused'}: the gateway answered {done['status']}: {done['detail'] or ''}")
        raise typer.Exit(1)


@command(app, "disable", "source disable flexprice-prod")
def disable(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Answer its sender with 404 from now on; what was stored is worked off."""
    scope = scope_of(tenant_id, environment_id)
    _told(run(lambda desk: desk.operations.sources.disable(name, scope, actor=ACTOR)), json=json)


@command(app, "enable", "source enable flexprice-prod")
def enable(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Receive for it again."""
    scope = scope_of(tenant_id, environment_id)
    _told(run(lambda desk: desk.operations.sources.enable(name, scope, actor=ACTOR)), json=json)


@command(app, "remove", "source remove flexprice-old")
def remove(name: Name, *, tenant_id: Tenant = None, environment_id: Environment = None, json: Json = False) -> None:
    """Remove it with its secrets; its deliveries, jobs and mappings stay."""
    run(lambda desk: desk.operations.sources.delete(name, scope_of(tenant_id, environment_id), actor=ACTOR))
    _told({"name": name, "status": "removed"}, json=json)


def _secrets(
    references: list[str] | None,
    from_stdin: bool,  # noqa: FBT001 - as typer hands it over
    generate: bool,  # noqa: FBT001 - as typer hands it over
    verification: str,
) -> tuple[list[str], str | None]:
    """Return the secrets, and the one that was made here, if any."""
    from gateway.cli.given import read_stdin, referenced
    from gateway.cli.options import wrong_usage
    from gateway.sources.base import fresh_secret

    if (references is not None) + from_stdin + generate != 1:
        wrong_usage(
            "give the secret one way: --secret env:NAME, --secret file:PATH, --secret-stdin or --generate-secret"
        )
    if references is not None:
        return [referenced(each, option="--secret") for each in references], None
    if from_stdin:
        return [read_stdin()], None
    made = fresh_secret(verification)
    return [made], made


async def _refuse_known(desk: "Opened", name: str) -> None:
    from storage.errors import ConflictError

    if any(row.name == name for row in await desk.store.list_sources()):
        msg = f"there is a source {name!r} already; --replace changes it"
        raise ConflictError(msg)


def _show_secret(secret: str | None) -> None:
    if secret is not None:
        output.hint("The secret, shown this once; give it to the sender:")
        output.line(secret)


def _row(found: dict[str, Any]) -> dict[str, Any]:
    last = found["last_rejected"]
    return {**found, "last_rejected": f"{last['time'][:19]}Z {last['reason']}" if last else None}


def _told(done: dict[str, Any], *, json: bool) -> None:
    if json:
        output.print_json(done)
    else:
        output.hint(f"Source {done['name']} is {done['status']}.")
