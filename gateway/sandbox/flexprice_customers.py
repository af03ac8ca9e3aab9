"""Flexprice's customers, simulated: read with or without mappings, search, and the PUT that replaces all metadata.

Facts of github.com/flexprice/flexprice: internal/api/dto/customer.go and internal/ee/service/customer.go.
"""

import re
from collections.abc import Mapping
from typing import Any, Unpack

from aiohttp import web

from connectors.testing.simulator import Handler
from gateway.sandbox.flexprice_api import ApiOptions, FlexpriceApi, Problem, invalid, page
from gateway.sandbox.flexprice_records import Record, Table, rfc3339
from gateway.sandbox.flexprice_search import in_time_range, matching, texts

_LIMITS = {
    "external_id": 255, "name": 255, "email": 255, "contact": 20, "address_line1": 255, "address_line2": 255,
    "address_city": 100, "address_state": 100, "address_postal_code": 20, "address_country": 2, "timezone": 50,
}  # fmt: skip
COLUMNS = frozenset({*_LIMITS, "id", "status", "created_at", "updated_at", "created_by", "updated_by"})
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")
_RESERVED = {
    "gstin": re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]"),
    "pan": re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]"),
    "place_of_supply": re.compile(r"[0-9]{2}"),
    "hsn_sac": re.compile(r"[0-9]{4,8}"),
    "shipping_address_country": re.compile(r"[A-Z]{2}"),
}
_LATER = frozenset({"billing_currency", "contact_persons", "tax_treatment"})
"""Fields that newer versions add; a record has them only where it was made with them."""

SYSTEM_PREFIX = "_fp_"


class FlexpriceCustomers(FlexpriceApi):
    """The customers of one environment. `customers` maps id → record as the API answers it."""

    refuse_system_metadata: bool = False
    """Whether a PUT with a `_fp_` key is refused and such keys outlive a PUT without them, as some versions have it."""

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self._customers = Table(self.time)

    @property
    def customers(self) -> dict[str, Record]:
        """The customers as the primary has them now."""
        return self._customers.rows

    def endpoints(self) -> Mapping[tuple[str, str], Handler]:
        """Return the customers' endpoints. There is no `/customers/{id}/integrations`, whatever the guides say."""
        return {
            **super().endpoints(),
            ("GET", "/customers/external/{external_id}"): self._get_by_external_id,
            ("GET", "/customers/{id}"): self._get_customer,
            ("PUT", "/customers/{id}"): self._put_customer,
            ("PUT", "/customers"): self._put_customer,
            ("POST", "/customers/search"): self._search_customers,
        }

    def emit(self, event_type: str, entity_id: str) -> None:
        """Publish an event about something that has just changed. Here nobody listens."""

    def mappings_of(self, customer_id: str) -> list[Record]:
        """Return a customer's integration mappings, archived ones included. Here there are none."""
        return []

    def add_customer(self, *, name: str = "Acme Trading LLC", email: str = "", **fields: Any) -> Record:
        """Make a customer and return its record. Takes every field of the record; nothing is checked.

        `id` and `external_id` are made up unless given. Text that is not given is empty, as the API has it.
        """
        now = rfc3339(self.clock())
        customer_id = fields.pop("id", None) or self.new_id("cust")
        record: Record = {
            "id": customer_id,
            "external_id": customer_id.lower().replace("cust_", "ext-"),
            "name": name,
            "email": email,
            "contact": "",
            "address_line1": "",
            "address_line2": "",
            "address_city": "",
            "address_state": "",
            "address_postal_code": "",
            "address_country": "",
            "timezone": "UTC",
            "metadata": None,
            "environment_id": self.environment_id,
            "tenant_id": self.tenant_id,
            "status": "published",
            "created_at": now,
            "updated_at": now,
            "created_by": self.user_id,
            "updated_by": self.user_id,
        }
        _require_known(fields, record)
        return self._customers.put(record | fields)

    def edit_customer(self, customer_id: str, **fields: Any) -> Record:
        """Change a customer as a person does in the dashboard, which emits `customer.updated` too.

        Raises KeyError for an unknown id, TypeError for an unknown field.
        """
        record = self.customers[customer_id]
        _require_known(fields, record)
        return self._changed(record, fields)

    def shown_customer(self, record: Record) -> Record:
        """Return a customer as the API answers it: without `contact` where there is none."""
        return {name: value for name, value in record.items() if name != "contact" or value}

    async def _get_customer(self, request: web.Request) -> web.Response:
        """Answer a customer, archived ones too; `expand=integrations` is the only expansion."""
        return self._expanded(request, self._known(request.match_info["id"]))

    async def _get_by_external_id(self, request: web.Request) -> web.Response:
        external_id = request.match_info["external_id"]
        for record in self._customers.scan(self.replica_lag):
            if record["external_id"] == external_id and record["status"] == "published":
                return self._expanded(request, record)
        raise Problem(404, "not_found", f"Customer with external id {external_id} was not found")

    def _known(self, customer_id: str) -> Record:
        record = self._customers.read(customer_id, self.replica_lag)
        if record is None:
            raise Problem(404, "not_found", f"Customer with ID {customer_id} was not found")
        return record

    def _expanded(self, request: web.Request, record: Record) -> web.Response:
        expand = request.query.get("expand", "")
        shown = self.shown_customer(record)
        if expand not in {"", "integrations"}:
            raise invalid("invalid expand field", expand=expand)
        if expand and (mappings := self.mappings_of(record["id"])):
            shown["integrations"] = mappings
        return web.json_response(shown)

    async def _put_customer(self, request: web.Request) -> web.Response:
        """Change what is given and not null. `metadata` replaces the whole map; there is no version to compare."""
        body = await self.body(request)
        record = self._primary(request)
        fields: Record = {}
        for name, limit in _LIMITS.items():
            value = self.text(body, name, limit)
            if value is not None:
                fields[name] = value
        if fields.get("email") and not _EMAIL.fullmatch(fields["email"]):
            raise invalid("email must be a valid email address")
        if fields.get("address_country") and not re.fullmatch("[A-Z]{2}", fields["address_country"]):
            raise invalid("address_country must be an ISO 3166-1 alpha-2 code")
        if body.get("metadata") is not None:
            fields["metadata"] = self._checked_metadata(body["metadata"], record)
        taken = fields.get("external_id")
        if taken and any(row["external_id"] == taken and row is not record for row in self.customers.values()):
            raise Problem(409, "already_exists", "A customer with this external id already exists")
        return web.json_response(self.shown_customer(self._changed(record, fields)))

    def _primary(self, request: web.Request) -> Record:
        """Return the record that a PUT is about; writes do not wait for the replica."""
        customer_id = request.match_info.get("id") or request.query.get("id", "")
        external_id = request.query.get("external_customer_id", "")
        if not customer_id and not external_id:
            raise invalid("either id or external_customer_id is required")
        if customer_id:
            record = self.customers.get(customer_id)
        else:
            record = next((row for row in self.customers.values() if row["external_id"] == external_id), None)
        if record is not None:
            return record
        raise Problem(404, "not_found", f"Customer with ID {customer_id or external_id} was not found")

    def _checked_metadata(self, metadata: object, record: Record) -> dict[str, str]:
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise invalid("Invalid request format", field="metadata")
        for key, value in metadata.items():
            rule = _RESERVED.get(key)
            if rule is not None and not rule.fullmatch(value):
                raise invalid(f"invalid {key} in metadata", key=key)
            if key.startswith("shipping_address_") and not 0 < len(value) <= 255:
                raise invalid(f"invalid {key} in metadata", key=key)
            if self.refuse_system_metadata and key.startswith(SYSTEM_PREFIX):
                raise invalid("metadata key is reserved", key=key)
        if not self.refuse_system_metadata:
            return dict(metadata)
        kept = {key: value for key, value in (record["metadata"] or {}).items() if key.startswith(SYSTEM_PREFIX)}
        return {**kept, **metadata}

    def _changed(self, record: Record, fields: Mapping[str, Any]) -> Record:
        record.update(fields)
        record["updated_at"] = rfc3339(self.clock())
        self._customers.put(record)
        self.emit("customer.updated", record["id"])
        return record

    async def _search_customers(self, request: web.Request) -> web.Response:
        body = await self.body(request)
        limit, offset = self.window(body)
        status = self.text(body, "status") or "published"
        ids, external_ids = texts(body, "customer_ids"), texts(body, "external_ids")
        email, external_id = self.text(body, "email") or None, self.text(body, "external_id") or None
        metadata = body.get("metadata") or {}
        rows = [
            row
            for row in self._customers.scan(self.replica_lag)
            if row["status"] == status
            and (not ids or row["id"] in ids)
            and (not external_ids or row["external_id"] in external_ids)
            and external_id in (None, row["external_id"])
            and email in (None, row["email"])
            and all((row["metadata"] or {}).get(key) == value for key, value in metadata.items())
        ]
        rows = matching(in_time_range(rows, body, "created_at", "created_at"), body, COLUMNS)
        shown = [self.shown_customer(row) for row in rows]
        return page(shown, limit=limit, offset=offset, next_offset=True)


def _require_known(fields: Mapping[str, Any], record: Record) -> None:
    if unknown := fields.keys() - record.keys() - _LATER:
        raise TypeError(f"a customer has no {', '.join(sorted(unknown))}")
