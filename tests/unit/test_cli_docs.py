"""The command line is documented as it is: docs/cli.md, the examples under each `--help`, the words of the contract."""

import ast
import os
import shlex
import subprocess
import sys
from typing import Any, get_args

import pytest
import typer

from gateway.cli import root
from gateway.cli.options import DeliveryState, JobState, MappingState, UsageError
from gateway.cli.root import PROGRAM
from storage.records import DeliveryStatus, JobStatus, MappingStatus
from tools import marked
from tools.cli_page import PAGE, commands, reference

COMMANDS = dict(commands())
PROMISED = """
serve; worker; demo; apply; doctor; listen; source list; source show; source add; source rotate-secret; source
send-test; source disable; source enable; source remove; connection list; connection show; connection add;
connection test; connection authorize; connection pause; connection resume; connection remove; delivery list;
delivery show; delivery replay; job list; job show; job retry; job cancel; mapping list; mapping show; mapping
link; mapping unlink; mapping export; mapping import; review list; review show; review resolve; key create; key
list; key revoke; connector list; connector check; connector new; signature sign; signature verify; db migrate;
db backup; db prune; secret rotate-key; audit list
"""
WITHOUT_JSON = {("serve",), ("worker",), ("demo",), ("listen",)}
MANY = [("job", "retry"), ("job", "cancel"), ("delivery", "replay")]


def examples(command: Any) -> list[str]:
    """The examples under a command's help."""
    lines = [line.strip() for line in (command.epilog or "").splitlines()]
    return [line for line in lines if line.startswith(PROGRAM)]


def options(command: Any) -> set[str]:
    """The names of all options."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_the_page_is_current() -> None:
    """A changed command without `python -m tools.cli_page` fails here."""
    assert PAGE.read_text("utf-8") == marked.filled(PAGE, {"commands": reference()})


def test_every_promised_command_is_there() -> None:
    promised = {tuple(words.split()) for words in PROMISED.split(";")}
    assert promised - set(COMMANDS) == set()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_says_what_it_does_and_shows_it(words: tuple[str, ...]) -> None:
    """Each has a help, each of its options too, and examples that it takes itself."""
    command = COMMANDS[words]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    assert [parameter.name for parameter in command.params if not parameter.help and parameter.name != "help"] == []
    assert examples(command)
    for example in examples(command):
        given = shlex.split(example.split(" > ", maxsplit=1)[0].split(" < ", maxsplit=1)[0])
        assert tuple(given[1 : 1 + len(words)]) == words, example
        try:
            command.make_context(" ".join(words), given[1 + len(words) :])
        except UsageError as error:
            pytest.fail(f"{example}: {error}")


@pytest.mark.parametrize("words", sorted(set(COMMANDS) - WITHOUT_JSON), ids=" ".join)
def test_a_command_prints_json_where_it_is_asked_to(words: tuple[str, ...]) -> None:
    assert "--json" in options(COMMANDS[words])


@pytest.mark.parametrize("words", MANY, ids=" ".join)
def test_a_command_on_many_things_can_count_first(words: tuple[str, ...]) -> None:
    assert {"--all", "--dry-run", "--status", "--tenant-id"} <= options(COMMANDS[words])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_option_takes_a_secret_itself(words: tuple[str, ...]) -> None:
    """What is secret is read by reference, and each such option says so."""
    for parameter in COMMANDS[words].params:
        if {"--secret", "--api-key"} & set(parameter.opts):
            assert "env:NAME or file:PATH" in parameter.help


@pytest.mark.parametrize(
    "shown, states",
    [(DeliveryState, DeliveryStatus), (JobState, JobStatus), (MappingState, MappingStatus)],
    ids=["deliveries", "jobs", "mappings"],
)
def test_the_states_to_filter_by_are_all_there_are(shown: Any, states: Any) -> None:
    assert set(get_args(shown)) == {str(state) for state in states}


def test_help_needs_nothing_that_only_the_gateway_needs() -> None:
    """`--help` is quick: neither the web server nor the settings are imported for it."""
    script = (
        "import sys; from gateway.cli import main; code = main(['source', 'add', '--help']);"
        " print([name for name in ('aiohttp', 'gateway.settings', 'gateway.app', 'rich') if name in sys.modules]);"
        " sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Examples:" in done.stdout


def test_a_command_loads_no_other_and_the_gateway_no_rich() -> None:
    """What runs for years holds nothing of what it never uses: the other commands, Rich for structlog's tracebacks."""
    script = (
        "import sys; from gateway.cli.root import commands, _files; commands(*_files([]));"
        " import gateway.logs, gateway.app;"
        " print([n for n in sys.modules if n.startswith(('gateway.cli.', 'rich.', 'pygments')) or n == 'rich'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(done.stdout)) == {"gateway.cli.root", "gateway.cli.options", "gateway.cli.serving"}


def test_each_command_alone_is_what_it_is_among_all() -> None:
    """A process puts together only the one that it runs."""
    for noun, whole in root.commands().commands.items():
        alone = root.commands(*root._files([noun])).commands[noun]
        assert vars_of(alone) == vars_of(whole), noun


def vars_of(command: Any) -> tuple[str | None, str | None, set[str], set[str]]:
    """What a help page shows of a command."""
    return command.help, command.short_help, options(command), set(getattr(command, "commands", {}))


@pytest.mark.parametrize("typed, offered", [("ledgergate so", ["source"]), ("ledgergate job re", ["retry"])])
def test_a_shell_completes_nouns_and_verbs(typed: str, offered: list[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_LEDGERGATE_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli import main; main([])"], env={**os.environ, **words},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == offered


def test_the_program_is_one_typer_knows() -> None:
    """`wrong_usage` raises typer's own kind of error, whatever version brought it."""
    assert issubclass(typer.BadParameter, UsageError)
    assert UsageError.__name__ == "UsageError"
