"""Deliveries counted by time and outcome, for charts."""

import sqlite3
from datetime import datetime, timedelta

from storage.records import EVERYWHERE, DeliveryStatus, Scope
from storage.scalars import micros
from storage.sqlite.database import Database
from storage.sqlite.timeline import SLACK, number_at
from storage.sqlite.where import Where

_COUNTED = "SELECT (received_at - ?) / ? AS place, status, count(*) AS count FROM deliveries{where} GROUP BY 1, 2"


class Tallies:
    """The part of the store that counts."""

    _db: Database

    async def tally_deliveries(
        self, scope: Scope = EVERYWHERE, *, since: datetime, until: datetime, step: timedelta
    ) -> dict[int, dict[DeliveryStatus, int]]:
        """Return how many deliveries came to what, by the step of time in which they were received, counted from 0."""
        where = Where(scope)
        where.add("received_at >= ?", micros(since))
        where.add("received_at < ?", micros(until))

        def work(db: sqlite3.Connection) -> dict[int, dict[DeliveryStatus, int]]:
            where.add("number >= ?", number_at(db, since - SLACK))
            bound = (micros(since), micros(since + step) - micros(since), *where.values)
            tally: dict[int, dict[DeliveryStatus, int]] = {}
            for row in db.execute(_COUNTED.format(where=where), bound):
                tally.setdefault(row["place"], {})[DeliveryStatus(row["status"])] = row["count"]
            return tally

        return await self._db.read(work, slow=True)
