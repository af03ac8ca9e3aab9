"""The runbook says of every error code what to run, and no page shows a command that the program would not take."""

import re
from pathlib import Path

import pytest

from gateway.errors import catalogue
from tests.command_lines import in_page, problem
from tools import marked
from tools.runbook_page import FOLLOW, OWN, PAGE, commands, made

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_page_is_current() -> None:
    """A changed error class without `python -m tools.runbook_page` fails here."""
    assert PAGE.read_text("utf-8") == marked.filled(PAGE, made())


def test_every_code_has_its_heading_and_no_other_does() -> None:
    made()
    headed = re.findall(r"^### `(\w+)`$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert headed == [entry.code for entry in catalogue()]


def test_no_way_of_its_own_is_left_of_a_code_that_is_gone() -> None:
    made()
    assert set(OWN) <= {entry.code for entry in catalogue()}


def test_whoever_is_asked_to_act_is_given_a_command() -> None:
    made()
    acted = [entry for entry in catalogue() if entry.action in ("retry", "pause", "review")]
    assert [entry.code for entry in acted if not commands(entry)] == []
    assert set(FOLLOW) == {"retry", "pause", "fail", "review", "none"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_is_one_that_the_program_takes(page: Path) -> None:
    assert [told for line in in_page(page.read_text("utf-8")) if (told := problem(line))] == []


def test_a_command_that_is_wrong_is_found() -> None:
    shown = in_page("```console\n$ ledgergate job show\n$ x | .venv/bin/ledgergate doctor --quiet > file\n$ ls\n```\n")
    assert shown == [["job", "show"], ["doctor", "--quiet"]]
    assert "Missing" in (problem(shown[0]) or "")
    assert problem(shown[1]) is None
    assert "no such command" in (problem(["job", "explode"]) or "")
