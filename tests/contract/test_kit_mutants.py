"""The conformance kit catches what is wrong: each mutant of a good connector is caught by the rule named beside it."""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.testing.quality import Mark, Marked
from connectors.testing.rulebook import Kit
from connectors.testing.rules import RULES
from connectors.testing.runner import Result, Status, check_rule
from gateway.conformance import ENGINE
from gateway.scaffold import new_project

Mutant = dict[str, Any]
MUTANTS: list[Mutant] = tomllib.loads(Path(__file__).with_name("kit_mutants.toml").read_text("utf-8"))["mutants"]


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Path]:
    """A directory from which mutants are imported."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("ledgergate_mutant")]:
        del sys.modules[name]


async def checked(workshop: Path, mutant: Mutant, number: int) -> Result:
    """Make a good connector, mutate it, and check the one rule."""
    name = f"mutant{number}"
    package = new_project(name, parent=workshop).directory / "src" / f"ledgergate_{name}"
    file = package / mutant.get("file", "connector.py")
    text = file.read_text("utf-8")
    for change in mutant["changes"]:
        assert change["old"] in text, "the good connector has changed, and the mutant has not"
        text = text.replace(change["old"], change["new"])
    file.write_text(text, "utf-8")
    if not mutant["changes"]:
        file.unlink()
    package.rename(workshop / package.name)
    importlib.invalidate_caches()
    harness = vars(importlib.import_module(f"ledgergate_{name}.harness"))[f"Mutant{number}Harness"]
    return await check_rule(Kit(harness, ENGINE), RULES[mutant["rule"]], Marked(mark=Mark.DONE))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant["name"]))
async def test_the_mutant_is_caught_by_its_rule(mutant: Mutant, workshop: Path) -> None:
    result = await checked(workshop, mutant, MUTANTS.index(mutant))
    assert result.status is Status.BROKEN
    assert mutant["says"] in result.detail


def test_there_are_mutants_for_most_rules() -> None:
    """A rule without a mutant is one that nobody has seen catch anything; those left are listed here, with reasons."""
    unproven = set(RULES) - {mutant["rule"] for mutant in MUTANTS}
    assert unproven == {
        "adopts-the-one",  # what breaks it breaks looks-before-it-creates as well
        "dry-run",  # a connector cannot tell a dry run from another look-up
        "one-at-once",  # held by the gateway's lock; the rule shows that a connector does not undo it
        "one-from-two-processes",  # as above
    }
