"""Whether an invoice at the provider is this one. Pure: by the number it is filed under or its mark, and its customer.

Nothing else proves it: not the sum, not the date. And a record that is proven to be it is adopted only with the same
sum in the same currency; a person sees both sums otherwise.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.invoices import Invoice, InvoiceCandidate, InvoiceStatus
from connectors.money import shown
from gateway.pipeline.matching import Adopt, Ask, Create, Decision, Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """An invoice, the provider's record of who has to pay it, and the number under which it is filed there."""

    invoice: Invoice
    customer_record: str
    number: str


def match_invoice(billed: Billed, candidates: Sequence[InvoiceCandidate], *, taken: Mapping[str, str]) -> Decision:
    """Decide from complete, successful look-ups. `taken` says which records are linked to which other invoices."""
    mine: list[InvoiceCandidate] = []
    left: list[Judged] = []
    for candidate in {c.provider_entity_id: c for c in candidates}.values():
        objection = _objection(billed, candidate, taken)
        if objection is None:
            mine.append(candidate)
        else:
            left.append(Judged(candidate=candidate, why=objection))
    strays = [c for c in candidates if _is_stray(billed, c, taken)]
    if strays:
        why = "carries this invoice's own mark, and belongs to another customer's record by now"
        return Ask(
            kind="conflict", why=f"an invoice {why}; {_CHOICES}", candidates=tuple(_judged(c, why) for c in strays)
        )
    marked = [c for c in mine if c.marker == billed.invoice.reference]
    alive = [c for c in marked or mine if c.status is not InvoiceStatus.VOID]
    if len(alive) > 1:
        why = f"{len(alive)} invoices have the number {billed.number}"
        return Ask(
            kind="ambiguous", why=f"{why}; {_CHOICES}", candidates=tuple(Judged(candidate=c, why=why) for c in alive)
        )
    if alive:
        only = alive[0]
        differing = difference(billed, only)
        if differing is not None:
            return Ask(kind="amount_differs", why=f"{differing}; {_CHOICES}", candidates=(_judged(only, differing),))
        how = "carries this invoice's own mark" if marked else "has this invoice's number and customer"
        return Adopt(
            candidate=only, origin="adopted_marker" if marked else "adopted_number", why=f"{how}, and the sums agree",
            others=tuple(left),
        )  # fmt: skip
    if mine:
        lives = any(c.status is not InvoiceStatus.VOID for c in mine)  # unmarked, beside one that was made here
        why = f"the only invoice with the number {billed.number} is void"
        if lives:
            why = f"the invoice that was made here is void, and another one with the number {billed.number} is not"
        return Ask(
            kind="inactive", why=f"{why}; {_CHOICES}", candidates=tuple(_judged(c, _beside_void(c)) for c in mine)
        )
    return Create(why="no invoice has this number for this customer", others=tuple(left))


def recovered_invoice(
    billed: Billed, candidates: Sequence[InvoiceCandidate], *, to_void: bool = False
) -> Adopt | Ask | None:
    """Return what a doubtful create has made, if a look-up shows it; asked where its sum is another.

    With `to_void` the platform has voided the invoice meanwhile: what carries its mark is the one whatever its sum, and
    one that is void already will do.
    """
    decision = match_invoice(billed, candidates, taken={})
    if to_void and isinstance(decision, Ask) and len(decision.candidates) == 1:
        only = decision.candidates[0].candidate
        if isinstance(only, InvoiceCandidate) and (only.marker is not None or only.status is InvoiceStatus.VOID):
            decision = Adopt(candidate=only, origin="created", why="")
    match decision:
        case Adopt():
            return replace(decision, origin="created", why="found again after its answer was lost")
        case Ask():
            return decision
        case _:
            return None


def judge_invoice_hint(billed: Billed, candidate: InvoiceCandidate, *, taken: Mapping[str, str]) -> Adopt | None:
    """Adopt the record that the platform's metadata names where it is proven to be this invoice; else search."""
    decision = match_invoice(billed, [candidate], taken=taken)
    return replace(decision, origin="hint", others=()) if isinstance(decision, Adopt) else None


def difference(billed: Billed, found: InvoiceCandidate) -> str | None:
    """Return in words with both sums how a provider's invoice differs from ours, or None."""
    invoice = billed.invoice
    if found.currency == invoice.currency and found.total == invoice.total:
        return None
    return (
        f"the provider's total is {shown(found.total, found.currency)}, ours {shown(invoice.total, invoice.currency)}"
    )


def invoice_guards(billed: Billed) -> tuple[str, ...]:
    """Return what no two open creates may share: the number and the customer, as a fingerprint."""
    told = f"{billed.customer_record}\n{billed.number}"
    return (f"i:{hashlib.sha256(told.encode()).hexdigest()[:32]}",)


_CHOICES = "adopt links that invoice as it is, create makes another, ignore leaves both sides as they are"


def _objection(billed: Billed, candidate: InvoiceCandidate, taken: Mapping[str, str]) -> str | None:
    """Return why a record can never be this invoice, or None."""
    if candidate.provider_entity_id in taken:
        return f"linked to another invoice ({taken[candidate.provider_entity_id]})"
    if candidate.marker is not None and candidate.marker != billed.invoice.reference:
        return f"made for another invoice ({candidate.marker})"
    nobodys = not billed.customer_record and candidate.marker is not None  # a bookkeeper may have added a customer
    if candidate.customer_record is not None and candidate.customer_record != billed.customer_record and not nobodys:
        return "an invoice of another customer"
    if candidate.marker is None and candidate.number != billed.number:
        return "has another number"
    return None


def _is_stray(billed: Billed, candidate: InvoiceCandidate, taken: Mapping[str, str]) -> bool:
    """Whether it was made for this invoice, and has gone over to another customer: two were merged, for example."""
    return (
        candidate.marker == billed.invoice.reference
        and candidate.status is not InvoiceStatus.VOID
        and candidate.provider_entity_id not in taken
        and _objection(billed, candidate, taken) is not None
    )


def _beside_void(candidate: InvoiceCandidate) -> str:
    if candidate.status is InvoiceStatus.VOID:
        return "cancelled or voided"
    return "has this invoice's number, and was not made for it here"


def _judged(candidate: InvoiceCandidate, why: str) -> Judged:
    return Judged(candidate=candidate, why=why)
