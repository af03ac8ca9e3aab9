"""What `doctor` says: a sentence, how much it matters, and the next step."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How much a finding matters, from nothing to everything."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nobody has to do anything."""
    ATTENTION = "attention"
    """The gateway works, and something needs a person."""
    BROKEN = "broken"
    """The gateway cannot work, or not for somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One sentence about one thing. `check` is a stable name, `subject` the source, connection or plugin, if any."""

    level: Level
    check: str
    sentence: str
    next_step: str = ""
    subject: str = ""


def ok(check: str, sentence: str, *, subject: str = "") -> Finding:
    """Return that something is as it must be."""
    return Finding(level=Level.OK, check=check, sentence=sentence, subject=subject)


def note(check: str, sentence: str, next_step: str = "", *, subject: str = "") -> Finding:
    """Return something worth knowing."""
    return Finding(level=Level.NOTE, check=check, sentence=sentence, next_step=next_step, subject=subject)


def attention(check: str, sentence: str, next_step: str, *, subject: str = "") -> Finding:
    """Return something that needs a person."""
    return Finding(level=Level.ATTENTION, check=check, sentence=sentence, next_step=next_step, subject=subject)


def broken(check: str, sentence: str, next_step: str, *, subject: str = "") -> Finding:
    """Return something that does not work."""
    return Finding(level=Level.BROKEN, check=check, sentence=sentence, next_step=next_step, subject=subject)


def worst(findings: Iterable[Finding]) -> Level:
    """Return how bad the worst of them is."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)


def finding_view(finding: Finding) -> dict[str, Any]:
    """Return a finding as it is shown."""
    return {
        "level": str(finding.level),
        "check": finding.check,
        "subject": finding.subject or None,
        "sentence": finding.sentence,
        "next_step": finding.next_step or None,
    }


def counted(count: int, word: str, more: str = "") -> str:
    """Return a count with its noun in the right number."""
    return f"{count} {word if count == 1 else more or word + 's'}"
