"""Nomod's webhooks about charges: signed as Svix signs, the charge read again, card data never stored.

https://nomod.com/docs/webhooks/managing-webhooks. Bodies seen have `type` and `data.id`, some an `eventId` and an
`objectId`; the rest of `data` is a copy of the charge, of which nothing is kept.
"""

from typing import Any

import orjson

from gateway.errors import PayloadInvalidError
from gateway.sources.base import Event
from gateway.sources.provider_events import ProviderEvents

CHARGE = "charge."
MAX_ID_CHARS = 128


class NomodEvents(ProviderEvents):
    """Adapter of Nomod's webhooks."""

    platform = "nomod"
    title = "Nomod (payments)"
    sends = "Tells of payments at Nomod. It belongs to a Nomod connection: add that first."

    def keep(self, body: bytes) -> bytes:
        """Keep the type and the ids."""
        found = _read(body)
        if found is None:
            return b'{"unreadable":true}'
        kept = {name: found[name] for name in ("type", "eventId", "objectId") if _is_id(found.get(name))}
        data = found.get("data")
        if isinstance(data, dict) and _is_id(data.get("id")):
            kept["data"] = {"id": data["id"]}
        return orjson.dumps(kept)

    def parse(self, body: bytes) -> Event:
        """Read which charge it is about. Raises PayloadInvalidError."""
        found = _read(body)
        if found is None or not isinstance(found.get("type"), str):
            raise PayloadInvalidError("the body has no type")
        kind, data = found["type"], found.get("data")
        charge = data.get("id") if isinstance(data, dict) else None
        charge = charge if _is_id(charge) else found.get("objectId")
        return self.told(kind, [(charge, "")] if kind.startswith(CHARGE) and isinstance(charge, str) else [])


def _read(body: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable() and value.isascii()
