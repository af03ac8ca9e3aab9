"""What is sent to QuickBooks for an invoice, to the last cent, and what its rows say. Pure.

https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/invoice. Each line goes with its whole
amount; quantity and price go beside it only where their product is that amount exactly (error 6070), else the quantity
stands in the description. Credits go as lines below zero, each with its own words, and so do discounts where the
company's documents have no discount line.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from typing import Any

from connectors.errors import AmountInexactError, RejectedError, UnexpectedResponseError
from connectors.invoices import Document, Invoice, InvoiceCandidate, InvoiceLine, InvoiceStatus, short_number
from connectors.money import MoneyError, exact, parse, text, total
from connectors.quickbooks.customers import marker_in, marker_of, moment_of
from connectors.quickbooks.items import Booked
from connectors.quickbooks.names import clean, shorten
from connectors.quickbooks.queries import is_writable

ENTITIES = {Document.INVOICE: "Invoice", Document.RECEIPT: "SalesReceipt"}
DISCOUNT = "DiscountLineDetail"
RECEIPT = "receipt:"
"""Before the Id of a sales receipt: an invoice may have the same Id."""
NUMBER, DESCRIPTION, NOTE = 21, 4000, 4000
"""Characters that fit."""
MOST_LINES = 750
"""Lines of one invoice."""
_CENT = Decimal("0.01")
"""What QuickBooks keeps of an amount, whatever the currency has."""
_PRICE_PLACES = 7
_MARK = 8
_WIDE = Context(prec=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRules:
    """How lines are taxed: the code of each, how it is reckoned outside the United States, and the tax's sum."""

    code: str = ""
    calculation: str = ""
    total: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDraft:
    """The body of a create, and in words without personal data what was left out or altered."""

    body: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()


def filed_number(invoice: Invoice) -> str:
    """Return the DocNumber: the platform's number, cut where it is longer than QuickBooks takes.

    It is what an invoice is searched for by, so that it has no letter which a query cannot hold.
    """
    number = invoice.number or invoice.invoice_id
    if is_writable(number) and number.strip():
        return short_number(number, NUMBER)
    mark = hashlib.sha256(number.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
    plain = " ".join("".join(letter if is_writable(letter) else " " for letter in number).split())
    return f"{plain[: NUMBER - _MARK - 1].rstrip()}~{mark}"


def check_invoice(invoice: Invoice) -> None:
    """Refuse what QuickBooks cannot hold. Raises RejectedError, AmountInexactError."""
    amounts = [line.amount for line in invoice.lines]
    amounts += [part.amount for part in (*invoice.discounts, *invoice.credits)]
    amounts += [part.amount for part in invoice.taxes]
    if not invoice.lines or len(amounts) > MOST_LINES:
        raise RejectedError(f"{len(amounts)} lines: QuickBooks takes 1 to {MOST_LINES}, and none may be left out")
    for amount in amounts:
        _amount(amount, invoice.currency)


def draft_invoice(
    invoice: Invoice, *, customer_record: str, today: date, booked: Booked, tax: TaxRules, currency: str = ""
) -> InvoiceDraft:
    """Return what to send. The same arguments give the same body. `currency` is for companies with several."""
    body: dict[str, Any] = {
        **({"CustomerRef": {"value": customer_record}} if customer_record else {}),
        "DocNumber": filed_number(invoice),
        "TxnDate": (invoice.issued_on or today).isoformat(),
        "Line": _drafted(invoice, booked, tax),
    }
    if invoice.discounts and not booked.discount and tax.code:
        body["ApplyTaxAfterDiscount"] = True  # else tax is reckoned first, and not on what is paid
    warnings = list(booked.warnings)
    if invoice.due_on is not None and invoice.document is Document.INVOICE:
        body["DueDate"] = invoice.due_on.isoformat()
    if booked.deposit:
        body["DepositToAccountRef"] = {"value": booked.deposit}
    if currency:
        body["CurrencyRef"] = {"value": currency}
    if tax.calculation:
        body["GlobalTaxCalculation"] = tax.calculation
    if tax.total is not None:
        body["TxnTaxDetail"] = {"TotalTax": _amount(tax.total, invoice.currency)}
    marker = marker_of(invoice.reference)
    if len(marker) <= NOTE:
        body["PrivateNote"] = marker
    else:
        warnings.append("marker omitted: the invoice's id is too long")
    return InvoiceDraft(body=body, warnings=tuple(warnings))


def read_invoice(
    row: Mapping[str, Any], document: Document, *, home_currency: str, reference: str = ""
) -> InvoiceCandidate:
    """Read the row of an invoice or a sales receipt. A void one has kept its number, and all its amounts are zero.

    Raises UnexpectedResponseError where it has no readable total.
    """
    whole, balance = _sum(row, "TotalAmt"), _sum(row, "Balance", Decimal(0))
    customer, currency, meta = row.get("CustomerRef"), row.get("CurrencyRef"), row.get("MetaData")
    link = row.get("InvoiceLink")
    number, note = row.get("DocNumber"), row.get("PrivateNote")
    status = InvoiceStatus.OPEN
    if not whole and all(not _sum(line, "Amount", Decimal(0)) for line in _lines(row)):
        status = InvoiceStatus.VOID
    elif not balance:
        status = InvoiceStatus.PAID
    return InvoiceCandidate(
        provider_entity_id=f"{RECEIPT if document is Document.RECEIPT else ''}{row['Id']}",
        number=number if isinstance(number, str) else "",
        total=whole,
        currency=_value(currency).upper() or home_currency,
        customer_record=_value(customer) or None,
        status=status,
        marker=marker_in(note, wanted=reference) if isinstance(note, str) else None,
        url=link if isinstance(link, str) and link.startswith("https://") else "",
        created_at=moment_of(meta.get("CreateTime")) if isinstance(meta, Mapping) else None,
    )


def is_paid(row: Mapping[str, Any]) -> bool:
    """Whether anything was paid of an invoice."""
    return _sum(row, "Balance", Decimal(0)) != _sum(row, "TotalAmt")


def _drafted(invoice: Invoice, booked: Booked, tax: TaxRules) -> list[dict[str, Any]]:
    """Return all lines: the platform's, then what is taken off and put on. Without an item discounts are one line."""
    lines = [
        _line(_described(line, invoice.currency), line.amount, item, tax, invoice.currency, priced=line)
        for line, item in zip(invoice.lines, booked.lines, strict=True)
    ]
    discounts = invoice.discounts if booked.discount else ()
    for item, reductions in ((booked.discount, discounts), (booked.credit, invoice.credits)):
        lines += [
            _line(clean(each.description, colons=True), each.amount.copy_negate(), item, tax, invoice.currency)
            for each in reductions
        ]
    if booked.tax:
        lines += [
            _line(clean(each.description, colons=True) or "Tax", each.amount, booked.tax, tax, invoice.currency)
            for each in invoice.taxes
        ]
    return [*lines, _discount_line(invoice)] if invoice.discounts and not booked.discount else lines


def has_room_for_discount(invoice: Invoice) -> bool:
    """Whether there is a discount, and it is no more than the lines together: QuickBooks refuses such a line else."""
    off = total(each.amount for each in invoice.discounts)
    return 0 < off <= total((invoice.subtotal, *(each.amount.copy_negate() for each in invoice.credits)))


def _discount_line(invoice: Invoice) -> dict[str, Any]:
    """Return the one line of its kind that a document may have; it is booked into the company's own account."""
    off = total(each.amount for each in invoice.discounts)
    return {
        "DetailType": DISCOUNT, "Amount": _amount(off, invoice.currency),
        DISCOUNT: {"PercentBased": False},
    }  # fmt: skip


def _line(
    description: str, amount: Decimal, item: str, tax: TaxRules, currency: str, *, priced: InvoiceLine | None = None
) -> dict[str, Any]:
    detail: dict[str, Any] = {"ItemRef": {"value": item}}
    if priced is not None and _is_product(priced):
        detail |= {"Qty": priced.quantity, "UnitPrice": priced.unit_price}
    if tax.code:
        detail["TaxCodeRef"] = {"value": tax.code}
    line = {"DetailType": "SalesItemLineDetail", "Amount": _amount(amount, currency), "SalesItemLineDetail": detail}
    return line | ({"Description": shorten(description, DESCRIPTION)} if description else {})


def _described(line: InvoiceLine, currency: str) -> str:
    """Return a line's words, with what its amount alone does not tell."""
    told = f" x {line.quantity.normalize():f}" if line.quantity != 1 and not _is_product(line) else ""
    told += f", less {text(line.discount, currency)}" if line.discount else ""
    return shorten(clean(line.description, colons=True), DESCRIPTION - len(told)) + told


def _is_product(line: InvoiceLine) -> bool:
    """Whether quantity and price say the amount exactly, with digits that QuickBooks keeps."""
    if line.unit_price is None:
        return False
    digits = (line.quantity.normalize().as_tuple().exponent, line.unit_price.normalize().as_tuple().exponent)
    short = all(isinstance(each, int) and each >= -_PRICE_PLACES for each in digits)
    return short and _WIDE.multiply(line.quantity, line.unit_price) == line.amount


def _amount(amount: Decimal, currency: str) -> Decimal:
    """Return an amount as it is sent. Raises AmountInexactError where QuickBooks would round it without a word."""
    try:
        whole = exact(amount, currency)
    except MoneyError as error:
        raise AmountInexactError(str(error)) from error
    if whole != _WIDE.quantize(whole, _CENT):
        raise AmountInexactError(f"{amount:f} {currency}: QuickBooks keeps two decimal places, and would round it")
    return whole


def _lines(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    lines = row.get("Line")
    return [line for line in lines if isinstance(line, Mapping)] if isinstance(lines, list) else []


def _sum(row: Mapping[str, Any], name: str, absent: Decimal | None = None) -> Decimal:
    value = row.get(name)
    if value is None and absent is not None:
        return absent
    try:
        return parse(value)
    except MoneyError as error:
        raise UnexpectedResponseError(f"an invoice in the answer has no readable {name}") from error


def _value(reference: object) -> str:
    value = reference.get("value") if isinstance(reference, Mapping) else None
    return value if isinstance(value, str) else ""
