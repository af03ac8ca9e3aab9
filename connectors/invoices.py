"""Invoices: the platform's as one canonical model, the provider's as candidates, and how a connector makes them."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from connectors.models import CreateIntent
from connectors.money import total


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """One line. `amount` is the whole line's, net of what was taken off on this very line, before all else.

    `unit_price` is set only where the platform itself names one: nothing divides. `discount` says what `amount` is
    already lower by. Amounts are in the invoice's currency, in major units.
    """

    description: str = field(repr=False)
    amount: Decimal
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    discount: Decimal = Decimal(0)
    line_id: str = ""
    item: str = field(default="", repr=False)
    """What was sold, as the platform names it: a price's or meter's name, by which a provider's item may be found."""

    def __post_init__(self) -> None:
        """Refuse floats. Raises TypeError."""
        _decimals(self.amount, self.quantity, self.discount, *([] if self.unit_price is None else [self.unit_price]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What is taken off the sum of the lines: a discount, or a credit that was paid before. `amount` is positive."""

    description: str = field(repr=False)
    amount: Decimal

    def __post_init__(self) -> None:
        """Refuse floats. Raises TypeError."""
        _decimals(self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxLine:
    """A tax on top of the lines; `rate` in percent where the platform names it."""

    description: str = field(repr=False)
    amount: Decimal
    rate: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse floats. Raises TypeError."""
        _decimals(self.amount, *([] if self.rate is None else [self.rate]))


class Document(StrEnum):
    """What is booked."""

    INVOICE = "invoice"
    """It asks for a payment."""
    RECEIPT = "receipt"
    """Money that was taken already: a gift, for example. Only for connectors that say `books_receipts`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """The canonical invoice, as read from a source: decimals only. Its `repr` shows ids and sums.

    `currency` is ISO 4217 in capitals. `total` is the platform's own word; `computed_total` is what its parts come to,
    and the gateway creates nothing where the two differ. `number` is the one that people see, empty where there is
    none. `amount_due` is what is still to be paid.
    """

    source: str
    platform: str
    environment_id: str
    invoice_id: str
    customer_id: str
    currency: str
    lines: tuple[InvoiceLine, ...]
    total: Decimal
    amount_due: Decimal
    paid: Decimal = Decimal(0)
    """What the platform says was paid of it already."""
    document: Document = Document.INVOICE
    number: str = ""
    issued_on: date | None = None
    due_on: date | None = None
    discounts: tuple[Reduction, ...] = ()
    credits: tuple[Reduction, ...] = ()
    taxes: tuple[TaxLine, ...] = ()
    description: str = field(default="", repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse floats. Raises TypeError."""
        _decimals(self.total, self.amount_due, self.paid)

    @property
    def reference(self) -> str:
        """`source:invoice_id`: what connectors stamp on the provider's record where it has room for it."""
        return f"{self.source}:{self.invoice_id}"

    @property
    def subtotal(self) -> Decimal:
        """All lines together."""
        return total(line.amount for line in self.lines)

    @property
    def reductions(self) -> Decimal:
        """All discounts and credits together."""
        return total(part.amount for part in (*self.discounts, *self.credits))

    @property
    def tax(self) -> Decimal:
        """All taxes together."""
        return total(part.amount for part in self.taxes)

    @property
    def computed_total(self) -> Decimal:
        """Lines - discounts - credits + taxes."""
        return total((self.subtotal, self.reductions.copy_negate(), self.tax))


class InvoiceStatus(StrEnum):
    """Where a provider's invoice stands."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    """Cancelled or voided: it asks for nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceCandidate:
    """An invoice at the provider which may be the one that is looked for.

    `number` is the one it is filed under (`InvoiceSync.filed_number`), `customer_record` the provider's id of who has
    to pay, None where the answer does not say; `marker` the reference it carries, if any. `total` is what the payer
    pays, taxes that the account has put on top included.
    """

    provider_entity_id: str
    number: str
    total: Decimal
    currency: str
    customer_record: str | None = None
    status: InvoiceStatus = InvoiceStatus.OPEN
    marker: str | None = None
    url: str = field(default="", repr=False)
    created_at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse floats. Raises TypeError."""
        _decimals(self.total)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedInvoice:
    """What a create returned: the record as the provider answered it, and what was left out or altered, in words."""

    record: InvoiceCandidate
    warnings: tuple[str, ...] = ()
    """Without personal data: "due date moved from 2026-01-01, which has passed"."""


class InvoiceSync(ABC):
    """A connector that also makes invoices: mix it in beside `Connector`.

    The gateway calls these in the same order as those for customers, once the customer is linked:

        mapping → hint (`get_invoice`) → `find_invoices` → match by number → intent → `create_invoice` → totals compared

    Each raises ConnectorError kinds: StaleCustomerError when the provider says that the customer's record is gone,
    NotOfferedError when the account has no API for invoices at all.
    """

    books_receipts: bool = False
    """Whether receipts are booked too, which are `Document.RECEIPT`. Set on the instance where a setting decides."""
    sums_receipts: bool = False
    """Whether all receipts of a day are booked as one, which is nobody's: its `customer_record` is empty."""

    collects: bool = False
    """Whether the provider asks the payer for the money: what is paid at the platform already is not made there."""

    def filed_number(self, invoice: Invoice) -> str:
        """Return the number under which the invoice is filed with the provider: deterministic, short enough. Pure.

        It is the correlation key: an invoice is recognised by it and by its customer, and by nothing else. The default
        is the platform's number, else the invoice's id.

        Example: `return short_number(invoice.number or invoice.invoice_id, 30)`
        """
        return invoice.number or invoice.invoice_id

    def validate_invoice(self, invoice: Invoice) -> None:  # noqa: B027 - an optional hook, not a forgotten one
        """Refuse an invoice that can never be created (RejectedError kinds), before any request is made. Pure.

        Amounts are decimals in major units; use `connectors.money.exact`, and refuse what does not fit.

        Example:
            ```python
            if len(invoice.lines) > 50:
                raise RejectedError(f"{len(invoice.lines)} lines are more than the 50 that Acme takes")
            ```
        """

    @abstractmethod
    async def find_invoices(
        self, invoice: Invoice, *, customer_record: str, intent: CreateIntent | None = None
    ) -> Sequence[InvoiceCandidate]:
        """Return every invoice that is filed under this invoice's number for that customer, void ones too.

        `intent` is given when the gateway looks for what an earlier create may have made. An empty answer means that
        complete, successful look-ups found nothing. Raises ConnectorError for everything else.

        Example:
            ```python
            rows = await self._list("/invoices", number=self.filed_number(invoice), customer=customer_record)
            return [self._invoice(row) for row in rows if row["number"] == self.filed_number(invoice)]
            ```
        """

    @abstractmethod
    async def get_invoice(self, provider_entity_id: str) -> InvoiceCandidate | None:
        """Return the invoice, or None when the provider says for certain that it does not exist.

        Example: `return self._invoice(await self._api.get(f"/invoices/{quote(provider_entity_id, safe='')}"))`
        """

    @abstractmethod
    async def create_invoice(self, invoice: Invoice, *, customer_record: str, intent: CreateIntent) -> CreatedInvoice:
        """Create the invoice with one request, and return what the provider made of it, its total included.

        The same invoice, customer and key must give the same bytes: take "today" from `intent.started_at`. Every line
        is sent, no amount is rounded. Never retried inside. Raises DuplicateRefusedError when the number is taken,
        RejectedError kinds for bad data, StaleCustomerError, ProviderError when the outcome is unknown.

        Example:
            ```python
            body = orjson.dumps({"customer": customer_record, "lines": [line_of(each) for each in invoice.lines]})
            reply = await self._api.request("POST", "/invoices", body=body, headers={"Idempotency-Key": intent.key})
            return CreatedInvoice(record=self._invoice(reply.json()))
            ```
        """

    @abstractmethod
    async def void_invoice(self, provider_entity_id: str) -> None:
        """Void the invoice. One that is void already is left alone, so that it may be called again.

        The gateway reads it afterwards. Raises RejectedError when the provider refuses, since it was paid for example,
        StaleRecordError when it is gone.

        Example: `await self._api.post(f"/invoices/{quote(provider_entity_id, safe='')}/void", {})`
        """


def short_number(number: str, limit: int) -> str:
    """Return the number where it fits; else its beginning and eight letters that tell it from all others like it.

    Deterministic: the same number always gives the same text. Characters that cannot be printed become blanks.

    Example: `short_number("INV-2026-11-REGION-MIDDLE-EAST-00042", 30)` gives 30 characters with the same beginning.
    """
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in number).split())
    if len(plain) <= limit:
        return plain
    mark = hashlib.sha256(number.encode()).hexdigest()[:8]
    return f"{plain[: limit - len(mark) - 1].rstrip()}~{mark}"


def _decimals(*values: object) -> None:
    for value in values:
        if not isinstance(value, Decimal) or not value.is_finite():
            msg = f"money is a finite Decimal, not {type(value).__name__}"
            raise TypeError(msg)
