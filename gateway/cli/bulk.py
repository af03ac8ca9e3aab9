"""What commands on lists share: a page shown or watched, many things done one by one, and the count told."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import typer

from gateway.cli import output
from gateway.cli.options import wrong_usage


def show_page(fetch: Callable[[], Any], columns: Mapping[str, str], *, empty: str, watch: bool, json: bool) -> None:
    """Print one page of a list, once or again and again."""
    if watch and (json or not sys.stdout.isatty()):
        wrong_usage("--watch is for a terminal, and not for --json")
    if watch:
        output.watch(lambda: _draw(fetch(), columns, empty))
    elif json:
        output.print_json(fetch())
    else:
        _draw(fetch(), columns, empty)


def _draw(page: Any, columns: Mapping[str, str], empty: str) -> None:
    found = output.plain(page)
    following = found["next_cursor"]
    output.print_table(found["items"], columns, empty="Nothing so far." if following else empty)
    if following:
        output.hint(f"There are {'more' if found['items'] else 'older ones'}: --cursor {following}")


async def each(
    ids: Sequence[str],
    *,
    look: Callable[[str], Awaitable[Any]],
    act: Callable[[str], Awaitable[Any]],
    dry_run: bool,
) -> dict[str, Any]:
    """Do something to the things named; what is in no state for it is told and skipped.

    All are looked up first, so that a wrong id changes nothing. Raises NotFoundError, and ConflictError for a single
    one.
    """
    from storage.errors import ConflictError

    wanted = list(dict.fromkeys(ids))
    for one in wanted:
        await look(one)
    refused: list[dict[str, str]] = []
    for one in () if dry_run else wanted:
        try:
            await act(one)
        except ConflictError as error:
            if len(wanted) == 1:
                raise
            refused.append({"id": one, "code": error.code, "detail": error.detail or error.title})
    return {
        "matched": len(wanted), "changed": len(wanted) - len(refused), "skipped": len(refused), "dry_run": dry_run,
        "more": False, "refused": refused,
    }  # fmt: skip


def tell(done: dict[str, Any], verb: str, *, noun: str, nouns: str, json: bool) -> None:
    """Print the count. Exit code 3 when something was skipped, or more is there than one command takes."""
    if json:
        output.print_json(done)
    else:
        told = "would be " if done["dry_run"] else ""
        count = done["changed"]
        output.line(f"{count} {noun if count == 1 else nouns} {told}{verb}, of {done['matched']} found.")
    for refusal in done["refused"]:
        output.hint(f"{refusal['id']}: {refusal['code']}: {refusal['detail']}")
    if done["skipped"] and not done["refused"]:
        output.hint(f"{done['skipped']} were in no state for it by then, and were left alone.")
    if done["more"]:
        output.hint("There are more than one command takes: repeat it.")
    if done["skipped"] or done["more"]:
        raise typer.Exit(3)
