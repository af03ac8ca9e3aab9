"""Flexprice's finalized invoices, searched for: its webhooks are no outbox, and some never come.

The events of a crash between commit and publish are lost there, and failed deliveries are given up after some tries.
https://docs.flexprice.io/api-reference (POST /invoices/search).
"""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from gateway.errors import SourceUnavailableError
from gateway.sources.feed import Feed, Item, moment
from gateway.sources.platform_api import PlatformApi

FINALIZED, VOIDED, PAID = "invoice.update.finalized", "invoice.update.voided", "invoice.update.payment"
MAX_ID_CHARS = 255
PAGE = 200
GRACE_SECONDS = 60.0
"""How long an invoice's own webhook is waited for before the search speaks for it."""


class InvoiceFeed(Feed):
    """The invoices of an environment that became FINALIZED."""

    scheme = "reconcile"

    def __init__(self, api: PlatformApi, *, interval: float) -> None:
        super().__init__(interval=interval)
        self._api = api

    async def pages(self, *, since: datetime, until: datetime) -> AsyncGenerator[Sequence[Item], None]:
        """Yield invoices finalized since then, oldest first, each with the least body that its webhook may have.

        What the search answers is looked at again: a version that passes over a filter must not bring back years.
        """
        until -= timedelta(seconds=min(GRACE_SECONDS, self.interval))
        offset = 0
        while True:
            rows, total = await self._page(since, offset)
            yield [item for row in rows if (item := _item(row)) and item.at and since <= item.at <= until]
            offset += len(rows)
            more = offset < total if total is not None else len(rows) == PAGE
            if not rows or not more:
                return

    async def _page(self, since: datetime, offset: int) -> tuple[list[Any], int | None]:
        after = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = await self._api.send(
            "POST", "/invoices/search",
            {
                "invoice_status": ["FINALIZED"], "skip_line_items": True, "limit": PAGE, "offset": offset,
                "filters": [
                    {"field": "finalized_at", "operator": "after", "data_type": "date", "value": {"date": after}}
                ],
                "sort": [{"field": "finalized_at", "direction": "asc"}],
            },
        )  # fmt: skip
        rows = found.get("items") if isinstance(found, dict) else None
        if not isinstance(rows, list):
            msg = "the search for invoices has no items: check `api_url`"
            raise SourceUnavailableError(msg)
        paging = found.get("pagination") if isinstance(found, dict) else None
        total = paging.get("total") if isinstance(paging, dict) else None
        return rows, total if isinstance(total, int) and not isinstance(total, bool) else None


def _item(row: Any) -> Item | None:
    """Return the invoice as an item, or None for what is no finalized invoice with a customer."""
    if not isinstance(row, dict) or str(row.get("invoice_status") or "").upper() != "FINALIZED":
        return None
    invoice_id, customer_id = row.get("id"), row.get("customer_id")
    if not (_is_id(invoice_id) and _is_id(customer_id)):
        return None
    at = next((at for name in ("finalized_at", "updated_at", "created_at") if (at := moment(row.get(name)))), None)
    body = orjson.dumps({"event_type": FINALIZED, "invoice": {"id": invoice_id, "customer_id": customer_id}})
    return Item(subject=str(invoice_id), at=at, body=body)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
