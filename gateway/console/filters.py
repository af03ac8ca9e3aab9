"""What lists can be narrowed by, as it stands in the address."""

from collections.abc import Iterable
from datetime import datetime, timedelta

PERIODS = (("1h", "last hour"), ("24h", "last 24 hours"), ("7d", "last 7 days"), ("30d", "last 30 days"))
_SPANS = {
    "1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)
}  # fmt: skip


def since_of(period: str, *, now: datetime) -> datetime | None:
    """Return when a period began; None for always."""
    span = _SPANS.get(period)
    return now - span if span is not None else None


def options_of(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return names as the options of a choice."""
    return [(name, name) for name in sorted(set(names))]
