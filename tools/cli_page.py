"""Writes the reference of docs/cli.md from the commands themselves; `--check` fails when it is not current."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from gateway.cli import root
from tools import marked

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its words, in the order of the help."""
    yield from _walk(root.commands(), ())


def reference() -> str:
    """Return the reference of all commands."""
    told = []
    noun = ""
    for words, command in commands():
        if len(words) > 1 and words[0] != noun:
            noun = words[0]
            told.append(f"## {noun}\n\n{_parent(noun)}")
        level = "###" if len(words) > 1 else "##"
        told.append(f"{level} {' '.join(words)}\n\n{_section(words, command)}")
    return "\n\n".join(told)


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    found = getattr(command, "commands", None)
    if found is None:
        yield words, command
        return
    for name, each in found.items():
        yield from _walk(each, (*words, name))


def _parent(noun: str) -> str:
    return str(root.commands().commands[noun].help)


def _section(words: tuple[str, ...], command: Any) -> str:
    context = typer.Context(command, info_name=" ".join((root.PROGRAM, *words)))
    rows = [_row(parameter, context) for parameter in command.params if parameter.name != "help"]
    table = "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""
    lines = [line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith(root.PROGRAM)]
    examples = "\n".join(["```console", *(f"$ {line}" for line in lines), "```"])
    return "\n\n".join(part for part in (inspect.cleandoc(command.help or ""), table, examples) if part)


def _row(parameter: Any, context: typer.Context) -> str:
    name, text = parameter.get_help_record(context) or ("", "")
    if parameter.param_type_name == "argument":
        name = parameter.name.upper() + ("" if parameter.required else ", optional")
    return f"| `{_cell(name)}` | {_cell(text)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> int:
    """Write the page, or check it."""
    return marked.run(PAGE, {"commands": reference()})


if __name__ == "__main__":
    raise SystemExit(main())
