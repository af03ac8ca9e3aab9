"""Reads as much of a PromQL expression as it takes to know which metrics and labels it names.

https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>[0-9][0-9.]*(?:ms|[smhdwy])?|\$\w+)|(?P<name>[A-Za-z_:][\w:]*)
    |(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){}\[\],]))""",
    re.VERBOSE,
)
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan"}


@dataclass
class Named:
    """What an expression names."""

    metrics: set[str] = field(default_factory=set)
    matchers: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Metric, label, operator, value."""
    grouped: set[str] = field(default_factory=set)
    """Labels in `by`, `on` and their like."""


def tokens(text: str) -> list[tuple[str, str]]:
    """Split an expression. Raises ValueError for what is no token."""
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            msg = f"not PromQL from here on: {text[place:]!r}"
            raise ValueError(msg)
        found.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return found


def read(text: str) -> Named:
    """Return what an expression names. Raises ValueError for brackets that do not fit."""
    named, found, place = Named(), tokens(text), 0
    _balanced(found)
    while place < len(found):
        kind, word = found[place]
        following = found[place + 1][1] if place + 1 < len(found) else ""
        if kind == "name" and word in GROUPING and following == "(":
            end = found.index(("sign", ")"), place)
            named.grouped |= {name for kind, name in found[place + 2 : end] if kind == "name"}
            place = end
        elif kind == "name" and word not in WORDS and following not in {"(", *GROUPING}:
            named.metrics.add(word)
            if following == "{":
                end = found.index(("sign", "}"), place)
                inside = found[place + 2 : end]
                for part in range(0, len(inside), 4):
                    (_, label), (_, operator), (_, value) = inside[part : part + 3]
                    named.matchers.append((word, label, operator, value.strip('"')))
                place = end
        place += 1
    return named


def _balanced(found: list[tuple[str, str]]) -> None:
    pairs, opened = {")": "(", "}": "{", "]": "["}, []
    for kind, word in found:
        if kind == "sign" and word in pairs.values():
            opened.append(word)
        elif kind == "sign" and word in pairs and (not opened or opened.pop() != pairs[word]):
            msg = f"{word} closes nothing"
            raise ValueError(msg)
    if opened:
        msg = f"{opened[-1]} is never closed"
        raise ValueError(msg)
