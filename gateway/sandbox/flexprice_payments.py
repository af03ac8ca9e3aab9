"""Flexprice's payments, simulated: enough to ask for a payment link and to see what became of it.

Facts of github.com/flexprice/flexprice: internal/api/dto/payment.go, internal/types/payment.go.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

from aiohttp import web

from connectors.testing.simulator import Handler
from gateway.sandbox.flexprice_api import ApiOptions, Problem, invalid
from gateway.sandbox.flexprice_bills import PAYMENT_STATUSES
from gateway.sandbox.flexprice_mappings import FlexpriceMappings
from gateway.sandbox.flexprice_records import Record, decimal_text, read_decimal, rfc3339

METHODS = ("CARD", "ACH", "OFFLINE", "CREDITS", "PAYMENT_LINK")
GATEWAYS = ("stripe", "razorpay", "nomod", "moyasar", "paddle")


class FlexpricePayments(FlexpriceMappings):
    """The payments of the environment. `payments` maps id → record."""

    def __init__(self, **options: Unpack[ApiOptions]) -> None:
        super().__init__(**options)
        self.payments: dict[str, Record] = {}

    def endpoints(self) -> Mapping[tuple[str, str], Handler]:
        """Return the payments' endpoints beside what was there."""
        return {
            **super().endpoints(),
            ("POST", "/payments"): self._create_payment,
            ("GET", "/payments/{id}"): self._get_payment,
            ("PUT", "/payments/{id}"): self._put_payment,
        }

    async def _create_payment(self, request: web.Request) -> web.Response:
        """Create a payment; the same `idempotency_key` again answers the payment that it made before."""
        body = await self.body(request)
        key = self.text(body, "idempotency_key") or ""
        for payment in self.payments.values():
            if key and payment["idempotency_key"] == key:
                return web.json_response(_shown(payment))
        payment = self._checked_payment(body)
        self.payments[payment["id"]] = payment
        self.emit("payment.created", payment["id"])
        return web.json_response(_shown(payment), status=201)

    def _checked_payment(self, body: Record) -> Record:
        method = self.text(body, "payment_method_type", required=True)
        gateway = self.text(body, "payment_gateway")
        if self.text(body, "destination_type", required=True) != "INVOICE":
            raise invalid("invalid payment destination type")
        if method not in METHODS:
            raise invalid("invalid payment method type", allowed=list(METHODS))
        if gateway is not None and gateway not in GATEWAYS:
            raise invalid("invalid payment gateway", allowed=list(GATEWAYS))
        if method == "PAYMENT_LINK" and gateway is None:
            raise invalid("payment gateway is required for payment link method type")
        invoice_id = self.text(body, "destination_id", required=True) or ""
        invoice = self.invoices.get(invoice_id)
        if invoice is None:
            raise Problem(404, "not_found", f"Invoice with ID {invoice_id} was not found")
        amount = read_decimal(body.get("amount"))
        if amount is None or amount <= 0:
            raise invalid("amount must be greater than zero")
        currency = self.text(body, "currency", 3, required=True) or ""
        if currency.lower() != invoice["currency"]:
            raise invalid("currency does not match the invoice")
        if invoice["invoice_status"] != "FINALIZED" or invoice["payment_status"] == "SUCCEEDED":
            raise Problem(400, "invalid_operation", "invoice cannot be paid in its current status")
        if amount > Decimal(invoice["amount_remaining"]):
            raise invalid("amount exceeds the invoice's remaining amount")
        return {
            "id": self.new_id("pay"),
            "idempotency_key": self.text(body, "idempotency_key") or "",
            "destination_type": "INVOICE",
            "destination_id": invoice_id,
            "payment_method_type": method,
            "payment_method_id": "",
            "amount": decimal_text(amount),
            "currency": invoice["currency"],
            "payment_status": "INITIATED" if method == "PAYMENT_LINK" else "PENDING",
            "track_attempts": method != "OFFLINE",
            "payment_gateway": gateway,
            "gateway_payment_id": None,
            "metadata": _metadata(body),
            "succeeded_at": None,
            "failed_at": None,
            "error_message": None,
            "invoice_number": invoice["invoice_number"],
            "save_card_and_make_default": False,
            **self.base_columns(),
        }

    def count_payment(self, invoice_id: str, amount: Decimal) -> None:
        """Count a payment to an invoice, as for one that has succeeded. Raises KeyError for an unknown id."""
        invoice = self.invoices[invoice_id]
        paid, left = Decimal(invoice["amount_paid"]) + amount, Decimal(invoice["amount_remaining"]) - amount
        invoice |= {"amount_paid": decimal_text(paid), "amount_remaining": decimal_text(max(Decimal(), left))}
        if left <= 0:
            invoice["payment_status"] = "SUCCEEDED"

    def _payment(self, request: web.Request) -> Record:
        try:
            return self.payments[request.match_info["id"]]
        except KeyError:
            raise Problem(404, "not_found", f"Payment with ID {request.match_info['id']} was not found") from None

    async def _get_payment(self, request: web.Request) -> web.Response:
        return web.json_response(_shown(self._payment(request)))

    async def _put_payment(self, request: web.Request) -> web.Response:
        body = await self.body(request)
        payment = self._payment(request)
        status = self.text(body, "payment_status")
        if status is not None and status not in PAYMENT_STATUSES:
            raise invalid("invalid payment status", allowed=list(PAYMENT_STATUSES))
        changes: Record = {name: self.text(body, name) for name in ("payment_gateway", "gateway_payment_id")}
        changes |= {"payment_status": status, "metadata": _metadata(body), "error_message": body.get("error_message")}
        if status == "SUCCEEDED" and payment["payment_status"] != "SUCCEEDED":
            changes["succeeded_at"] = rfc3339(self.clock())
            self.count_payment(payment["destination_id"], Decimal(payment["amount"]))
        payment |= {name: value for name, value in changes.items() if value is not None}
        payment["updated_at"] = rfc3339(self.clock())
        self.emit("payment.updated", payment["id"])
        return web.json_response(_shown(payment))


def _metadata(body: Record) -> dict[str, str] | None:
    metadata = body.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise invalid("Invalid request format", field="metadata")
    return dict(metadata)


def _shown(payment: Record) -> Record:
    return {name: value for name, value in payment.items() if value is not None}
