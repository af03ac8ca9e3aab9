"""The program itself: commands gathered, errors turned into one line and an exit code."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import click
import typer

from gateway import settings
from gateway.app import utc_now
from gateway.cli.serving import run_gateway
from gateway.configuration.references import resolve_all
from gateway.configuration.service import Configuration
from gateway.configuration.specs import read_file
from gateway.errors import GatewayError
from gateway.secrets import load_vault
from storage import store_for
from storage.errors import StorageError

app = typer.Typer(add_completion=True, no_args_is_help=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def root(context: typer.Context) -> None:
    """Ledgergate: no acknowledged webhook lost, no customer doubled."""
    if context.invoked_subcommand is None:
        raise typer.Exit(run_gateway(settings.load(), serve=True, work=True))


@app.command()
def serve(
    *, no_worker: Annotated[bool, typer.Option("--no-worker", help="Only take in; work elsewhere.")] = False
) -> None:
    """Run the gateway."""
    raise typer.Exit(run_gateway(settings.load(), serve=True, work=not no_worker))


@app.command()
def apply(file: Path, *, dry_run: bool = False) -> None:
    """Upsert sources and connections."""
    asyncio.run(_apply(file, dry_run=dry_run))


async def _apply(file: Path, *, dry_run: bool) -> None:
    loaded = settings.load()
    spec = read_file(file, resolve_all)
    store = store_for(loaded.database_url)
    await store.open()
    try:
        vault = load_vault(loaded)
        await vault.prove(store)
        for change in await Configuration(store, vault, now=utc_now).apply(spec, actor="cli", dry_run=dry_run):
            print(change.change, change.kind, change.name, ", ".join(change.fields))
    finally:
        await store.close()


def run(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    try:
        code = app(args=arguments, prog_name="ledgergate", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        error.show(sys.stderr)
        return 2
    except click.Abort:
        return 130
    except (GatewayError, StorageError) as error:
        sys.stderr.write(f"{error.code}: {error.detail or error.title}\n")
        return 1
    return int(code or 0)
