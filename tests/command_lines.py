"""Command lines as they stand in documents and files: whether the program would take them."""

import re
import shlex
from collections.abc import Sequence

from gateway.cli.options import UsageError
from tools.cli_page import commands

COMMANDS = dict(commands())
BLOCK = re.compile(r"^ *```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
RUN = re.compile(r"[$#] (?:.*\s)?(?:\S*bin/)?ledgergate (?P<rest>[a-z][^#]*)")
GLOBAL = {"--version", "--install-completion"}


def in_page(text: str) -> list[list[str]]:
    """The words after `ledgergate` of every line that a page shows behind a prompt, a person's or root's."""
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    found = [RUN.match(line) for line in lines]
    return [words(match["rest"]) for match in found if match]


def words(rest: str) -> list[str]:
    """The words up to a pipe, a redirection or the end of a command substitution."""
    return shlex.split(re.split(r"\s[|<>]\s|\s&|\)$|;", rest)[0])


def problem(line: Sequence[str]) -> str | None:
    """Why the program would not take these words, None when it would."""
    if set(line) & GLOBAL:
        return None
    for count in (1, 2):
        command = COMMANDS.get(tuple(line[:count]))
        if command is not None:
            try:
                command.make_context(" ".join(line[:count]), list(line[count:]))
            except UsageError as error:
                return f"{' '.join(line)}: {error}"
            return None
    return f"{' '.join(line)}: no such command"
