"""What is kept about money: what a payment link asks for and was taken for, payments, and links that were given up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.invoices import Invoice
from connectors.payments import PaymentStatus
from storage import Store
from storage.records import EntityMapping, MappingStatus

TELLING, TOLD = "being told", "told"
"""What stands with a payment while the platform is told of it, and afterwards."""
PAYMENTS = "payments"
"""The note with the payments of an invoice or link. The jobs of payments alone write it, one after the other."""


async def keep_given_up(store: Store, mapping: EntityMapping, *, now: datetime) -> None:
    """Keep for which invoice a payment link was: another one may take its place, and money may come by it yet."""
    owner, key = _given_up(mapping.connection, mapping.provider_entity_id or "")
    await store.keep_fact(owner, key, mapping.entity_id, now=now)


async def invoice_given_up(store: Store, connection: str, record: str) -> str | None:
    """Return the id of the invoice whose payment link this was; None where it was nobody's."""
    return await store.get_fact(*_given_up(connection, record))


def _given_up(connection: str, record: str) -> tuple[str, str]:
    return f"connection:{connection}", f"payment_link.given_up.{record}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedLink:
    """What is kept with the mapping of a payment link.

    It asks for `amount`, and serves while `open_amount` is open of the invoice: the same, or what was open when a
    person took the link for it.
    """

    amount: Decimal
    currency: str
    url: str
    open_amount: Decimal
    open_currency: str

    @classmethod
    def of(cls, mapping: EntityMapping | None) -> "LinkedLink | None":
        """Return it for a mapping that is linked and whose link was read, None for any other."""
        details = mapping.details if mapping is not None else None
        linked = mapping is not None and mapping.status is MappingStatus.LINKED
        if not linked or not isinstance(details, dict) or "amount" not in details:
            return None
        amount, currency = str(details["amount"]), str(details.get("currency", ""))
        accepted = details.get("accepted_for")
        taken = accepted if isinstance(accepted, dict) else {}
        return cls(
            amount=Decimal(amount), currency=currency, url=str(details.get("url", "")),
            open_amount=Decimal(str(taken.get("amount", amount))), open_currency=str(taken.get("currency", currency)),
        )  # fmt: skip

    def serves(self, invoice: Invoice) -> bool:
        """Whether it is the link for what is open of the invoice by now."""
        return (self.open_amount, self.open_currency) == (invoice.amount_due, invoice.currency)


def is_over(mapping: EntityMapping) -> bool:
    """Whether money has come by this link and needs no care any more: the platform was told, or it was given back."""
    return any(
        each.get("platform") == TOLD or each.get("status") == PaymentStatus.RETURNED for each in payments_of(mapping)
    )


def is_being_told(mapping: EntityMapping) -> bool:
    """Whether money has come by this link of which the platform may not know yet."""
    return any(each.get("platform") == TELLING for each in payments_of(mapping))


def payments_of(mapping: EntityMapping) -> list[dict[str, Any]]:
    """Return the payments that are kept with the mapping of an invoice or link: `payments.py` writes them."""
    return payments_in(mapping.notes)


def payments_in(notes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the payments among what is noted with a mapping."""
    known = notes.get(PAYMENTS)
    return [each for each in known if isinstance(each, dict)] if isinstance(known, list) else []
