"""What Nomod makes of the items of an invoice or a link: unit price times quantity, a discount, the account's tax."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from connectors.testing.nomod_checks import Fields, Refusal
from connectors.testing.nomod_places import CURRENCIES

MAX_QUANTITY = 50
"""Of one item: the limit of the link specification of May 2026. Older clients sent up to 999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line: `amount` is the price of one piece, never of the line."""

    id: str
    name: str
    amount: Decimal
    quantity: int

    @property
    def total(self) -> Decimal:
        """The price of the line."""
        return self.amount * self.quantity

    def shown(self) -> dict[str, Any]:
        """Return the item as answers have it."""
        return {
            "id": self.id,
            "name": self.name,
            "amount": money(self.amount),
            "total_amount": money(self.total),
            "quantity": self.quantity,
            "sku": None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Items with what is taken off and put on: `amount` is what the payer pays, the account's tax included."""

    currency: str
    items: tuple[Item, ...]
    discount_percentage: int
    tax_percentage: Decimal

    @property
    def discount(self) -> Decimal:
        """The discount on all items together, rounded as the currency is."""
        total = sum((item.total for item in self.items), Decimal())
        return _rounded(total * self.discount_percentage / 100, self.currency)

    @property
    def tax(self) -> Decimal:
        """The account's tax, which no request asks for, on top of the discounted items."""
        net = sum((item.total for item in self.items), Decimal()) - self.discount
        return _rounded(net * self.tax_percentage / 100, self.currency)

    @property
    def amount(self) -> Decimal:
        """What is to be paid."""
        return sum((item.total for item in self.items), Decimal()) - self.discount + self.tax

    def shown(self) -> dict[str, Any]:
        """Return the fields of an answer that hold money."""
        tax = {
            "name": "VAT",
            "mode": "percentage",
            "mode_value": money(self.tax_percentage),
            "value": money(self.tax),
        }
        return {
            "amount": money(self.amount),
            "currency": self.currency,
            "discount": money(self.discount),
            "service_fee": money(Decimal()),
            "tax": money(self.tax),
            "taxes": [tax] if self.tax_percentage else [],
            "items": [item.shown() for item in self.items],
            "service_fee_percentage": "0.00",
            "tip": money(Decimal()),
        }


def read_bill(fields: Fields, ids: Sequence[str], *, tax_percentage: Decimal, max_items: int) -> Bill:
    """Read `currency`, `items` and `discount_percentage` of a request, or refuse. `ids` are for the items."""
    currency = fields.currency("currency")
    rows = fields.objects("items", 10_000)
    if not rows:
        raise Refusal("missing_required_items", "items: At least one item is required.")
    if len(rows) > max_items:
        raise Refusal("exceeds_item_limit", f"items: No more than {max_items} items are allowed.")
    items = tuple(
        Item(
            id=item_id,
            name=row.text("name", 100, required=True),
            amount=row.money("amount", currency),
            quantity=row.whole("quantity", 1, MAX_QUANTITY, 1),
        )
        for item_id, row in zip(ids, rows, strict=False)
    )
    discount = fields.whole("discount_percentage", 0, 100, 0)
    bill = Bill(currency=currency, items=items, discount_percentage=discount, tax_percentage=tax_percentage)
    if bill.amount <= 0:
        raise Refusal("invalid_amount", "The amount must be greater than zero.")
    return bill


def money(amount: Decimal) -> str:
    """Write an amount as Nomod does: major units, always three decimals."""
    return f"{amount:.3f}"


def _rounded(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-CURRENCIES[currency]), ROUND_HALF_UP)
