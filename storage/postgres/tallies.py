"""Deliveries counted by time and outcome, for charts."""

from datetime import datetime, timedelta

from storage.postgres.database import Database
from storage.postgres.timeline import DELIVERY_AT, SLACK
from storage.postgres.where import Where
from storage.records import EVERYWHERE, DeliveryStatus, Scope
from storage.scalars import micros

_COUNTED = "SELECT (received_at - {begun}) / {step} AS place, status, count(*) AS count FROM deliveries"


class Tallies:
    """The part of the store that counts."""

    _db: Database

    async def tally_deliveries(
        self, scope: Scope = EVERYWHERE, *, since: datetime, until: datetime, step: timedelta
    ) -> dict[int, dict[DeliveryStatus, int]]:
        """Return how many deliveries came to what, by the step of time in which they were received, counted from 0."""
        begun, length = micros(since), micros(since + step) - micros(since)
        where = Where(scope)
        where.add("received_at >= ?", begun)
        where.add("received_at < ?", micros(until))
        where.add(f"number >= {DELIVERY_AT}", micros(since - SLACK))
        query = f"{_COUNTED.format(begun=begun, step=length)}{where} GROUP BY 1, 2"
        tally: dict[int, dict[DeliveryStatus, int]] = {}
        for row in await self._db.run(lambda db: db.rows(query, *where.values)):
            tally.setdefault(row["place"], {})[DeliveryStatus(row["status"])] = row["count"]
        return tally
