"""Customers: whom deliveries have spoken of, and where each is linked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field

from gateway.errors import CustomerNotFoundError
from gateway.operations.acting import Desk
from gateway.operations.mappings import MappingView, mapping_view
from gateway.operations.views import Listed, View, seconds
from storage.records import EVERYWHERE, EntityMapping, MappingStatus, Scope, SeenCustomer

CUSTOMER = "customer"
MOST = 200
_NEVER = datetime.min.replace(tzinfo=UTC)


class CustomerView(View):
    """A billing customer, and its mappings."""

    source: str
    customer_id: str
    tenant_id: str
    environment_id: str
    name: str = Field(description="Empty until a job has read the customer.")
    email: str
    mappings: Sequence[MappingView]


class Integrations(View):
    """Where a customer is linked."""

    customer_id: str
    integrations: dict[str, dict[str, str | None]] = Field(
        description="By connector: `<connector>_customer_id` and `<connector>_sync_timestamp`.",
        examples=[{"nomod": {"nomod_customer_id": "…", "nomod_sync_timestamp": "2026-01-20T10:30:00Z"}}],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Customers(Desk):
    """The use-cases of customers."""

    async def list(
        self, scope: Scope = EVERYWHERE, *, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Listed[CustomerView]:
        """Return customers seen; `text` is part of a name, e-mail address or id. Raises CursorInvalidError."""
        page = await self.store.list_customers(scope, text=text, limit=limit, cursor=cursor)
        items = [await self._view(seen) for seen in page.items]
        return Listed(items=items, next_cursor=page.next_cursor)

    async def get(self, customer_id: str, scope: Scope = EVERYWHERE) -> Sequence[CustomerView]:
        """Return the customers with this id, one for each source that spoke of it. Raises CustomerNotFoundError."""
        found = await self.store.find_customers(customer_id, scope)
        if not found:
            raise CustomerNotFoundError
        return [await self._view(seen) for seen in found]

    async def integrations(self, customer_id: str, scope: Scope = EVERYWHERE) -> Integrations:
        """Return where a customer is linked: nowhere for one that was only seen. Raises CustomerNotFoundError.

        Where a customer is linked on several connections of one connector, the latest link is told.
        """
        mappings = await self._mappings(customer_id, scope)
        if not mappings and not await self.store.find_customers(customer_id, scope):
            raise CustomerNotFoundError
        linked = [mapping for mapping in mappings if mapping.status is MappingStatus.LINKED]
        told = {
            mapping.connector: {
                f"{mapping.connector}_customer_id": mapping.provider_entity_id,
                f"{mapping.connector}_sync_timestamp": seconds(mapping.synced_at),
            }
            for mapping in sorted(linked, key=lambda mapping: mapping.synced_at or _NEVER)
        }
        return Integrations(customer_id=customer_id, integrations=told)

    async def _view(self, seen: SeenCustomer) -> CustomerView:
        mappings = await self._mappings(
            seen.customer_id, Scope(tenant_id=seen.tenant_id, environment_id=seen.environment_id)
        )
        return CustomerView(
            source=seen.source, customer_id=seen.customer_id, tenant_id=seen.tenant_id,
            environment_id=seen.environment_id, name=seen.name, email=seen.email,
            mappings=[mapping_view(mapping) for mapping in mappings if mapping.source == seen.source],
        )  # fmt: skip

    async def _mappings(self, customer_id: str, scope: Scope) -> Sequence[EntityMapping]:
        page = await self.store.list_mappings(scope, entity_id=customer_id, entity_type=CUSTOMER, limit=MOST)
        return page.items
