"""Flexprice's integration mappings and its own sync settings, simulated with the limits that block other writers.

Facts of github.com/flexprice/flexprice: internal/api/dto/integration.go, internal/types/entityintegrationmapping.go,
internal/types/sync_config.go.
"""

import json
from collections.abc import Mapping
from typing import Any, Unpack

from aiohttp import web

from connectors.testing.simulator import Handler
from gateway.sandbox.flexprice_api import ApiOptions, Problem, invalid, page
from gateway.sandbox.flexprice_invoices import FlexpriceInvoices
from gateway.sandbox.flexprice_records import Record, rfc3339

ENTITY_TYPES = (
    "customer", "plan", "invoice", "subscription", "payment", "credit_note", "addon", "item", "item_price", "price",
    "invoice_line_item", "subscription_line_item",
)  # fmt: skip
PROVIDERS = (
    "stripe", "razorpay", "paypal", "quickbooks", "zoho_books", "paddle", "hubspot", "chargebee", "nomod", "moyasar",
    "aws_marketplace", "gcp_marketplace", "azure_marketplace",
)  # fmt: skip
LINKABLE = frozenset(PROVIDERS) - {"nomod", "chargebee", "moyasar"}
"""The second, shorter list against which new mappings are checked."""


class FlexpriceMappings(FlexpriceInvoices):
    """Mappings by id, and the connections that Flexprice itself has: provider → its sync settings."""

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self.mappings: dict[str, Record] = {}
        self.connections: dict[str, Record] = {}
        self.linkable: set[str] = set(LINKABLE)
        """Providers for which a new mapping is taken; `nomod` is not among them unless a test adds it."""

    def endpoints(self) -> Mapping[tuple[str, str], Handler]:
        """Return the integrations' endpoints beside what was there."""
        return {
            **super().endpoints(),
            ("GET", "/integrations/mappings"): self._get_mappings,
            ("POST", "/integrations/link"): self._link,
            ("DELETE", "/integrations/link"): self._unlink,
            ("GET", "/integrations/config"): self._get_config,
        }

    def connect(self, provider: str, *, customer_outbound: bool = False, invoice_outbound: bool = False) -> None:
        """Make Flexprice's own connection to a provider, its own sync off unless told otherwise.

        Raises ValueError for a provider that Flexprice does not know.
        """
        if provider not in PROVIDERS:
            raise ValueError(f"no such provider: {provider}")
        self.connections[provider] = _sync_config(customer=customer_outbound, invoice=invoice_outbound)

    def add_mapping(
        self, entity_id: str, provider_type: str, provider_entity_id: str, *, entity_type: str = "customer"
    ) -> Record:
        """Make a mapping as Flexprice's own sync does, past every limit of `link`."""
        return self._keep_mapping(
            {
                "entity_id": entity_id,
                "entity_type": entity_type,
                "provider_type": provider_type,
                "provider_entity_id": provider_entity_id,
            },
            {"created_via": "flexprice_to_provider", "synced_at": rfc3339(self.clock())},
        )

    def mappings_of(self, customer_id: str) -> list[Record]:
        """Return a customer's mappings, archived ones included, as `expand=integrations` does."""
        return [
            row for row in self.mappings.values() if (row["entity_type"], row["entity_id"]) == ("customer", customer_id)
        ]

    async def _get_mappings(self, request: web.Request) -> web.Response:
        query = request.query
        if not query.get("entity_type") or not query.get("entity_id"):
            raise invalid("entity_type and entity_id are required")
        if query["entity_type"] not in ENTITY_TYPES:
            raise invalid("invalid entity type", allowed=list(ENTITY_TYPES))
        rows = [
            row
            for row in self.mappings.values()
            if (row["entity_type"], row["entity_id"]) == (query["entity_type"], query["entity_id"])
            and query.get("provider_type", row["provider_type"]) == row["provider_type"]
            and row["status"] == "published"
        ]
        return page(rows, limit=50, offset=0, next_offset=True)

    async def _link(self, request: web.Request) -> web.Response:
        body = await self.body(request)
        key = self._key(body)
        provider_entity_id = self.text(body, "provider_entity_id", required=True)
        metadata = body.get("metadata")
        if metadata is not None and not isinstance(metadata, dict):
            raise invalid("Invalid request format", field="metadata")
        if key["provider_type"] not in self.connections:
            raise invalid(f"no active connection for {key['provider_type']}")
        old = self._published(key)
        if old is None and key["provider_type"] not in self.linkable:
            raise invalid("invalid provider type", provider_type=key["provider_type"])
        plain = json.loads(json.dumps(metadata or {}, default=float))
        facts = {**plain, "linked_via": "api", "linked_at": rfc3339(self.clock())}
        if old is None:
            mapping = self._keep_mapping({**key, "provider_entity_id": provider_entity_id}, facts)
        else:
            old |= {"provider_entity_id": provider_entity_id, "metadata": facts, "updated_at": rfc3339(self.clock())}
            mapping = old
        return web.json_response({"mapping": mapping})

    async def _unlink(self, request: web.Request) -> web.Response:
        mapping = self._published(self._key(await self.body(request)))
        if mapping is None:
            raise Problem(404, "not_found", "Entity integration mapping not found")
        mapping["status"] = "archived"
        mapping["updated_at"] = rfc3339(self.clock())
        return web.json_response({"message": "Integration mapping delinked successfully"})

    async def _get_config(self, _: web.Request) -> web.Response:
        entries = [
            {
                "provider": provider,
                "base_config": _sync_config(customer=True, invoice=True),
                "current_config": current,
            }
            for provider, current in self.connections.items()
        ]
        return web.json_response({"integrations": entries})

    def _key(self, body: Record) -> dict[str, str]:
        """Return what tells one mapping from another, or refuse."""
        key = {
            "entity_type": self.text(body, "entity_type", required=True) or "",
            "entity_id": self.text(body, "entity_id", required=True) or "",
            "provider_type": self.text(body, "provider_type", 50, required=True) or "",
        }
        if key["entity_type"] not in ENTITY_TYPES:
            raise invalid("invalid entity type", allowed=list(ENTITY_TYPES))
        if key["provider_type"] not in PROVIDERS:
            raise invalid("invalid provider type", allowed=list(PROVIDERS))
        return key

    def _published(self, key: Mapping[str, str]) -> Record | None:
        for row in self.mappings.values():
            if row["status"] == "published" and all(row[name] == value for name, value in key.items()):
                return row
        return None

    def _keep_mapping(self, fields: Mapping[str, Any], metadata: Record) -> Record:
        mapping = {"id": self.new_id("eim"), **fields, "metadata": metadata, **self.base_columns()}
        self.mappings[mapping["id"]] = mapping
        return mapping


def _sync_config(*, customer: bool, invoice: bool) -> Record:
    outbound = {"customer": customer, "invoice": invoice}
    names = ("plan", "subscription", "invoice", "customer", "payment", "deal", "quote")
    return {name: {"inbound": False, "outbound": outbound.get(name, False)} for name in names}
