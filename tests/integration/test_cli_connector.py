"""`connector list|check|new` from outside: what they print, and how they end."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.testing.rules import RULES
from gateway.cli import main
from gateway.scaffold import new_project
from tests.integration.cli_setup import Cli

RULE = "older-config"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The program, with nothing configured."""
    return Cli(folder=tmp_path, database=tmp_path / "gateway.db")


def plugged(folder: Path, *, changed: tuple[str, str] = ("", ""), harness: bool = True) -> str:
    """Make a connector `acme` that lies ready to be found; return the directory for PYTHONPATH."""
    source = new_project("acme", parent=folder).directory / "src"
    file = source / "ledgergate_acme" / "connector.py"
    file.write_text(file.read_text("utf-8").replace(*changed), "utf-8")
    metadata = source / "ledgergate_acme-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ledgergate-acme\nVersion: 0.1.0\n", "utf-8")
    entries = "[ledgergate.connectors]\nacme = ledgergate_acme:AcmeConnector\n"
    if harness:
        entries += "[ledgergate.harnesses]\nacme = ledgergate_acme.harness:AcmeHarness\n"
    (metadata / "entry_points.txt").write_text(entries, "utf-8")
    return str(source)


async def test_the_list_says_where_from_how_good_and_what_each_can(cli: Cli) -> None:
    items = {item["name"]: item for item in (await cli.json("connector", "list"))["items"]}
    assert {name: item["quality"] for name, item in items.items()} == {"nomod": "gold", "quickbooks": "gold"}
    assert {item["distribution"] for item in items.values()} == {"ledgergate"}
    assert items["nomod"]["capabilities"] == ["invoices", "payment links", "payments", "verifies hints", "upkeep"]
    assert {"invoices", "reactivates"} <= set(items["quickbooks"]["capabilities"])
    assert [each["name"] for each in items["nomod"]["settings"] if each["required"]] == ["api_key"]


async def test_a_check_prints_a_line_for_each_rule_and_one_document_with_json(cli: Cli) -> None:
    told = (await cli.ok("connector", "check", "nomod", "--rule", RULE, "--rule", "marks-records")).out.splitlines()
    assert told[0] == "gold"
    assert told[1].split()[:2] == ["exempt", "marks-records"] or told[1].split()[:2] == ["ok", RULE]
    assert told[-1] == "1 ok, 1 exempt"
    document = await cli.json("connector", "check", "nomod", "--rule", RULE)
    assert document["connector"] == "nomod"
    assert [(rule["rule"], rule["status"]) for rule in document["rules"]] == [(RULE, "passed")]
    assert "tier" not in document  # one rule proves no tier


async def test_a_rule_that_is_broken_ends_with_1_and_is_said_in_words(cli: Cli) -> None:
    path = plugged(cli.folder, changed=('"https://api.acme.example",', "...,"))
    result = await cli.run("connector", "check", "acme", "--rule", RULE, PYTHONPATH=path)
    assert result.code == 1
    assert "BROKEN" in result.out
    assert "older config 1 does not load (base_url)" in result.out
    document = await cli.json("connector", "check", "acme", "--rule", RULE, code=1, PYTHONPATH=path)
    assert document["broken"] == 1


async def test_a_quality_file_that_is_not_right_is_refused(cli: Cli) -> None:
    path = plugged(cli.folder)
    file = Path(path) / "ledgergate_acme" / "quality.toml"
    file.write_text(file.read_text("utf-8").replace('typed = "done"', 'typed = "perhaps"'), "utf-8")
    result = await cli.run("connector", "check", "acme", PYTHONPATH=path)
    assert (result.code, result.out) == (1, "")
    assert "quality.toml: typed must be" in result.error
    listed = await cli.json("connector", "list", PYTHONPATH=path)
    assert next(item for item in listed["items"] if item["name"] == "acme")["quality"] is None


async def test_a_connector_without_a_harness_cannot_be_checked_and_is_told_what_is_missing(cli: Cli) -> None:
    result = await cli.run("connector", "check", "acme", PYTHONPATH=plugged(cli.folder, harness=False))
    assert result.code == 1
    assert "has no harness" in result.error
    assert "ledgergate.harnesses" in result.error


async def test_a_check_needs_no_test_tools(cli: Cli) -> None:
    """Where only what running needs is installed, `pytest` cannot be imported."""
    for name in ("pytest", "pytest_asyncio", "hypothesis"):
        cli.write(f"{name}.py", "raise ModuleNotFoundError('not installed here')")
    result = await cli.ok("connector", "check", "nomod", "--rule", "one-in-turn", PYTHONPATH=str(cli.folder))
    assert result.out.splitlines()[-1] == "1 ok"


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (("check", "nope"), 1, "is not installed"),
        (("check", "nomod", "--rule", "nope"), 2, "there is no rule nope"),
        (("new", "Acme"), 1, "use a-z, 0-9 and _"),
        (("new", "../acme"), 1, "use a-z, 0-9 and _"),
        (("new", "acme", "--kind", "sink"), 2, "connector, source"),
        (("new", "nomod"), 1, "comes with the gateway"),
        (("new", "x" * 41), 1, "use a-z, 0-9 and _"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: tuple[str, ...], code: int, words: str, *, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["connector", *arguments]) == code
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.out == ""


def test_a_project_is_written_beside_others_and_never_over_one(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["connector", "new", "tally_box", "--kind", "source", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["directory"] == "ledgergate-tally-box"
    written = [path for path in Path(told["directory"]).rglob("*") if path.is_file()]
    assert {str(path.relative_to(told["directory"])) for path in written} == {*told["files"]}
    mine = tmp_path / told["directory"] / "README.md"
    mine.write_text("mine", "utf-8")
    assert main(["connector", "new", "tally_box"]) == 1
    assert "is there already" in capsys.readouterr().err
    assert mine.read_text("utf-8") == "mine"
    assert main(["connector", "new", "acme", "--directory", str(tmp_path / "elsewhere")]) == 0
    shown = capsys.readouterr()
    assert all(Path(line).is_file() for line in shown.out.splitlines())
    assert "Next: cd " in shown.err


def test_every_rule_has_a_name_that_fits_on_a_line() -> None:
    assert max(map(len, RULES)) <= 24
