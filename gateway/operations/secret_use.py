"""Which of a source's signing secrets its sender has used last: what tells when an old one may go."""

from datetime import datetime
from typing import Any

from gateway.operations.times import stamp
from storage import Store
from storage.records import EVERYWHERE, SourceRow

CHANGES = 50
"""How many of the source's last changes are looked through for one of the secrets."""
DELIVERIES = 200


async def secrets_used(store: Store, row: SourceRow, count: int) -> list[dict[str, Any]]:
    """Return for each secret, newest first, its `number` from 1 and when it last proved a delivery (`last_used_at`).

    Only the last 200 deliveries count, and only those since the secrets were changed: until then others had these
    numbers.
    """
    since = await _changed_at(store, row)
    recent = await store.list_deliveries(EVERYWHERE, source=row.name, since=since, limit=DELIVERIES)
    used: dict[int, datetime] = {}
    for delivery in recent.items:
        used.setdefault(delivery.secret_index, delivery.received_at)
    return [{"number": index + 1, "last_used_at": stamp(used.get(index))} for index in range(count)]


async def _changed_at(store: Store, row: SourceRow) -> datetime:
    """Return when the source's secrets were last changed, as far as its audit tells."""
    changes = await store.list_audit(EVERYWHERE, subject=row.name, limit=CHANGES)
    for entry in changes.items:
        fields = (entry.detail or {}).get("fields", [])
        if entry.action in ("source.secret_rotated", "source.created") or any(
            str(field).startswith("secrets.") for field in fields
        ):
            return entry.at
    return row.created_at
