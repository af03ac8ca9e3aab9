"""What commands say: tables or one JSON document on stdout; hints, counts and errors on stderr."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.terminals import styled

MAX_CELL = 60
WATCH_SECONDS = 2.0

UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
WRAPPED = frozenset(
    {"reason", "detail", "why", "headers", "last rejected", "fields", "required settings", "capabilities", "account"}
)
"""Columns of words, which may take several lines."""
WRAPPED_LEAST = 24
LEFT_OUT_FIRST = (
    "environment", "tenant", "synced", "written back", "subject", "headers", "distribution", "last used", "phone",
    "source", "type", "verification", "event", "next attempt", "origin", "kind", "created", "outbound", "detail",
    "customer", "about", "email", "requests", "finished", "received", "attempts", "capabilities", "connection",
)  # fmt: skip
"""Columns that a narrow terminal does without, in this order."""
NEEDS_CONSENT = "needs consent"
"""What an active connection is called to which nobody has consented yet."""
_GOOD = frozenset({"ok", "active", "processed", "succeeded", "linked", "resolved", "created", "updated", "done", "yes"})
_BAD = frozenset({"failed", "broken", "stale", "revoked", "removed", "no"})
_ANSI = {"green": 32, "red": 31, "yellow": 33}
_ASKS = frozenset({"attention", "paused", "needs_review", "open", "intended", "disabled", NEEDS_CONSENT})


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(plain(document), option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def plain(document: Any) -> Any:
    """Return views as JSON values."""
    dump = getattr(document, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if isinstance(document, Mapping):
        return {key: plain(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [plain(value) for value in document]
    return document


def hint(text: str) -> None:
    """Say something beside the result, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def line(text: str) -> None:
    """Print one line of the result."""
    sys.stdout.write(f"{text}\n")


def cell(value: Any) -> str:
    """Return a value as it stands in a table: never a control character, whoever has sent it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        value = ", ".join(f"{key}: {cell(item)}" for key, item in value.items()) or "-"
    elif isinstance(value, list | tuple):
        value = ", ".join(cell(item) for item in value) or "-"
    text = str(value)
    return text if text.isprintable() else "".join(char if char.isprintable() else UNPRINTABLE for char in text)


def shortened(value: Any) -> str:
    """Return a cell of a list: times to the second, and cut where a terminal's line would be flooded."""
    text = cell(value)
    if _TIME.fullmatch(text):
        return f"{text[:19]}Z"
    return text if len(text) <= MAX_CELL or not sys.stdout.isatty() else f"{text[: MAX_CELL - 1]}…"


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str = "") -> None:
    """Print rows as a table, with borders and colours on a terminal and plainly elsewhere.

    `columns` maps headings to the fields of a row. `empty` is said on stderr where there are no rows.
    """
    if not rows:
        if empty:
            hint(empty)
        return
    cells = [[shortened(row.get(name)) for name in columns.values()] for row in rows]
    if sys.stdout.isatty():
        _print_rich(list(columns), cells)
    else:
        _print_plain(list(columns), cells)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print one thing, a fact a line."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        line(f"{name:<{width}}  {cell(value)}")


def print_titled(title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print a table under a heading, nothing where there are no rows."""
    if rows:
        line("")
        line(title)
        print_table(rows, columns)


def watch(draw: Callable[[], None]) -> None:
    """Draw again and again on a terminal, until interrupted."""
    import time

    while True:
        sys.stdout.write("\x1b[2J\x1b[H")
        draw()
        sys.stdout.flush()
        time.sleep(WATCH_SECONDS)


def painted(state: str, width: int) -> str:
    """Return a state, as wide as that, in its colour where there are colours."""
    colour = _ANSI.get(_style(state)) if styled(sys.stdout) else None
    text = f"{state:<{width}}"
    return f"\x1b[{colour}m{text}\x1b[0m" if colour else text


def _print_plain(headings: list[str], cells: Iterable[list[str]]) -> None:
    table = [headings, *cells]
    widths = [max(len(row[index]) for row in table) for index in range(len(headings))]
    for row in table:
        line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _print_rich(headings: list[str], cells: Sequence[list[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(color_system="auto" if styled(sys.stdout) else None, highlight=False)
    shown = _fitting(headings, cells, console.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index in shown:
        table.add_column(headings[index], overflow="fold", no_wrap=headings[index] not in WRAPPED)
    for row in cells:
        table.add_row(*(Text(row[index], style=_style(row[index])) for index in shown))
    console.print(table)
    if len(shown) < len(headings):
        left_out = [heading for index, heading in enumerate(headings) if index not in shown]
        hint(f"Too narrow for: {', '.join(left_out)}. A wider terminal or --json shows all.")


def _fitting(headings: list[str], cells: Sequence[list[str]], width: int) -> list[int]:
    """Return which columns to show, so that what people copy stays in one piece on a narrow terminal."""
    needed = [
        max(len(heading), *(len(row[index]) for row in cells))
        if heading not in WRAPPED
        else max(len(heading), min(WRAPPED_LEAST, max(len(row[index]) for row in cells)))
        for index, heading in enumerate(headings)
    ]
    shown = list(range(len(headings)))
    for heading in LEFT_OUT_FIRST:
        if sum(needed[index] + 3 for index in shown) <= width:
            break
        shown = [index for index in shown if headings[index] != heading]
    return shown


def _style(text: str) -> str:
    if text in _GOOD:
        return "green"
    if text in _BAD:
        return "red"
    return "yellow" if text in _ASKS else ""


def flush() -> None:
    """Let what was printed be seen now."""
    sys.stdout.flush()
