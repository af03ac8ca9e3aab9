"""Asking the provider about a record that a person names, before it is linked."""

from typing import Any

from connectors.base import Connector
from connectors.invoices import InvoiceSync
from connectors.links import PaymentLinks
from gateway.errors import RecordTakenError, RecordUnknownError
from gateway.pipeline.dispatch import INVOICE, PAYMENT_LINK
from gateway.pipeline.work import CUSTOMER
from gateway.registry import Registry
from storage import Store
from storage.records import MappingKey

ACTIVE = "active"


class Records:
    """The providers' records, as far as this process can ask for them."""

    def __init__(self, store: Store, registry: Registry | None) -> None:
        self._store, self._registry = store, registry

    async def verify(self, connection: str, provider_entity_id: str, *, entity_type: str = "customer") -> bool:
        """Return whether the provider was asked, and has the record.

        False means that it could not be asked: no such look-up in the connector, or the connection is paused, unusable
        or not open in this process. Raises RecordUnknownError when the provider says for certain that there is none,
        ConnectorError kinds when asking failed: nothing is known then, and the caller changes nothing.
        """
        connector = self._connector(connection)
        if entity_type == INVOICE and isinstance(connector, InvoiceSync):
            found: object = await connector.get_invoice(provider_entity_id)
        elif entity_type == PAYMENT_LINK and isinstance(connector, PaymentLinks):
            found = await connector.get_link(provider_entity_id)
        elif connector is None or entity_type != CUSTOMER or not knows_records(type(connector)):
            return False
        else:
            found = await connector.get_customer(provider_entity_id)
        if found is None:
            msg = f"{connector.title} has no {entity_type.replace('_', ' ')} {provider_entity_id}"
            raise RecordUnknownError(msg)
        return True

    async def refuse_taken(self, key: MappingKey, provider_entity_id: str) -> None:
        """Raise RecordTakenError when the record is linked to another customer and may not be shared."""
        holders = await self._store.holders(key.connection, key.entity_type, [provider_entity_id])
        holder = holders.get(provider_entity_id)
        if holder is not None and holder != key and not self.shared(key.connection):
            msg = f"record {provider_entity_id} is linked to {holder.source}:{holder.entity_id}"
            raise RecordTakenError(msg)

    def shared(self, connection: str) -> bool:
        """Return whether several customers may have one record on this connection."""
        live = self._registry.connections.get(connection) if self._registry is not None else None
        return live is not None and live.connector is not None and live.connector.match_policy().shared

    def _connector(self, connection: str) -> Connector[Any] | None:
        live = self._registry.connections.get(connection) if self._registry is not None else None
        return live.connector if live is not None and live.row.status == ACTIVE else None


def knows_records(kind: type[Connector[Any]]) -> bool:
    """Return whether a connector can look a record up by its id: the base class cannot, and answers None always."""
    return kind.get_customer is not Connector.get_customer
