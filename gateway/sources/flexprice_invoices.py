"""Flexprice's invoice as the canonical one: every line, discount, credit and tax, in decimals. Pure.

Money comes as JSON strings without a fixed scale; a line's `amount` is the line's total before discounts and credits,
and total = subtotal - total_discount - total_prepaid_credits_applied + total_tax.
https://docs.flexprice.io/api-reference (GET /invoices/{id}); internal/api/dto/invoice.go of flexprice/flexprice.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connectors.invoices import Invoice, InvoiceLine, Reduction, TaxLine
from connectors.money import MoneyError, parse, total
from gateway.errors import InvoiceUnreadableError
from gateway.sources.base import Dropped, SourceConfig

FINALIZED_STATUS, VOIDED_STATUS = "FINALIZED", "VOIDED"
CREDIT = "CREDIT"
PAID_STATUSES = frozenset({"SUCCEEDED", "OVERPAID", "REFUNDED"})
MAX_LINES = 5_000


def status_of(found: Mapping[str, Any]) -> str:
    """Return the invoice's status in capitals, empty where there is none."""
    return str(found.get("invoice_status") or "").upper()


def nothing_to_book(found: Mapping[str, Any]) -> str | None:
    """Return why the invoice asks for nothing that could be booked, or None."""
    if str(found.get("invoice_type") or "").upper() == CREDIT:
        return "the invoice is a credit, which asks for no payment"
    rows = found.get("line_items")
    if not rows:
        return "the invoice has no lines"
    if isinstance(rows, list) and all(isinstance(row, Mapping) and row.get("amount") is None for row in rows):
        return "the invoice's lines have no amounts"  # a version that trims them says nothing that could be booked
    try:
        if _amount(found, "total", _amount(found, "amount_due", Decimal(0))) == 0:
            return "the invoice's total is zero"
    except InvoiceUnreadableError:
        return None  # whoever reads it whole says what is wrong
    return None


def read_invoice(found: Mapping[str, Any], *, invoice_id: str, customer_id: str, config: SourceConfig) -> Invoice:
    """Return the canonical invoice. Raises InvoiceUnreadableError for a line or an amount that cannot be read."""
    rows = found.get("line_items")
    if not isinstance(rows, list) or len(rows) > MAX_LINES:
        raise InvoiceUnreadableError(f"line_items is no list of at most {MAX_LINES} lines")
    listed = [_line(row, number) for number, row in enumerate(rows, 1)]
    on_lines, discount = _discounts(found, rows)
    lines = tuple(_lowered(line, taken) for line, taken in zip(listed, on_lines, strict=True))
    credited = _amount(found, "total_prepaid_credits_applied", _sum(rows, "prepaid_credits_applied"))
    if discount < 0 or credited < 0:
        raise InvoiceUnreadableError("a discount or a credit is below zero")
    due = _amount(found, "amount_due", Decimal(0))
    return Invoice(
        source=config.name,
        platform=config.platform,
        environment_id=config.environment_id,
        invoice_id=invoice_id,
        customer_id=customer_id,
        number=_text(found, "invoice_number"),
        currency=_text(found, "currency").upper(),
        issued_on=_day(found.get("issue_date") or found.get("finalized_at")),
        due_on=_day(found.get("due_date")),
        lines=lines,
        discounts=(Reduction(description="Discount", amount=discount),) if discount else (),
        credits=(Reduction(description="Prepaid credits", amount=credited),) if credited else (),
        taxes=_taxes(found),
        total=_amount(found, "total", due),
        amount_due=due,
        paid=_paid(found, due),
        description=_text(found, "description"),
        metadata=_metadata(found.get("metadata")),
    )


def read_payable(
    found: Mapping[str, Any], *, invoice_id: str, customer_id: str, config: SourceConfig
) -> Invoice | Dropped:
    """Return the invoice with what remains to be paid of it, or why nothing does. Raises InvoiceUnreadableError.

    `amount_remaining` is the platform's own word; a deployment without it has `amount_due` and `amount_paid`.
    """
    status, paid = status_of(found), str(found.get("payment_status") or "").upper()
    if status != FINALIZED_STATUS:
        return Dropped(reason=f"the invoice is {status or 'without a status'} by now", voided=status == VOIDED_STATUS)
    due = _amount(found, "amount_due", _amount(found, "total"))
    already = _amount(found, "amount_paid", Decimal(0))
    remaining = _amount(found, "amount_remaining", total((due, already.copy_negate())))
    if paid in PAID_STATUSES or remaining <= 0:
        return Dropped(
            reason="the invoice is paid" if paid in PAID_STATUSES else "nothing is left to pay of the invoice"
        )
    return Invoice(
        source=config.name,
        platform=config.platform,
        environment_id=config.environment_id,
        invoice_id=invoice_id,
        customer_id=customer_id,
        number=_text(found, "invoice_number"),
        currency=_text(found, "currency").upper(),
        due_on=_day(found.get("due_date")),
        lines=(),
        total=_amount(found, "total", due),
        amount_due=remaining,
        description=_text(found, "description"),
    )


def _paid(found: Mapping[str, Any], due: Decimal) -> Decimal:
    """Return what was paid of the invoice already; a deployment that does not say counts as unpaid."""
    if str(found.get("payment_status") or "").upper() in PAID_STATUSES:
        return _amount(found, "total", due)
    already = _amount(found, "amount_paid", Decimal(0))
    remaining = _amount(found, "amount_remaining", total((due, already.copy_negate())))
    return max(Decimal(0), total((due, remaining.copy_negate())))


def dropped(found: Mapping[str, Any]) -> Dropped | None:
    """Return why the invoice is not one to be made anywhere, or None."""
    status = status_of(found)
    if status != FINALIZED_STATUS:
        return Dropped(reason=f"the invoice is {status or 'without a status'} by now", voided=status == VOIDED_STATUS)
    reason = nothing_to_book(found)
    return Dropped(reason=reason) if reason is not None else None


def _line(row: object, number: int) -> InvoiceLine:
    if not isinstance(row, Mapping):
        raise InvoiceUnreadableError(f"line {number} is no object")
    named = _text(row, "display_name") or _text(row, "plan_display_name") or _text(row, "meter_display_name")
    try:
        quantity = parse(row.get("quantity"))
    except MoneyError:
        quantity = Decimal(1)  # shown beside the line, and part of no sum
    return InvoiceLine(
        description=named or f"Line {number}",
        amount=_amount(row, "amount"),
        quantity=quantity,
        line_id=_text(row, "id"),
        item=_text(row, "meter_display_name") or _text(row, "plan_display_name") or named,
    )


def _discounts(found: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> tuple[list[Decimal], Decimal]:
    """Return what is taken off each line itself, and what off the whole: together the platform's `total_discount`.

    Where the lines say more than the whole invoice does, their words count for nothing: the sum stays the platform's.
    """
    on_lines = [_amount(row, "line_item_discount", Decimal(0)) for row in rows]
    taken = total(on_lines)
    whole = _amount(found, "total_discount", total((taken, _sum(rows, "invoice_level_discount"))))
    if taken > whole or any(each < 0 for each in on_lines):
        return [Decimal(0)] * len(rows), whole
    return on_lines, total((whole, taken.copy_negate()))


def _lowered(line: InvoiceLine, taken: Decimal) -> InvoiceLine:
    if not taken:
        return line
    return InvoiceLine(
        description=line.description,
        amount=total((line.amount, taken.copy_negate())),
        quantity=line.quantity,
        discount=taken,
        line_id=line.line_id,
        item=line.item,
    )


def _taxes(found: Mapping[str, Any]) -> tuple[TaxLine, ...]:
    """Return the taxes one by one where the answer has them and they come to its sum, else the sum."""
    rows = found.get("taxes")
    listed = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    each = [_amount(row, "tax_amount", Decimal(0)) for row in listed]
    whole = _amount(found, "total_tax", total(each))
    if each and total(each) == whole:
        return tuple(TaxLine(description="Tax", amount=amount) for amount in each if amount)
    return (TaxLine(description="Tax", amount=whole),) if whole else ()


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> Decimal:
    return total(_amount(row, name, Decimal(0)) for row in rows)


def _amount(found: Mapping[str, Any], name: str, absent: Decimal | None = None) -> Decimal:
    value = found.get(name)
    if (value is None or value == "") and absent is not None:
        return absent
    try:
        return parse(value)
    except MoneyError as error:
        raise InvoiceUnreadableError(f"{name}: {error}") from error


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value.strip() if isinstance(value, str) else ""


def _day(value: object) -> date | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).date()
    except ValueError:
        return None


def _metadata(value: object) -> dict[str, str]:
    return {str(key): item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}
