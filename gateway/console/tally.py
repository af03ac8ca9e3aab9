"""Intake and outcomes over time: deliveries counted by the time at which they came and by what became of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage import Store
from storage.records import DeliveryStatus, Scope

COLUMNS = 48
PAGE = 1000
MAX_PAGES = 10
"""At most so many pages of the newest deliveries are counted; a chart of more says where it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One step of time."""

    start: datetime
    counts: dict[DeliveryStatus, int]

    @property
    def total(self) -> int:
        """Return how many came in this step."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All steps, oldest first."""

    since: datetime
    until: datetime
    step: timedelta
    columns: Sequence[Column]
    counted_since: datetime | None = None
    """Set when there were more deliveries than are counted: the time from which on all are."""

    @property
    def total(self) -> int:
        """Return how many came."""
        return sum(column.total for column in self.columns)

    def of(self, status: DeliveryStatus) -> int:
        """Return how many of these came to this."""
        return sum(column.counts.get(status, 0) for column in self.columns)


async def tally(store: Store, scope: Scope, *, now: datetime, span: timedelta) -> Tally:
    """Return the deliveries of the last `span`, in steps that begin at round times."""
    step = span / COLUMNS
    until = _ceiling(now, step)
    since = until - span
    counts: list[Counter[DeliveryStatus]] = [Counter() for _ in range(COLUMNS)]
    cursor: str | None = None
    oldest: datetime | None = None
    for _ in range(MAX_PAGES):
        page = await store.list_deliveries(scope, since=since, limit=PAGE, cursor=cursor)
        for delivery in page.items:
            place = (delivery.received_at - since) // step
            if 0 <= place < COLUMNS:
                counts[place][delivery.status] += 1
            oldest = delivery.received_at
        cursor = page.next_cursor
        if cursor is None:
            break
    return Tally(
        since=since, until=until, step=step, counted_since=oldest if cursor is not None else None,
        columns=[Column(start=since + step * place, counts=dict(found)) for place, found in enumerate(counts)],
    )  # fmt: skip


def _ceiling(moment: datetime, step: timedelta) -> datetime:
    begun = int(moment.timestamp() // step.total_seconds())
    return datetime.fromtimestamp((begun + 1) * step.total_seconds(), tz=moment.tzinfo)
