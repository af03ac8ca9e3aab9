"""The demo's last act: a payment link at each provider, asked for twice, and one of them paid, told of twice."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from gateway.sandbox.world import BILLING, EVENTS, World
from storage.records import DeliveryStatus, MappingStatus

PATIENCE_SECONDS = 20.0


@dataclass(slots=True, kw_only=True)
class Paying:
    """Asks, pays, and says what came of it; `wrong` is what should not have."""

    world: World
    told: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def play(self) -> None:
        """Take an invoice that both providers have, and have it paid through Nomod."""
        invoice = await self._billed()
        if invoice is None:
            self.wrong.append("no invoice is at both providers")
            return
        nomod, quickbooks = [await self._twice(invoice, f"{each}-sandbox") for each in ("nomod", "quickbooks")]
        if nomod is None or quickbooks is None:
            return
        self.told.append(f"Nomod: {nomod['url']} over {nomod['currency']} {nomod['amount']}")
        self.told.append(f"QuickBooks: {quickbooks['url']}, its own invoice's page")
        await self._pay(invoice, str(nomod["provider_entity_id"]))

    async def _billed(self) -> str | None:
        page = await self.world.store.list_mappings(limit=200, entity_type="invoice", status=MappingStatus.LINKED)
        known = [mapping.entity_id for mapping in page.items if mapping.source == "flexprice-sandbox"]
        return next((each for each in known if known.count(each) == 2), None)

    async def _twice(self, invoice: str, connection: str) -> dict[str, Any] | None:
        first, second = [await self._ask(invoice, connection) for _ in range(2)]
        if first.get("status") != "ready" or first.get("url") != second.get("url"):
            self.wrong.append(f"payment link on {connection}: {first}, then {second}")
            return None
        return first

    async def _ask(self, invoice: str, connection: str) -> dict[str, Any]:
        headers = {
            "Authorization": f"Bearer {self.world.gateway.new_admin_key}", "X-Tenant-ID": BILLING,
            "X-Environment-ID": "prod",
        }  # fmt: skip
        body = {"invoice_id": invoice, "connection": connection, "wait_seconds": 10}
        url = f"{self.world.gateway.url}/api/v1/payment-links"
        async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as answer:
            found = await answer.json()
            return found if isinstance(found, dict) else {}

    async def _pay(self, invoice: str, link: str) -> None:
        """Pay as the customer does, and tell of it as Nomod does: when it is created, and when it is completed."""
        charge = self.world.nomod.pay_link(link)
        for kind in ("charge.created", "charge.completed"):
            event = {"type": kind, "objectId": charge, "data": {"id": charge, "status": "paid"}}
            await self.world.sender.send(self.world.target(EVENTS), event)
        token = await self.world.store.change_token()
        while not await self._all_ended() and await self.world.store.wait_for_change(PATIENCE_SECONDS, since=token):
            token = await self.world.store.change_token()
        paid = Decimal(self.world.flexprice.invoices[invoice]["amount_paid"])
        counted = len(self.world.flexprice.payments)
        total = Decimal(self.world.flexprice.invoices[invoice]["total"])
        if paid != total or counted != 1:
            self.wrong.append(f"{invoice}: {paid} of {total} are paid, in {counted} payments")
        self.told.append(f"the customer paid Nomod's; Flexprice counts {paid:,.2f} in {counted} payment, told of twice")

    async def _all_ended(self) -> bool:
        page = await self.world.store.list_deliveries(source=EVENTS, limit=10)
        return len(page.items) == 2 and all(each.status is not DeliveryStatus.PENDING for each in page.items)
