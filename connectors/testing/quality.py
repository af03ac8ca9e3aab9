"""A connector's quality.toml: which rules are done, which it is exempt from and why, and the tier that follows."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from connectors.base import Connector
from connectors.testing.rulebook import Rule, Tier
from connectors.testing.rules import ALL_RULES, RULES, rules_for
from connectors.testing.sources import directory_of, package_of

FILE = "quality.toml"
SHORTEST_REASON = 20


class QualityError(Exception):
    """A quality file cannot be used. The message names the line to correct."""


class Mark(StrEnum):
    """What a quality file says of a rule."""

    DONE = "done"
    EXEMPT = "exempt"
    TODO = "todo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """One line of a quality file; `reason` is empty for `done`."""

    mark: Mark
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A whole quality file: every rule is in it that the connector is held to."""

    rules: Mapping[str, Marked]

    @property
    def tier(self) -> Tier | None:
        """The highest tier whose rules, and those of the tiers before it, are all done or exempt; None for none."""
        reached = None
        for tier in Tier:
            if any(marked.mark is Mark.TODO for name, marked in self.rules.items() if ALL_RULES[name].tier is tier):
                break
            reached = tier
        return reached


def read_quality(text: str, *, rules: Mapping[str, Rule] = RULES) -> Quality:
    """Read a quality file that must speak of these rules. Raises QualityError with the reason in one line.

    Example:
        ```toml
        [rules]
        one-in-turn = "done"
        idempotency-key = { exempt = "the service's API has no idempotency key" }
        marks-records = { todo = "the field for it is not released yet" }
        ```
    """
    try:
        file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise QualityError(f"{FILE}: {error}") from None
    unknown = sorted(file.keys() - {"rules"})
    if unknown:
        raise QualityError(f"{FILE}: unknown key {unknown[0]}")
    given = file.get("rules", {})
    strange = sorted(given.keys() - rules.keys()) if isinstance(given, dict) else ["rules"]
    if strange:
        raise QualityError(f"{FILE}: there is no rule {strange[0]}")
    missing = [name for name in rules if name not in given]
    if missing:
        raise QualityError(f"{FILE}: nothing is said of {', '.join(missing)}")
    return Quality(rules={name: _marked(name, given[name]) for name in rules})


def _marked(name: str, value: Any) -> Marked:
    if value == Mark.DONE:
        return Marked(mark=Mark.DONE)
    if not isinstance(value, dict) or len(value) != 1 or not value.keys() <= {Mark.EXEMPT, Mark.TODO}:
        raise QualityError(f'{FILE}: {name} must be "done", {{ exempt = "reason" }} or {{ todo = "reason" }}')
    mark, reason = next(iter(value.items()))
    if not isinstance(reason, str) or len(reason.strip()) < SHORTEST_REASON:
        raise QualityError(f"{FILE}: {name} needs a reason of {SHORTEST_REASON} characters or more")
    if mark == Mark.EXEMPT and ALL_RULES[name].exemption is None:
        raise QualityError(f"{FILE}: nobody can be exempt from {name}")
    return Marked(mark=Mark(mark), reason=reason.strip())


def quality_of(connector: type[Connector[Any]]) -> Quality:
    """Return the quality file that lies in the connector's package. Raises QualityError where there is none."""
    directory = directory_of(package_of(connector.__module__))
    path = directory / FILE if directory is not None else None
    if path is None or not path.is_file():
        raise QualityError(f"{package_of(connector.__module__)} has no {FILE}")
    try:
        return read_quality(path.read_text("utf-8"), rules=rules_for(connector))
    except (OSError, UnicodeDecodeError) as error:
        raise QualityError(f"{FILE} cannot be read: {type(error).__name__}") from None
