"""Bodies of webhooks: every shape that Flexprice gave its invoice events in 2026, and the envelope for Tithely's gifts.

The version that runs at the other end decides the shape, so a receiver has to take them all. Only `event_type`,
`invoice.id` and `invoice.customer_id`, the statuses, the currency and the amounts are in every one.
"""

import json
from enum import StrEnum
from typing import Any

from gateway.sandbox.flexprice_records import Record


class Shape(StrEnum):
    """A version's idea of the `invoice` object. Which one is in use cannot be asked."""

    API_2026_04 = "api_2026_04"
    """Until 9 August: the API's answer without the subscription, with the whole customer."""
    MINIMAL_2026_08 = "minimal_2026_08"
    """10 to 16 August: no customer, no tenant, no environment, no `updated_at`; lines only when finalized."""
    WHOLE_2026_08 = "whole_2026_08"
    """17 August to 2 September: the API's answer with the subscription, its plan and its prices."""
    SLIM_2026_09 = "slim_2026_09"
    """Since then: a list of fields, a slim customer, no tenant."""
    COMMUNICATION = "communication"
    """What `invoice.communication.triggered` carries: neither customer nor lines."""


FINALIZED = "invoice.update.finalized"
_MINIMAL = (
    "id", "customer_id", "subscription_id", "invoice_type", "invoice_status", "payment_status", "currency",
    "amount_due", "amount_paid", "amount_remaining", "subtotal", "total", "invoice_number", "billing_reason",
    "due_date", "finalized_at",
)  # fmt: skip
_SLIM = (
    "id", "customer_id", "environment_id", "subscription_id", "invoice_type", "invoice_status", "payment_status",
    "currency", "amount_due", "amount_paid", "amount_remaining", "subtotal", "total", "total_discount", "total_tax",
    "total_prepaid_credits_applied", "invoice_number", "idempotency_key", "billing_sequence", "billing_period",
    "billing_reason", "description", "due_date", "finalized_at", "paid_at", "voided_at", "period_start", "period_end",
    "invoice_pdf_url", "metadata", "created_at", "updated_at", "line_items", "taxes",
)  # fmt: skip
_SLIM_CUSTOMER = (
    "id", "external_id", "environment_id", "name", "email", "address_city", "address_state", "address_postal_code",
    "address_country", "timezone", "metadata",
)  # fmt: skip
_PAYMENT = (
    "id", "destination_type", "destination_id", "payment_method_type", "amount", "currency", "payment_status",
    "payment_gateway", "succeeded_at", "failed_at", "refunded_at", "voided_at", "error_message", "invoice_number",
)  # fmt: skip


def invoice_event(
    invoice: Record, *, event_type: str = FINALIZED, shape: Shape = Shape.SLIM_2026_09, **extra: Any
) -> Record:
    """Return the body of an invoice event. `invoice` is the API's answer, its doubtful customer included.

    `extra` goes beside the invoice, as `error` and `provider_details` do in `invoice.sync.*`.
    """
    if shape is Shape.COMMUNICATION:
        event_type = "invoice.communication.triggered"
    return {"event_type": event_type, "invoice": _shaped(invoice, event_type, shape), **extra}


def customer_event(
    customer: Record, *, event_type: str = "customer.updated", shape: Shape = Shape.SLIM_2026_09
) -> Record:
    """Return the body of a customer event; only the latest shape is slim."""
    body = _only(customer, _SLIM_CUSTOMER) if shape is Shape.SLIM_2026_09 else dict(customer)
    return {"event_type": event_type, "customer": body}


def payment_event(payment: Record, *, event_type: str = "payment.updated") -> Record:
    """Return the body of a payment event: no metadata, no link, no tenant."""
    body = {name: value for name, value in _only(payment, _PAYMENT).items() if value is not None}
    return {"event_type": event_type, "payment": body}


def transaction_event(transaction: Record, *, timestamp: str, event_type: str = "transaction.created") -> Record:
    """Return our own envelope for a gift taken through Tithely, which publishes no webhook of its own.

    `transaction` has `transaction_id`, and `donor_id`, `first_name`, `last_name`, `email`, `amount`, `currency` where
    they are known; what is None is left out.
    """
    data = {name: value for name, value in transaction.items() if value is not None}
    return {"type": event_type, "timestamp": timestamp, "data": data}


def encode(event: Record, *, alphabetical: bool = False) -> bytes:
    """Write a body as Go does: compact, UTF-8, `<`, `>` and `&` escaped; keys sorted where Svix has passed it on."""
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=alphabetical)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def _shaped(invoice: Record, event_type: str, shape: Shape) -> Record:
    match shape:
        case Shape.API_2026_04:
            return dict(invoice)
        case Shape.WHOLE_2026_08:
            return {**invoice, **({"subscription": _subscription(invoice)} if invoice.get("subscription_id") else {})}
        case Shape.SLIM_2026_09:
            customer = {"customer": _only(invoice["customer"], _SLIM_CUSTOMER)} if "customer" in invoice else {}
            return {**_only(invoice, _SLIM), **customer}
        case Shape.MINIMAL_2026_08:
            return _only(invoice, (*_MINIMAL, "line_items") if event_type == FINALIZED else _MINIMAL)
        case Shape.COMMUNICATION:
            return _only(invoice, (*_MINIMAL, "environment_id"))


def _only(record: Record, names: tuple[str, ...]) -> Record:
    return {name: record[name] for name in names if name in record}


def _subscription(invoice: Record) -> Record:
    """Return the expanded subscription that made the whole shape outgrow the sender's limit."""
    plan = {"id": "plan_01JSANDBOX", "name": "Scale", "lookup_key": "scale", "status": "published"}
    prices = [
        {"id": f"price_{number:02}", "plan_id": plan["id"], "amount": line["amount"], "currency": line["currency"]}
        for number, line in enumerate(invoice.get("line_items", ()), 1)
    ]
    return {
        "id": invoice["subscription_id"],
        "customer_id": invoice["subscription_customer_id"],
        "invoicing_customer_id": invoice["customer_id"],
        "plan_id": plan["id"],
        "currency": invoice["currency"],
        "subscription_status": "active",
        "customer": invoice.get("customer"),
        "plan": {**plan, "prices": prices},
    }
