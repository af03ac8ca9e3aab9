"""Pages that are half written and half made: what stands between two marks comes from the code."""

import sys
from pathlib import Path


def marks(name: str) -> tuple[str, str]:
    """Return the two lines between which a made part stands."""
    return f"<!-- made: {name} -->", f"<!-- end: {name} -->"


def filled(page: Path, parts: dict[str, str]) -> str:
    """Return the page with its made parts as they must be. Raises ValueError for marks that are missing or twice."""
    text = page.read_text("utf-8")
    for name, part in parts.items():
        begin, end = marks(name)
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            msg = f"{page.name} must have {begin} and {end} once, in this order"
            raise ValueError(msg)
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{part.strip()}\n{end}{rest.split(end)[1]}"
    return text


def run(page: Path, parts: dict[str, str]) -> int:
    """Write the page, or with `--check` only tell whether it is current; return the exit code."""
    wanted = filled(page, parts)
    if "--check" in sys.argv[1:]:
        return 0 if page.read_text("utf-8") == wanted else 1
    page.write_text(wanted, "utf-8")
    return 0
