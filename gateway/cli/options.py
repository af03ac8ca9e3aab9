"""Options that many commands share, what a wrong one says, and the examples under each `--help`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NoReturn, TypeAlias

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count: change nothing.")]
All = Annotated[bool, typer.Option("--all", help="All of these, when no filter is given.")]
Tenant = Annotated[str | None, typer.Option("--tenant-id", help="Only this tenant; default: every one.")]
Environment = Annotated[str | None, typer.Option("--environment-id", help="Only this environment; default: every one.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many at most.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Go on where the last page has ended.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until interrupted.")]
SecretStdin = Annotated[bool, typer.Option("--secret-stdin", help="Read the secret from standard input.")]
Since = Annotated[
    str | None, typer.Option("--since", help="Not before: a date, a time (UTC), or `2h`, `3d` ago.", show_default=False)
]
Text = Annotated[
    str | None,
    typer.Option("--text", help="An id, or part of a customer's name or e-mail address; as the console's search."),
]
Until = Annotated[str | None, typer.Option("--until", help="Before: a date, a time (UTC), or `2h`, `3d` ago.")]

DeliveryState: TypeAlias = Literal["pending", "processed", "ignored", "failed", "needs_review"]
JobState: TypeAlias = Literal["pending", "running", "succeeded", "failed", "cancelled", "needs_review"]
MappingState: TypeAlias = Literal["intended", "linked", "stale"]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

# What every wrong usage is, in typer's own family; the class has no public name of its own.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def wrong_usage(message: str) -> NoReturn:
    """Stop with exit code 2 and one line."""
    raise UsageError(message)


def examples(*lines: str) -> str:
    """Return the epilogue of a command's help: its examples, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  ledgergate {line}" for line in lines)


def command(app: typer.Typer, name: str, *lines: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator that makes a function a command, with examples under its help."""
    return app.command(name, epilog=examples(*lines))


def noun(help_text: str) -> typer.Typer:
    """Return a group of commands about one thing."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)


def moment(text: str | None, *, option: str) -> datetime | None:
    """Return the time that a person means. Wrong usage for anything else."""
    from gateway.operations.times import bounded

    if text is None:
        return None
    try:
        if text[:-1].isdigit() and text[-1] in _UNITS:
            return bounded(datetime.now(UTC) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])}))
        return bounded(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        wrong_usage(f"{option}: {text!r} is no time; write 2026-01-20, 2026-01-20T10:30 or 2h")


def one_of_many(named: bool, filtered: bool, everything: bool, *, what: str) -> None:  # noqa: FBT001 - three answers
    """Refuse a command on many things that says neither which nor all."""
    if named and (filtered or everything):
        wrong_usage(f"name {what}, or filter them, not both")
    if not (named or filtered or everything):
        wrong_usage(f"name {what}, give a filter, or --all")
