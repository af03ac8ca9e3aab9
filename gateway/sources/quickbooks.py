"""QuickBooks' webhooks about payments: signed with the app's verifier token, in the old shape and as CloudEvents.

https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks. They name what has changed and nothing else, and
one delivery may be about several companies: what is about another than the connection's is ignored.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.errors import PayloadInvalidError
from gateway.sources.base import Event, Verification
from gateway.sources.provider_events import ProviderEvents

PAYMENT = "payment"

Named = tuple[str, str, str]
"""What happened, the record's id, the company."""


class QuickBooksEvents(ProviderEvents):
    """Adapter of QuickBooks' webhooks."""

    platform = "quickbooks"
    title = "QuickBooks Online (payments)"
    sends = "Tells of payments in QuickBooks. It belongs to a QuickBooks connection: add that first."
    proves_by = Verification.INTUIT_SIGNATURE

    def keep(self, body: bytes) -> bytes:
        """Keep all: there are ids in it, and nothing else."""
        return body

    def parse(self, body: bytes) -> Event:
        """Read which payments it is about. Raises PayloadInvalidError."""
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise PayloadInvalidError("the body is not JSON") from error
        if isinstance(found, list):
            named = list(_cloud_events(found))
        elif isinstance(found, dict) and isinstance(found.get("eventNotifications"), list):
            named = list(_notifications(found["eventNotifications"]))
        else:
            raise PayloadInvalidError("the body is neither a list of CloudEvents nor eventNotifications")
        kinds = list(dict.fromkeys(kind for kind, _, _ in named))
        payments = [(key, realm) for kind, key, realm in named if key and _is_payment(kind)]
        return self.told(", ".join(kinds) or "nothing", payments)


def _is_payment(kind: str) -> bool:
    """Whether `Payment.Create` or `qbo.payment.created.v1` is about a payment; a bill's payment is another thing."""
    parts = kind.lower().split(".")
    return PAYMENT in parts[:2]


def _cloud_events(events: list[Any]) -> Iterator[Named]:
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            yield event["type"], _id(event.get("intuitentityid")), _id(event.get("intuitaccountid"))


def _notifications(notifications: list[Any]) -> Iterator[Named]:
    for each in notifications:
        change = each.get("dataChangeEvent") if isinstance(each, dict) else None
        realm = _id(each.get("realmId")) if isinstance(each, dict) else ""
        entities = change.get("entities") if isinstance(change, dict) else None
        for entity in entities if isinstance(entities, list) else ():
            if isinstance(entity, dict) and isinstance(entity.get("name"), str):
                yield f"{entity['name']}.{entity.get('operation') or 'Change'}", _id(entity.get("id")), realm


def _id(value: object) -> str:
    text = str(value) if isinstance(value, str | int) else ""
    return text if text.isascii() and text.isdigit() and len(text) <= 20 else ""
