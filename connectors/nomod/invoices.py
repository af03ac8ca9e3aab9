"""What is sent to Nomod for an invoice, to the last fils, and what its answers say. Pure.

https://www.nomod.com/docs/api-reference/generate-invoice. An item's `amount` is the price of one piece, so each line
goes as one piece at the line's whole price, with the real quantity in its name: whatever is made of price and quantity
over there, the sum stays ours. There is no field for tax, for a discount in money, or for a negative line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.errors import AmountInexactError, RejectedError, UnexpectedResponseError
from connectors.invoices import Invoice, InvoiceCandidate, InvoiceStatus, short_number
from connectors.money import MoneyError, exact, exponent, parse, text
from connectors.nomod.fields import clean, cut
from connectors.nomod.rows import moment, readable_id

NAME, NUMBER, TITLE, NOTE = 100, 30, 50, 280
"""Characters that fit."""
MOST_ITEMS = 50
"""Items of one invoice: the limit of the link specification, which is all that is written."""
EARLIEST_ZONE = timedelta(hours=14)
"""How far ahead of UTC a day begins at most: what is not past there is past nowhere."""
STATUSES = {"paid": InvoiceStatus.PAID, "cancelled": InvoiceStatus.VOID}
"""`unpaid`, `overdue`, `scheduled` and whatever is new are open."""
INVOICE_FIELDS = (
    "customer", "due_date", "invoice_number", "items", "currency", "discount_percentage", "title", "note", "amount",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the connection's settings say about invoices."""

    due_days: int
    allow: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDraft:
    """The body of a create, and in words without personal data what was left out or altered."""

    body: Mapping[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Item:
    """A line on its way: `units` are whole units of the currency's smallest coin."""

    name: str
    suffix: str
    units: int


def filed_number(invoice: Invoice) -> str:
    """Return the `invoice_number`: the platform's own, cut where it is longer than Nomod takes."""
    return short_number(invoice.number or invoice.invoice_id, NUMBER)


def check_invoice(invoice: Invoice) -> None:
    """Refuse what Nomod cannot hold. Raises RejectedError, AmountInexactError."""
    _items(invoice)


def draft_invoice(invoice: Invoice, *, customer_record: str, started_at: datetime, terms: Terms) -> InvoiceDraft:
    """Return what to send. The same invoice, customer and start give the same body."""
    items, percentage, warnings = _items(invoice)
    due, moved = _due(invoice, started_at, terms.due_days)
    body: dict[str, Any] = {
        "customer": customer_record,
        "currency": invoice.currency,
        "invoice_number": filed_number(invoice),
        "title": cut(f"Invoice {clean(invoice.number or invoice.invoice_id)}", TITLE),
        "due_date": due.isoformat(),
        "items": [
            {"name": _named(item), "amount": _money(item.units, invoice.currency), "quantity": 1} for item in items
        ],
        **terms.allow,
    }
    if percentage:
        body["discount_percentage"] = percentage
    note = _note(invoice, folded=not percentage)
    if note:
        body["note"] = note
    return InvoiceDraft(body=body, warnings=(*warnings, *moved))


def read_invoice(value: object) -> InvoiceCandidate:
    """Read an invoice as `GET /v1/invoices/{id}` and a create answer it. Raises UnexpectedResponseError."""
    if not isinstance(value, Mapping):
        raise UnexpectedResponseError("an invoice in the answer is no object")
    customer, number, currency = value.get("customer"), value.get("invoice_number"), value.get("currency")
    owner = customer.get("id") if isinstance(customer, Mapping) else customer
    try:
        amount = parse(value.get("amount"))
    except MoneyError as error:
        raise UnexpectedResponseError("an invoice in the answer has no readable amount") from error
    url = value.get("url")
    return InvoiceCandidate(
        provider_entity_id=readable_id(value),
        number=number.strip() if isinstance(number, str) else "",
        total=amount,
        currency=currency.strip().upper() if isinstance(currency, str) else "",
        customer_record=owner if isinstance(owner, str) else None,
        status=STATUSES.get(str(value.get("status") or "").lower(), InvoiceStatus.OPEN),
        url=url if isinstance(url, str) and url.startswith("https://") else "",
        created_at=moment(value.get("created")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRow:
    """A row of a list: a smaller shape without the customer's id, good for nothing but finding the rest."""

    id: str
    number: str

    @classmethod
    def read(cls, value: object) -> "InvoiceRow":
        """Read a row. Raises UnexpectedResponseError when it has no id."""
        if not isinstance(value, Mapping):
            raise UnexpectedResponseError("an invoice in the answer is no object")
        number = value.get("invoice_number")
        return cls(id=readable_id(value), number=number.strip() if isinstance(number, str) else "")


def _items(invoice: Invoice) -> tuple[list[_Item], int, tuple[str, ...]]:
    """Return the items, the discount in whole percent where that says it exactly, and warnings.

    What is taken off, credits and negative lines included, is otherwise folded into the lines: to the smallest coin,
    in proportion, and told in the note. Raises RejectedError, AmountInexactError.
    """
    currency = invoice.currency
    items, off, warnings = [], _units(invoice.reductions, currency), []
    for line in invoice.lines:
        units = _units(line.amount, currency)
        if units < 0:
            off -= units
            warnings.append("a negative line was folded into the others: Nomod has none")
            continue
        quantity = "" if line.quantity == 1 else f" x {line.quantity.normalize():f}"
        items.append(_Item(clean(line.description) or "Item", quantity, units))
    percentage = _percentage(items, off) if off and not invoice.taxes else 0
    if off and not percentage:
        _fold(items, off, currency)
        warnings.append("discounts and credits were folded into the lines: Nomod takes them in whole percent only")
    for tax in invoice.taxes:
        units = _units(tax.amount, currency)
        if units < 0:
            raise RejectedError("a negative tax cannot be sent to Nomod")
        items.append(_Item(clean(tax.description) or "Tax", "", units))
    if not items or len(items) > MOST_ITEMS:
        raise RejectedError(f"{len(items)} lines: Nomod takes 1 to {MOST_ITEMS}, and none may be left out")
    return items, percentage, tuple(dict.fromkeys(warnings))


def _percentage(items: Sequence[_Item], off: int) -> int:
    """Return the whole percentage that is exactly `off`, whichever way the provider rounds; 0 where there is none."""
    whole = sum(item.units for item in items)
    if whole <= off or off * 100 % whole:
        return 0
    return off * 100 // whole


def _fold(items: list[_Item], off: int, currency: str) -> None:
    """Take `off` smallest coins off the items in proportion: what a division leaves over comes off the largest ones."""
    whole = sum(item.units for item in items)
    if whole < off:
        raise RejectedError("discounts and credits are more than the lines they are taken off")
    shares = [item.units * off // whole for item in items]
    left = off - sum(shares)
    for index in sorted(range(len(items)), key=lambda index: (-items[index].units, index)):
        if left and shares[index] < items[index].units:
            shares[index] += 1
            left -= 1
    for item, share in zip(items, shares, strict=True):
        if share:
            item.units -= share
            item.suffix += f", less {_money(share, currency)}"


def _due(invoice: Invoice, started_at: datetime, days: int) -> tuple[date, tuple[str, ...]]:
    """Return the due date, never before the day on which the create began, wherever that is."""
    earliest = (started_at + EARLIEST_ZONE).date()
    if invoice.due_on is None:
        return earliest + timedelta(days=days), (f"due date set to {days} days from now: the platform has none",)
    if invoice.due_on < earliest:
        return earliest, (f"due date moved from {invoice.due_on.isoformat()}, which has passed, to today",)
    return invoice.due_on, ()


def _note(invoice: Invoice, *, folded: bool) -> str:
    """Return what the payer is told about what was taken off."""
    taken = [part for part in (*invoice.discounts, *invoice.credits) if part.amount]
    if not taken or not folded:
        return ""
    told = ", ".join(f"{clean(part.description)} {text(part.amount, invoice.currency)}" for part in taken)
    return cut(f"Already taken off the items: {told} {invoice.currency}", NOTE)


def _named(item: _Item) -> str:
    return f"{cut(item.name, NAME - len(item.suffix))}{item.suffix}"


def _units(amount: Decimal, currency: str) -> int:
    try:
        return int(exact(amount, currency).scaleb(exponent(currency)))
    except MoneyError as error:
        raise AmountInexactError(str(error)) from error


def _money(units: int, currency: str) -> str:
    return text(Decimal(units).scaleb(-exponent(currency)), currency)
