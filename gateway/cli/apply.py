"""`apply`: sources, connections and channels from a TOML file into the database, and what changed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import output
from gateway.cli.opened import ACTOR, Opened, load_settings, run
from gateway.cli.options import DryRun, Json, examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("apply", epilog=examples("apply ledgergate.toml", "apply ledgergate.toml --dry-run --json"))(apply)


def apply(
    file: Annotated[Path, typer.Argument(help="The TOML file; see docs/configuration.md.")],
    *,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Upsert the sources, connections and channels of a file; running gateways follow within two seconds.

    All is checked before anything is written. A second time it changes nothing. What the file does not name stays.
    """
    from gateway.configuration.files import read_file
    from gateway.configuration.references import resolve_all

    load_settings()
    spec = read_file(file, resolve_all)

    async def work(desk: Opened) -> list[dict[str, Any]]:
        changes = await desk.configuration.apply(spec, actor=ACTOR, dry_run=dry_run)
        return [
            {"kind": change.kind, "name": change.name, "change": change.change, "fields": list(change.fields)}
            for change in changes
        ]

    changes = run(work)
    changed = sum(change["change"] != "unchanged" for change in changes)
    if json:
        output.print_json({"changes": changes, "changed": changed, "dry_run": dry_run})
        return
    columns = {"kind": "kind", "name": "name", "change": "change", "fields": "fields"}
    output.print_table(changes, columns, empty="The file names no source, no connection and no channel.")
    output.hint(f"{changed} of {len(changes)} {'would be' if dry_run else ''} changed.".replace("  ", " "))
