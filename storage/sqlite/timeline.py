"""From a time to the place in the order of arrival, without an index on time."""

import sqlite3
from datetime import datetime, timedelta

from storage.scalars import micros

SLACK = timedelta(hours=1)
"""By how much the order of arrival may differ from that of the times of receipt: clocks are set back."""

DELIVERIES, JOBS = ("deliveries", "received_at"), ("jobs", "created_at")
"""Tables whose numbers grow with time, and the column that holds it."""


def number_at(db: sqlite3.Connection, moment: datetime, of: tuple[str, str] = DELIVERIES) -> int:
    """Return the number of the first row of that time or later, by halving; right up to `SLACK`."""
    table, column = of
    last = f"SELECT coalesce(max(number), 0) FROM {table}"
    following = f"SELECT number, {column} FROM {table} WHERE number >= ? ORDER BY number LIMIT 1"
    at, low, high = micros(moment), 0, db.execute(last).fetchone()[0] + 1
    while low < high:
        middle = (low + high) // 2
        row = db.execute(following, (middle,)).fetchone()
        if row is None or row[column] >= at:
            high = middle
        else:
            low = row["number"] + 1
    return low
