"""Payments: what a provider says was paid, and for which of its invoices and links."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class PaymentStatus(StrEnum):
    """Where a payment stands."""

    SETTLED = "settled"
    """The money has come, and nothing of it was given back."""
    PENDING = "pending"
    """Authorised, under way or in dispute: not to be counted on yet."""
    FAILED = "failed"
    """It never came: failed, cancelled or void."""
    RETURNED = "returned"
    """Some or all of it was given back."""


class PaidKind(StrEnum):
    """What a payment was for, by the word of its mapping."""

    INVOICE = "invoice"
    PAYMENT_LINK = "payment_link"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidFor:
    """One of the provider's records that a payment was for, and how much of it: major units of its currency."""

    kind: PaidKind
    provider_entity_id: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as the provider has it now. It holds nothing about cards or who has paid.

    `currency` is ISO 4217 in capitals. `paid_for` is empty for money that belongs to none of the provider's invoices
    and links.
    """

    provider_entity_id: str
    currency: str
    status: PaymentStatus
    paid_for: tuple[PaidFor, ...] = ()
    paid_at: datetime | None = None


class Payments(ABC):
    """A connector whose provider tells of payments: mix it in beside `Connector`.

    The provider's webhook is a hint that something was paid; what is believed is what this reads.
    """

    @abstractmethod
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        """Return the payment, or None when the provider says for certain that it does not exist.

        Money is read as text or decimals, never as floats; card data is dropped unread. Raises ConnectorError kinds.

        Example: `return self._payment(await self._api.get(f"/charges/{quote(provider_entity_id, safe='')}"))`
        """
