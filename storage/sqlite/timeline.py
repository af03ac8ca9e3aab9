"""From a time to the place in the order of arrival, without an index on time."""

import sqlite3
from datetime import datetime, timedelta

from storage.scalars import micros

SLACK = timedelta(hours=1)
"""By how much the order of arrival may differ from that of the times of receipt: clocks are set back."""

_LAST = "SELECT coalesce(max(number), 0) FROM deliveries"
_FROM = "SELECT number, received_at FROM deliveries WHERE number >= ? ORDER BY number LIMIT 1"


def number_at(db: sqlite3.Connection, moment: datetime) -> int:
    """Return the number of the first delivery received at that time or later, by halving; right up to `SLACK`."""
    at, low, high = micros(moment), 0, db.execute(_LAST).fetchone()[0] + 1
    while low < high:
        middle = (low + high) // 2
        row = db.execute(_FROM, (middle,)).fetchone()
        if row is None or row["received_at"] >= at:
            high = middle
        else:
            low = row["number"] + 1
    return low
