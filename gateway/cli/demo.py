"""`demo`: really signed webhooks through a real gateway, against a bundled sandbox."""

from typing import Annotated

import typer

from gateway.cli.options import examples


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=examples("demo", "demo --keep"))(demo)


def demo(*, keep: Annotated[bool, typer.Option("--keep", help="Leave it running; print its address.")] = False) -> None:
    """Show the gateway at work: fake platforms and providers, webhooks posted, what became of each."""
    from gateway.sandbox.demo import run_demo

    raise typer.Exit(run_demo(keep=keep))
