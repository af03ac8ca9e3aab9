"""Flexprice's invoices, simulated: exact money, the wrong-customer trap of subscriptions, search, and metadata.

Facts of github.com/flexprice/flexprice: internal/api/dto/invoice.go, internal/ee/service/invoice.go,
internal/types/invoice.go, internal/repository/ent/invoice.go.
"""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Unpack

from aiohttp import web

from connectors.testing.simulator import Handler
from gateway.sandbox.flexprice_api import ApiOptions, Problem, invalid, page
from gateway.sandbox.flexprice_bills import INVOICE_STATUSES, PAYMENT_STATUSES, Bill, Line, invoice_record
from gateway.sandbox.flexprice_customers import FlexpriceCustomers
from gateway.sandbox.flexprice_records import Record, Table, read_decimal, rfc3339
from gateway.sandbox.flexprice_search import in_time_range, matching, moment, texts

_COLUMNS = frozenset(
    {
        "id", "customer_id", "subscription_id", "invoice_type", "invoice_status", "payment_status", "currency",
        "amount_due", "amount_paid", "amount_remaining", "subtotal", "total", "invoice_number", "due_date", "paid_at",
        "voided_at", "finalized_at", "period_start", "period_end", "created_at", "updated_at", "status",
        "billing_reason",
    }
)  # fmt: skip
_OMITTED_WHEN_EMPTY = frozenset(
    {
        "subscription_id", "subscription_customer_id", "description", "due_date", "paid_at", "voided_at",
        "finalized_at", "issue_date", "last_computed_at", "period_start", "period_end", "metadata", "line_items",
        "taxes",
    }
)  # fmt: skip


class FlexpriceInvoices(FlexpriceCustomers):
    """The invoices of the environment. `invoices` maps id → record, without the customer that answers embed."""

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self._invoices = Table(self.time)
        self._numbers = itertools.count(1)

    @property
    def invoices(self) -> dict[str, Record]:
        """The invoices as the primary has them now."""
        return self._invoices.rows

    def endpoints(self) -> Mapping[tuple[str, str], Handler]:
        """Return the invoices' endpoints beside what was there."""
        return {
            **super().endpoints(),
            ("GET", "/invoices/{id}"): self._get_invoice,
            ("PUT", "/invoices/{id}"): self._put_invoice,
            ("POST", "/invoices/search"): self._search_invoices,
        }

    def add_invoice(
        self,
        customer_id: str,
        *,
        lines: Sequence[Line] = (Line(),),
        currency: str = "aed",
        status: str = "FINALIZED",
        payment_status: str | None = None,
        subscription_owner_id: str | None = None,
        discount: str = "0",
        credits_applied: str = "0",
        tax: str = "0",
        **fields: Any,
    ) -> Record:
        """Make an invoice that `customer_id` has to pay, and return its record; no event is sent.

        With `subscription_owner_id` it is a subscription's invoice, and where the two differ `GET` embeds the wrong
        one of them, as the real service does. `total` is subtotal - discount - credits + tax, never below zero. Any
        other field of the record may be given by name: `id`, `invoice_number`, `metadata`, `created_at` …
        Raises KeyError for an unknown customer, ValueError for an unknown status, TypeError for an unknown field.
        """
        if customer_id not in self.customers or (subscription_owner_id or customer_id) not in self.customers:
            raise KeyError(customer_id)
        bill = Bill(
            customer_id=customer_id,
            lines=lines,
            currency=currency.lower(),
            status=status,
            payment_status=payment_status,
            subscription_owner_id=subscription_owner_id,
            discount=Decimal(discount),
            credits_applied=Decimal(credits_applied),
            tax=Decimal(tax),
        )
        record = invoice_record(
            bill,
            invoice_id=fields.pop("id", None) or self.new_id("inv"),
            number=self._number() if bill.is_final else None,
            at=self.clock(),
            new_id=self.new_id,
            base=self.base_columns(),
        )
        if unknown := fields.keys() - record.keys():
            raise TypeError(f"an invoice has no {', '.join(sorted(unknown))}")
        return self._invoices.put(record | fields)

    def finalize_invoice(self, invoice_id: str) -> Record:
        """Finalize a draft. Raises KeyError for an unknown id, ValueError for what is no draft."""
        record = self.invoices[invoice_id]
        if record["invoice_status"] != "DRAFT":
            raise ValueError(f"the invoice is {record['invoice_status']}")
        now = rfc3339(self.clock())
        number = self._number()
        final = {"invoice_status": "FINALIZED", "finalized_at": now, "issue_date": now, "invoice_number": number}
        return self._change(record, final)

    def void_invoice(self, invoice_id: str) -> Record:
        """Void an invoice, whatever it was. Raises KeyError for an unknown id."""
        return self._change(self.invoices[invoice_id], {"invoice_status": "VOIDED", "voided_at": rfc3339(self.clock())})

    def pay_invoice(self, invoice_id: str) -> Record:
        """Mark all of an invoice as paid. Raises KeyError for an unknown id."""
        record = self.invoices[invoice_id]
        paid = {
            "payment_status": "SUCCEEDED",
            "amount_paid": record["amount_due"],
            "amount_remaining": "0",
            "paid_at": rfc3339(self.clock()),
        }
        return self._change(record, paid)

    def shown_invoice(self, record: Record, *, customer_id: str | None = None, lag: float | None = None) -> Record:
        """Return an invoice as the API answers it, embedding `customer_id`: the subscription's owner unless given."""
        shown = {name: value for name, value in record.items() if value or name not in _OMITTED_WHEN_EMPTY}
        embedded = customer_id or record["subscription_customer_id"] or record["customer_id"]
        customer = self._customers.read(embedded, self.replica_lag if lag is None else lag)
        if customer is not None:
            shown["customer"] = self.shown_customer(customer)
        return shown

    async def _get_invoice(self, request: web.Request) -> web.Response:
        record = self._invoices.read(request.match_info["id"], self.replica_lag)
        if record is None:
            raise Problem(404, "not_found", f"Invoice with ID {request.match_info['id']} was not found")
        return web.json_response(self.shown_invoice(record))

    async def _put_invoice(self, request: web.Request) -> web.Response:
        body = await self.body(request)
        record = self.invoices.get(request.match_info["id"])
        if record is None:
            raise Problem(404, "not_found", f"Invoice with ID {request.match_info['id']} was not found")
        fields: Record = {}
        metadata = body.get("metadata")
        if metadata is not None:
            if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
                raise invalid("Invalid request format", field="metadata")
            fields["metadata"] = dict(metadata)
        if (due := moment(body, "due_date")) is not None:
            fields["due_date"] = rfc3339(due)
        if (pdf := self.text(body, "invoice_pdf_url", 2048)) is not None:
            fields["invoice_pdf_url"] = pdf
        if record["invoice_status"] not in {"DRAFT", "FINALIZED"}:
            raise Problem(400, "invalid_operation", "invoice cannot be updated in its current status")
        self._change(record, fields)
        self.emit("invoice.update", record["id"])
        return web.json_response(self.shown_invoice(record, lag=0))

    async def _search_invoices(self, request: web.Request) -> web.Response:
        """Answer a page of invoices, each with the customer who has to pay it.

        `start_time` and `end_time` are about the billing period and not about when the invoice was made, so that a
        one-off invoice, which has no period, is in no range; `filters[]` on `finalized_at` finds those too.
        """
        body = await self.body(request)
        limit, offset = self.window(body)
        wanted: dict[str, list[str]] = {
            "invoice_status": texts(body, "invoice_status", INVOICE_STATUSES),
            "payment_status": texts(body, "payment_status", PAYMENT_STATUSES),
            "id": texts(body, "invoice_ids"),
        }
        for name in ("customer_id", "subscription_id", "currency", "invoice_type", "status"):
            value = self.text(body, name)
            wanted[name] = [value] if value else []
        external_id = self.text(body, "external_customer_id")
        if external_id:
            owners = [row["id"] for row in self.customers.values() if row["external_id"] == external_id]
            wanted["customer_id"] = owners or [""]
        more_than = body.get("amount_remaining_gt")
        bound = read_decimal(more_than)
        if more_than is not None and bound is None:
            raise invalid("Invalid request format", field="amount_remaining_gt")
        rows = [
            row
            for row in self._invoices.scan(self.replica_lag)
            if all(not values or row[name] in values for name, values in wanted.items())
            and (bound is None or Decimal(row["amount_remaining"]) > bound)
        ]
        rows = matching(in_time_range(rows, body, "period_start", "period_end"), body, _COLUMNS)
        shown = [self.shown_invoice(row, customer_id=row["customer_id"]) for row in rows]
        if body.get("skip_line_items"):
            for row in shown:
                row.pop("line_items", None)
        return page(shown, limit=limit, offset=offset, next_offset=False)

    def _change(self, record: Record, fields: Mapping[str, Any]) -> Record:
        record.update(fields)
        record["updated_at"] = rfc3339(self.clock())
        record["version"] += 1
        return self._invoices.put(record)

    def _number(self) -> str:
        month = dt.datetime.fromtimestamp(self.clock(), dt.UTC).strftime("%Y%m")
        return f"INV-{month}-{next(self._numbers):05}"

    def base_columns(self) -> dict[str, str]:
        """Return the columns that every row has, as of now."""
        now = rfc3339(self.clock())
        return {
            "tenant_id": self.tenant_id,
            "environment_id": self.environment_id,
            "status": "published",
            "created_at": now,
            "updated_at": now,
            "created_by": self.user_id,
            "updated_by": self.user_id,
        }
