"""docs/logs.md names every line that the gateway writes, and every fact of an attempt's line."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/logs.md").read_text("utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception"}


@cache
def lines_written() -> dict[str, set[str]]:
    """The names of all lines, with the keywords each is written with, as the code has them."""
    found: dict[str, set[str]] = {}
    for room in ("gateway", "connectors", "storage"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in LEVELS
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "log"
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                ):
                    named = {keyword.arg for keyword in node.keywords if keyword.arg}
                    found.setdefault(str(node.args[0].value), set()).update(named)
    return found


def described() -> dict[str, str]:
    """The rows of the tables of lines."""
    return dict(re.findall(r"^\| `([a-z_]+)` \| (?:debug|info|warning|error) \| (.+) \|$", PAGE, re.MULTILINE))


def test_every_line_is_on_the_page_and_no_other() -> None:
    assert len(lines_written()) > 20
    assert set(described()) == set(lines_written())


def test_every_fact_of_an_attempt_is_explained() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", PAGE.partition("## An attempt")[2].partition("\n## ")[0]))
    assert lines_written()["attempt"] - explained == set()
