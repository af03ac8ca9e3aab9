"""The template engine: automatic escaping, strict about what is not there, and the few filters that pages use."""

from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
import orjson

from gateway.console import words
from gateway.console.config_form import label_of
from gateway.console.visit import ROOT


@cache
def templates() -> jinja2.Environment:
    """Return the engine: one for every gateway of this process, since a template once compiled is the same for all."""
    made = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    )  # fmt: skip
    made.filters.update(filters())
    made.globals.update(root=ROOT, version=installed_version())
    return made


def filters() -> dict[str, Any]:
    """Return the filters that templates use."""
    return {
        "moment": moment, "utc": utc, "duration": duration, "size": size, "short": short, "label": label_of,
        "pretty": pretty,
        "delivery": words.delivery_said, "job": words.job_said, "mapping": words.mapping_said,
        "outcome": words.outcome_said, "kind": words.kind_said, "origin": words.origin_said,
        "alert": words.alert_said, "review": words.review_said, "decision": words.decision_said,
    }  # fmt: skip


def moment(value: datetime | str) -> datetime:
    """Return a time that a use-case gave as text."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.astimezone(UTC)


def utc(value: datetime | str) -> str:
    """Return a time as it is shown without a script: absolute, in UTC."""
    return f"{moment(value):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """Return a duration in the two largest units that matter."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    parts: list[str] = []
    left = int(seconds)
    for name, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def short(name: str) -> str:
    """Return an id that is short enough for a column: its kind and its end, which differs most."""
    return name if len(name) <= 16 else f"{name[:4]}…{name[-6:]}"


def pretty(value: Any) -> str:
    """Return a JSON value, indented."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def installed_version() -> str:
    """Return the version of the distribution."""
    try:
        return version("ledgergate")
    except PackageNotFoundError:
        return "unknown"
