"""Mappings in bulk, out to and in from files, with a progress bar where somebody is watching."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.opened import ACTOR, Opened, run
from gateway.cli.progress import progress

if TYPE_CHECKING:
    from gateway.operations.mappings import MappingFilter
    from storage.records import Scope

MAX_FILE_BYTES = 64 * 1024 * 1024
CHUNK = 100
STDIN = Path("-")

FormatOption = Annotated[
    Literal["csv", "json"] | None, typer.Option("--format", help="Default: CSV, or what the file's name says.")
]


def export(chosen: "MappingFilter", scope: "Scope", *, form: str | None, file: Path | None) -> None:
    """Write mappings to a new file or stdout. Raises RequestInvalidError when the file is there."""
    from gateway.operations.transfers import Format

    async def work(desk: Opened) -> None:
        found = desk.operations.transfers.export(Format(form or _form_of(file)), scope, chosen)
        if file is None:
            async for piece in found:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        with os.fdopen(_new(file), "wb") as target:
            async for piece in found:
                target.write(piece)

    run(work)


def take_in(file: Path, scope: "Scope", *, form: str | None, verify: bool, dry_run: bool) -> dict[str, Any]:
    """Import a file and return what became of its rows. Raises RequestInvalidError."""
    rows = _read(file, form or _form_of(file))

    async def work(desk: Opened) -> dict[str, Any]:
        total: dict[str, Any] = {
            "rows": 0, "linked": 0, "unchanged": 0, "refused": 0, "refusals": [], "dry_run": dry_run,
        }  # fmt: skip
        with progress("importing", len(rows)) as advance:
            for start in range(0, len(rows), CHUNK):
                done = await desk.operations.transfers.take_in(
                    rows[start : start + CHUNK], scope, actor=ACTOR, dry_run=dry_run, verify=verify
                )
                _add(total, done.model_dump(mode="json"), start)
                advance(total["rows"])
        return total

    return run(work, live=verify)


def _add(total: dict[str, Any], done: dict[str, Any], start: int) -> None:
    from gateway.operations.transfers import MAX_REFUSED

    for name in ("rows", "linked", "unchanged", "refused"):
        total[name] += done[name]
    told = [{**refusal, "row": refusal["row"] + start} for refusal in done["refusals"]]
    total["refusals"] = [*total["refusals"], *told][:MAX_REFUSED]


def _read(file: Path, form: str) -> Sequence[Mapping[str, Any]]:
    from gateway.errors import RequestInvalidError
    from gateway.operations.transfers import MAX_ROWS, read_csv, read_json

    if file == STDIN:
        body = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    else:
        with file.open("rb") as source:
            body = source.read(MAX_FILE_BYTES + 1)
    if len(body) > MAX_FILE_BYTES:
        raise RequestInvalidError("the file is larger than 64 MiB")
    try:
        rows = read_json(body) if form == "json" else read_csv(body.decode())
    except UnicodeDecodeError:
        raise RequestInvalidError("the file is not UTF-8") from None
    if len(rows) > MAX_ROWS:
        msg = f"at most {MAX_ROWS} rows at once"
        raise RequestInvalidError(msg)
    return rows


def _form_of(file: Path | None) -> str:
    return "json" if file is not None and file.suffix.lower() == ".json" else "csv"


def _new(file: Path) -> int:
    """Open a new file for its owner alone: it holds customers. Raises RequestInvalidError when it is there."""
    from gateway.errors import RequestInvalidError

    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        msg = f"{file.name} exists already"
        raise RequestInvalidError(msg) from None
