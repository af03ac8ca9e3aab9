"""`doctor`: the state of an installation, in sentences with next steps."""

import asyncio
from typing import Annotated

import typer

from gateway.cli import output
from gateway.cli.opened import load_settings, utc_now
from gateway.cli.options import Json, examples

MARKS = {"ok": "ok", "note": "note", "attention": "ATTENTION", "broken": "BROKEN"}
CODES = {"ok": 0, "note": 0, "attention": 3, "broken": 1}
SUMMARIES = {
    "ok": "All is well.",
    "attention": "It works, and something needs a person: see ATTENTION above.",
    "broken": "Something does not work: see BROKEN above.",
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=examples("doctor", "doctor --offline --json"))(doctor)


def doctor(
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no platform over the network.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not as it must be.")] = False,
    json: Json = False,
) -> None:
    """Look at the installation, and say what is wrong with it and what to do.

    Exit code 0 when all is well, 3 when something needs a person, 1 when something is broken. Changes nothing.
    """
    from gateway.operations.doctor import examine, report

    settings = load_settings()
    told = report(asyncio.run(examine(settings, now=utc_now, offline=offline)), now=utc_now())
    if json:
        output.print_json(told)
    else:
        for finding in told["findings"]:
            if quiet and finding["level"] == "ok":
                continue
            output.line(f"{MARKS[finding['level']]:>9}  {output.cell(finding['sentence'])}")
            if finding["next_step"]:
                output.line(f"{'':>9}  → {output.cell(finding['next_step'])}")
        output.hint(SUMMARIES[told["status"]])
    raise typer.Exit(CODES[told["status"]])
