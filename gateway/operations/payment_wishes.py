"""What a request for a payment link comes to: which invoice of which platform is meant, and what is open of it."""

from dataclasses import dataclass
from typing import Any

from connectors.invoices import Invoice
from gateway.errors import (
    GatewayError,
    InvoiceNotFoundError,
    InvoiceNotPayableError,
    InvoiceUnreadableError,
    PluginError,
    RequestInvalidError,
)
from gateway.pipeline.work import CUSTOMER
from gateway.registry import LiveConnection, LiveSource, Registry
from gateway.sources.base import Confirmed, Dropped, Event, Trigger
from storage.errors import NotFoundError
from storage.records import MappingKey, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a request comes to once the platform has been asked."""

    origin: LiveSource
    live: LiveConnection
    invoice_id: str
    customer_id: str
    due: Invoice | None
    """None where the platform tells no amount: the customer can be made to exist, and the link will say why not."""

    def key(self, entity_type: str) -> MappingKey:
        """Return the key of the mapping of the invoice's customer, of the invoice, or of its link."""
        entity_id = self.customer_id if entity_type == CUSTOMER else self.invoice_id
        return MappingKey(
            source=self.origin.row.name, entity_type=entity_type, entity_id=entity_id, connection=self.live.row.name
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Reads wishes from the platforms."""

    registry: Registry

    async def read(self, scope: Scope, *, invoice_id: str, connection: str, source: str | None) -> Wish:
        """Ask the platforms that it may be of; most often there is one.

        Raises NotFoundError, InvoiceNotFoundError, InvoiceNotPayableError, RequestInvalidError when several have it,
        and what reading the platform raises.
        """
        live = self._connection(connection, scope)
        found: list[Wish] = []
        trouble: GatewayError | None = None
        for origin in self._sources(source, live):
            try:
                found.append(await self._asked(origin, live, invoice_id))
            except InvoiceNotFoundError:
                continue
            except InvoiceNotPayableError:
                raise
            except GatewayError as error:
                trouble = error
        if len(found) > 1:
            names = ", ".join(sorted(wish.origin.row.name for wish in found))
            raise RequestInvalidError(f"source: which one? {names} have an invoice with this id")
        if not found:
            raise trouble or InvoiceNotFoundError()
        return found[0]

    async def _asked(self, origin: LiveSource, live: LiveConnection, invoice_id: str) -> Wish:
        """Read the invoice at one platform. Raises InvoiceNotFoundError, InvoiceNotPayableError, GatewayError kinds."""
        if origin.adapter is None:
            raise PluginError(origin.problem or "")
        try:
            found = await origin.adapter.payable(invoice_id)
        except InvoiceUnreadableError:
            asked = Event(type="payment_link.requested", trigger=Trigger.PAYMENT_LINK, subject=invoice_id)
            confirmed = await origin.adapter.confirm(asked)
            if not isinstance(confirmed, Confirmed):
                raise InvoiceNotPayableError(confirmed.reason) from None
            return Wish(
                origin=origin, live=live, invoice_id=invoice_id, customer_id=confirmed.customer_id, due=None
            )  # fmt: skip
        if isinstance(found, Dropped):
            raise InvoiceNotPayableError(found.reason)
        return Wish(origin=origin, live=live, invoice_id=invoice_id, customer_id=found.customer_id, due=found)

    def _connection(self, name: str, scope: Scope) -> LiveConnection:
        live = self.registry.connections.get(name)
        if live is None or not _within(live.row, scope):
            msg = f"there is no connection {name} in this tenant and environment"
            raise NotFoundError(msg)
        return live

    def _sources(self, name: str | None, live: LiveConnection) -> list[LiveSource]:
        """Return the sources whose invoice may be meant: the one named, else all of the tenant's that have invoices."""
        home = Scope(tenant_id=live.row.tenant_id, environment_id=live.row.environment_id)
        near = {each.row.name: each for each in self.registry.sources.values() if _within(each.row, home)}
        if name is not None:
            if name not in near:
                msg = f"there is no source {name} in this tenant and environment"
                raise NotFoundError(msg)
            return [near[name]]
        having = [each for each in near.values() if each.adapter is not None and each.adapter.has_invoices]
        if not having:
            msg = "no source in this tenant and environment has invoices"
            raise InvoiceNotFoundError(msg)
        return having


def _within(row: Any, scope: Scope) -> bool:
    return scope.tenant_id in (None, row.tenant_id) and scope.environment_id in (None, row.environment_id)
