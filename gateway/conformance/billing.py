"""What the kit's gateways stand between: a platform whose customers and invoices are given by hand, and the rows."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.invoices import Invoice
from connectors.models import Customer
from gateway.sources.base import Confirmed, Event, Source, SourceConfig, SourceHost
from storage.records import ConnectionRow, SourceRow

CONNECTION = "kit"
TENANT, ENVIRONMENT = "kit", "prod"
BILLING = "kit-billing"
"""The source whose customers and invoices the kit's bench makes."""

Told = dict[str, tuple[str, Decimal]]
"""What the platform was told of payments: key → invoice and amount."""


class KitSource(Source):
    """A platform whose customers are given by hand."""

    platform = "kit"
    title = "Conformance kit"
    has_invoices = True
    reports_payments = True

    def __init__(self, config: SourceConfig, host: SourceHost, told: Told) -> None:
        super().__init__(config, host)
        self.customers: dict[str, Customer] = {}
        self.invoices: dict[str, Invoice] = {}
        self.told = told

    def parse(self, body: bytes) -> Event:
        """No delivery comes here."""
        raise NotImplementedError

    async def confirm(self, event: Event) -> Confirmed:
        """Every event holds."""
        return Confirmed(customer_id=event.customer_id or "")

    async def customer(self, customer_id: str, event: Event) -> Customer:
        """Return the customer."""
        return self.customers[customer_id]

    async def invoice(self, invoice_id: str) -> Invoice:
        """Return the invoice."""
        return self.invoices[invoice_id]

    async def report_payment(self, *, invoice_id: str, key: str, amount: Decimal, **_: Any) -> bool:
        """Count the payment, once for its key."""
        known = key in self.told
        self.told[key] = (invoice_id, amount)
        return not known


def connection_row(connector: str, now: datetime) -> ConnectionRow:
    """Return the row of the one connection."""
    return ConnectionRow(
        name=CONNECTION, connector=connector, tenant_id=TENANT, environment_id=ENVIRONMENT, status="active",
        pause_reason=None, pause_detail=None, account=None, secrets={}, created_at=now, updated_at=now,
        # A rule says itself which invoices are made: none follow a customer.
        settings={"invoice_sync": {"outbound": True, "customer_only": True}, "config": {}},
    )  # fmt: skip


def source_row(name: str, now: datetime) -> SourceRow:
    """Return the row of a source."""
    return SourceRow(
        name=name, platform="kit", tenant_id=TENANT, environment_id=ENVIRONMENT, verification="standard-webhooks",
        status="active", settings={}, secrets={}, created_at=now, updated_at=now,
    )  # fmt: skip
