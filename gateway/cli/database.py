"""`db`: the database as a whole."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.opened import Opened, load_settings, run, utc_now
from gateway.cli.options import DryRun, Json, command, noun
from gateway.cli.progress import progress

if TYPE_CHECKING:
    from datetime import datetime

app = noun("The database as a whole.")


@command(app, "migrate", "db migrate")
def migrate(*, json: Json = False) -> None:
    """Bring the schema up to date, as every start does. Make a backup before."""
    import asyncio

    from gateway.operations import databases

    settings = load_settings()
    done = asyncio.run(databases.migrate(settings.database_url))
    if json:
        output.print_json(done)
    elif done["changed"]:
        output.hint(f"The schema was {done['before'] or 'not there'}, and is {done['after']} now.")
    else:
        output.hint(f"The schema is {done['after'] or 'current'} already; nothing to do.")


@command(app, "backup", "db backup /var/backups/ledgergate-2026-01-20.db")
def backup(
    target: Annotated[Path, typer.Argument(help="A new file; nothing is overwritten.")], *, json: Json = False
) -> None:
    """Copy the database while it is in use, and prove the copy by restoring it. The secret key is not in it."""
    from gateway.operations import databases
    from gateway.secrets import key_file

    async def work(desk: Opened) -> dict[str, Any]:
        done = await databases.back_up(desk.store, desk.vault, target, now=utc_now())
        path = key_file(desk.settings)
        return {**done, "key_file": str(path) if path else None}

    done = run(work)
    if json:
        output.print_json(done)
        return
    output.hint(f"{done['file']}: {done['bytes']} bytes, restored and compared.")
    kept = done["key_file"] or "the value of LEDGERGATE_SECRET_KEY"
    output.hint(f"Keep the secret key as well, apart from it: {kept}. Without it the copy's secrets cannot be read.")


@command(app, "copy", "db copy --to env:NEW_DATABASE_URL", "db copy --to file:/etc/ledgergate/new-database-url")
def copy(
    *,
    to: Annotated[
        str,
        typer.Option("--to", metavar="REF", help="The new address, which may hold a password: env:NAME, file:PATH."),
    ],
    json: Json = False,
) -> None:
    """Copy a stopped installation from SQLite into an empty PostgreSQL database, and compare before committing.

    The source stays as it is. The secret key is not in it: the new installation needs the same one.
    """
    import asyncio

    from gateway.cli.given import referenced
    from gateway.operations import moving

    settings, target = load_settings(), referenced(to, option="--to")
    with progress("copying rows", None) as advance:
        done = asyncio.run(moving.move(settings.database_url, target, told=advance))
    if json:
        output.print_json(done)
        return
    output.line(f"{done['rows']} rows of {len(done['tables'])} tables were copied and compared.")
    output.hint("Set LEDGERGATE_DATABASE_URL to the new address, keep the same secret key, and start.")


@command(app, "prune", "db prune", "db prune --older-than 30 --dry-run")
def prune(
    *,
    older_than: Annotated[
        float | None, typer.Option("--older-than", metavar="DAYS", min=1, help="Default: LEDGERGATE_RETENTION_DAYS.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Drop headers and bodies of ended deliveries; ids, keys, jobs, mappings and the audit stay."""

    async def work(desk: Opened) -> tuple[int, "datetime"]:
        from gateway.operations import databases

        days = older_than if older_than is not None else desk.settings.retention_days
        before = utc_now() - timedelta(days=days)
        if dry_run:
            return await databases.prunable(desk.store, before=before), before
        with progress("pruning", None) as advance:
            return await databases.prune(desk.store, before=before, told=advance), before

    count, before = run(work)
    if json:
        output.print_json({"pruned": count, "before": before.isoformat().replace("+00:00", "Z"), "dry_run": dry_run})
    else:
        told = "would be" if dry_run else "were"
        output.line(f"{count} bodies from before {before:%Y-%m-%d %H:%M} UTC {told} dropped.")
