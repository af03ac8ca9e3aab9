"""What is sent to Nomod for a payment link, and what its answers say. Pure.

https://www.nomod.com/docs/api-reference/generate-link. A link has no customer, no reference of ours and no metadata, so
that its title carries a mark by which it is found again. One payment, of just the amount: `payment_expiry_limit` is 1.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from connectors.errors import AmountInexactError, RejectedError, UnexpectedResponseError
from connectors.links import LinkCandidate, PaymentLinkRequest
from connectors.money import MoneyError, parse, text
from connectors.nomod.fields import clean, cut
from connectors.nomod.invoices import NAME, NOTE, TITLE, Terms
from connectors.nomod.rows import moment, readable_id

OPEN, USED = "enabled", "expired"
"""A link that can be paid; one whose payment has come, which is in no list of statuses and was seen live."""
LINK_FIELDS = ("currency", "items", "title", "note", "payment_expiry_limit", "amount")


def mark_of(request: PaymentLinkRequest) -> str:
    """Return the ten letters that stand for this invoice and this amount in the link's title."""
    digest = hashlib.sha256(request.reference.encode()).digest()
    return base64.b32encode(digest)[:10].decode()


def check_link(request: PaymentLinkRequest) -> None:
    """Refuse what Nomod cannot ask for. Raises RejectedError, AmountInexactError."""
    if request.amount <= 0:
        raise RejectedError("a payment link asks for more than zero")
    _money(request)


def draft_link(request: PaymentLinkRequest, terms: Terms) -> Mapping[str, Any]:
    """Return what to send. The same request gives the same body."""
    named = f"Invoice {clean(request.invoice.number or request.invoice.invoice_id)}"
    mark = f" ({mark_of(request)})"
    return {
        "currency": request.currency,
        "items": [{"name": cut(named, NAME), "amount": _money(request), "quantity": 1}],
        "title": f"{cut(named, TITLE - len(mark))}{mark}",
        "note": cut(f"Payment of {named}", NOTE),
        "payment_expiry_limit": 1,
        "allow_tip": False,
        "shipping_address_required": False,
        **terms.allow,
    }


def read_link(value: object, *, request: PaymentLinkRequest | None = None) -> LinkCandidate:
    """Read a link; with `request`, whether it carries that one's mark. Raises UnexpectedResponseError."""
    if not isinstance(value, Mapping):
        raise UnexpectedResponseError("a link in the answer is no object")
    currency, url, status = value.get("currency"), value.get("url"), str(value.get("status") or OPEN).lower()
    try:
        amount = parse(value.get("amount"))
    except MoneyError as error:
        raise UnexpectedResponseError("a link in the answer has no readable amount") from error
    return LinkCandidate(
        provider_entity_id=readable_id(value),
        amount=amount,
        currency=currency.strip().upper() if isinstance(currency, str) else "",
        url=url if isinstance(url, str) and url.startswith(("https://", "http://")) else "",
        active=status == OPEN,
        used=status == USED,
        marker=request.reference if request is not None and marked(value, request) else None,
        created_at=moment(value.get("created")),
    )


def marked(value: Mapping[Any, Any], request: PaymentLinkRequest) -> bool:
    """Whether a link's title carries the mark of this invoice and amount."""
    title = value.get("title")
    return isinstance(title, str) and f"({mark_of(request)})" in title


def _money(request: PaymentLinkRequest) -> str:
    try:
        return text(request.amount, request.currency)
    except MoneyError as error:
        raise AmountInexactError(str(error)) from error
