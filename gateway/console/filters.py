"""What lists can be narrowed by, as it stands in the address."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.operations.times import bounded

PERIODS = (("1h", "last hour"), ("24h", "last 24 hours"), ("7d", "last 7 days"), ("30d", "last 30 days"))
_SPANS = {
    "1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)
}  # fmt: skip
TIMES = ("period", "since", "until")
"""Parameters of a list over time: one of `PERIODS`, or two times in UTC."""


def times_of(asked: Mapping[str, str], *, now: datetime) -> dict[str, Any]:
    """Return `since` and `until` of a list; of a period and a time, the later one is where the list ends."""
    span = _SPANS.get(asked.get("period", ""))
    since, until = _moment(asked.get("since", "")), _moment(asked.get("until", ""))
    begun = [moment for moment in (since, now - span if span is not None else None) if moment is not None]
    return {"since": max(begun, default=None), "until": until}


def _moment(text: str) -> datetime | None:
    """Return a time as a browser's field or a link has it, in UTC where it says nothing else; None for no time."""
    try:
        return bounded(datetime.fromisoformat(text))
    except ValueError:
        return None


def options_of(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return names as the options of a choice."""
    return [(name, name) for name in sorted(set(names))]
