"""From a name to a project that passes its own tests: templates filled in, never over what is there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from connectors.testing.quality import FILE
from connectors.testing.rules import RULES
from gateway.errors import RequestInvalidError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST = 40
_SUFFIX = ".tmpl"
_TAKEN = frozenset(
    {"gateway", "connectors", "storage", "ledgergate", "nomod", "quickbooks", "flexprice", "tirdad", "tithely"}
)


class Kind(StrEnum):
    """What a plugin adds."""

    CONNECTOR = "connector"
    """A system in which customers are found and created."""
    SOURCE = "source"
    """A billing platform that posts webhooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project that was written."""

    directory: Path
    files: tuple[Path, ...]


def new_project(name: str, *, kind: Kind = Kind.CONNECTOR, parent: Path) -> Project:
    """Write the project `ledgergate-NAME` into `parent`.

    Raises RequestInvalidError for a name that cannot be used or a directory that is there, OSError kinds.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        msg = f"{name!r} cannot be the name of a plugin: use a-z, 0-9 and _, beginning with a letter"
        raise RequestInvalidError(msg)
    if name in _TAKEN:
        msg = f"{name!r} is taken: it comes with the gateway"
        raise RequestInvalidError(msg)
    words = _words(name)
    directory = parent / words["@dist@"]
    if directory.exists():
        msg = f"{directory} is there already"
        raise RequestInvalidError(msg)
    written = []
    for place, text in _rendered(kind, words):
        path = directory / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return Project(directory=directory, files=tuple(sorted(written)))


def _words(name: str) -> dict[str, str]:
    parts = name.split("_")
    return {
        "@name@": name,
        "@NAME@": name.upper(),
        "@module@": f"ledgergate_{name}",
        "@dist@": f"ledgergate-{name.replace('_', '-')}",
        "@Class@": "".join(part.capitalize() for part in parts),
        "@Title@": " ".join(part.capitalize() for part in parts),
        "@version@": version("ledgergate"),
    }


def _rendered(kind: Kind, words: dict[str, str]) -> Iterator[tuple[PurePosixPath, str]]:
    for place, template in _templates(files("gateway.scaffold") / kind.value, PurePosixPath()):
        text = template.read_text("utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        yield _place(place, words), text
    if kind is Kind.CONNECTOR:
        yield PurePosixPath("src", words["@module@"], FILE), quality_file(words["@name@"])


def _templates(directory: Traversable, place: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, place / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield place / entry.name.removesuffix(_SUFFIX), entry


def _place(place: PurePosixPath, words: dict[str, str]) -> PurePosixPath:
    """Return where a template's text goes."""
    parts = [words["@module@"] if part == "module" else part for part in place.parts]
    parts[-1] = {"gitignore": ".gitignore", "name.md": f"{words['@name@']}.md"}.get(parts[-1], parts[-1])
    return PurePosixPath(*parts)


def quality_file(name: str) -> str:
    """Return a quality file in which every rule is done."""
    lines = [
        f"# What holds of this connector, rule by rule. `ledgergate connector check {name}` proves it.",
        '# Where a rule is not done: { exempt = "why it cannot hold" }, or { todo = "why it does not hold yet" }.',
        "[rules]",
    ]
    tier = None
    for rule in RULES.values():
        if rule.tier is not tier:
            tier = rule.tier
            lines.append(f"# {tier}")
        lines.append(f'{rule.name} = "done"')
    return "\n".join(lines) + "\n"
