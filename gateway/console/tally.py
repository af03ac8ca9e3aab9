"""Intake and outcomes over time: deliveries counted by the time at which they came and by what became of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage import Store
from storage.records import DeliveryStatus, Scope

COLUMNS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One step of time."""

    start: datetime
    end: datetime
    counts: Mapping[DeliveryStatus, int]

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
    counted = await store.tally_deliveries(scope, since=since, until=until, step=step)
    columns = [
        Column(start=since + step * place, end=since + step * (place + 1), counts=counted.get(place, {}))
        for place in range(COLUMNS)
    ]
    return Tally(since=since, until=until, step=step, columns=columns)


def _ceiling(moment: datetime, step: timedelta) -> datetime:
    begun = int(moment.timestamp() // step.total_seconds())
    return datetime.fromtimestamp((begun + 1) * step.total_seconds(), tz=moment.tzinfo)
