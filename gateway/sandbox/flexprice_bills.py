"""The record of a Flexprice invoice: its lines, its exact totals, and every field that the API has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gateway.sandbox.flexprice_records import Record, decimal_text, rfc3339

INVOICE_STATUSES = ("DRAFT", "FINALIZED", "VOIDED", "SKIPPED")
PAYMENT_STATUSES = (
    "INITIATED", "PENDING", "PROCESSING", "SUCCEEDED", "OVERPAID", "FAILED", "REFUNDED", "PARTIALLY_REFUNDED", "VOIDED",
)  # fmt: skip
_MONTH = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice; `amount` is the line's total, before discounts and credits."""

    display_name: str = "Onboarding day"
    amount: str = "1500"
    quantity: str = "3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What an invoice asks for. Raises ValueError for a status that Flexprice does not know."""

    customer_id: str
    lines: Sequence[Line]
    currency: str
    status: str
    payment_status: str | None
    subscription_owner_id: str | None
    discount: Decimal
    credits_applied: Decimal
    tax: Decimal

    def __post_init__(self) -> None:
        """Refuse unknown statuses."""
        if self.status not in INVOICE_STATUSES or self.payment_status not in {None, *PAYMENT_STATUSES}:
            raise ValueError("no such invoice or payment status")

    @property
    def subtotal(self) -> Decimal:
        """All lines together."""
        return sum((Decimal(line.amount) for line in self.lines), Decimal())

    @property
    def total(self) -> Decimal:
        """What is due: subtotal - discount - credits + tax, never below zero."""
        return max(Decimal(), self.subtotal - self.discount - self.credits_applied + self.tax)

    @property
    def is_final(self) -> bool:
        """Whether it was finalized once, and so has a number."""
        return self.status in {"FINALIZED", "VOIDED"}

    @property
    def is_paid(self) -> bool:
        """Whether nothing remains to be paid; an invoice over nothing is paid by being finalized."""
        return self.payment_status == "SUCCEEDED" or (self.payment_status is None and self.is_final and not self.total)


def invoice_record(
    bill: Bill, *, invoice_id: str, number: str | None, at: float, new_id: Callable[[str], str], base: Mapping[str, str]
) -> Record:
    """Return the record of an invoice made at Unix time `at`. `base` holds the columns that every row has."""
    now = rfc3339(at)
    total = bill.total
    subscribed = bill.subscription_owner_id is not None
    return {
        "id": invoice_id,
        "customer_id": bill.customer_id,
        "invoice_type": "SUBSCRIPTION" if subscribed else "ONE_OFF",
        "invoice_status": bill.status,
        "payment_status": bill.payment_status or ("SUCCEEDED" if bill.is_paid else "PENDING"),
        "currency": bill.currency,
        "amount_due": decimal_text(total),
        "amount_paid": decimal_text(total if bill.is_paid else Decimal()),
        "amount_remaining": decimal_text(Decimal() if bill.is_paid else total),
        "subtotal": decimal_text(bill.subtotal),
        "total": decimal_text(total),
        "total_discount": decimal_text(bill.discount),
        "total_tax": decimal_text(bill.tax),
        "total_prepaid_credits_applied": decimal_text(bill.credits_applied),
        "adjustment_amount": "0",
        "refunded_amount": "0",
        "invoice_number": number,
        "idempotency_key": f"{'subscription' if subscribed else 'one_off'}-{invoice_id[-4:].lower()}",
        "billing_sequence": None,
        "billing_period": "MONTHLY" if subscribed else "",
        "billing_reason": "SUBSCRIPTION_CYCLE" if subscribed else "MANUAL",
        "subscription_id": new_id("subs") if subscribed else None,
        "subscription_customer_id": bill.subscription_owner_id,
        "description": "",
        "due_date": rfc3339(at + _MONTH),
        "period_start": rfc3339(at - _MONTH) if subscribed else None,
        "period_end": now if subscribed else None,
        "issue_date": now if bill.is_final else None,
        "last_computed_at": now,
        "finalized_at": now if bill.is_final else None,
        "paid_at": now if bill.is_paid else None,
        "voided_at": now if bill.status == "VOIDED" else None,
        "invoice_pdf_url": "",
        "is_manually_edited": False,
        "metadata": None,
        "line_items": [
            {
                "id": new_id("inv_line"),
                "invoice_id": invoice_id,
                "customer_id": bill.customer_id,
                "display_name": line.display_name,
                "amount": decimal_text(Decimal(line.amount)),
                "quantity": decimal_text(Decimal(line.quantity)),
                "currency": bill.currency,
                "entity_type": "",
                "price_type": "",
                "invoice_level_discount": "0",
                "line_item_discount": "0",
                "prepaid_credits_applied": "0",
                **base,
            }
            for line in bill.lines
        ],
        "taxes": [
            {
                "id": new_id("taxapp"),
                "tax_rate_id": new_id("taxrate"),
                "entity_type": "invoice",
                "entity_id": invoice_id,
                "taxable_amount": decimal_text(bill.subtotal),
                "tax_amount": decimal_text(bill.tax),
                "currency": bill.currency,
                "applied_at": now,
                **base,
            }
        ]
        if bill.tax
        else [],
        "version": 1,
        **base,
    }
