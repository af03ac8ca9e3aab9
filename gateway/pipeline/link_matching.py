"""Whether a payment link at the provider is the one asked for. Pure: by its mark, which names invoice and amount.

A link that was switched off is history: another one is made. A link whose one payment has come is money: while the
platform still says that the amount is open, a person decides, since another link could be paid as well.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from connectors.links import LinkCandidate, PaymentLinkRequest
from connectors.money import shown
from gateway.pipeline.matching import Adopt, Ask, Create, Decision, Judged


def match_link(
    request: PaymentLinkRequest, candidates: Sequence[LinkCandidate], *, taken: Mapping[str, str]
) -> Decision:
    """Decide from complete, successful look-ups. `taken` says which records are linked to which other invoices."""
    mine: list[LinkCandidate] = []
    left: list[Judged] = []
    for candidate in {c.provider_entity_id: c for c in candidates}.values():
        if candidate.provider_entity_id in taken:
            why = f"linked to another invoice ({taken[candidate.provider_entity_id]})"
            left.append(Judged(candidate=candidate, why=why))
        elif candidate.marker != request.reference:
            left.append(Judged(candidate=candidate, why="made for another invoice or amount"))
        else:
            mine.append(candidate)
    used = [c for c in mine if c.used]
    if used:
        why = "a link for this amount has been paid, and the platform says that it is open"
        told = f"{why}; adopt links that one, create makes another, ignore leaves it so"
        return Ask(kind="already_paid", why=told, candidates=tuple(Judged(candidate=c, why=why) for c in used))
    alive = [c for c in mine if c.active]
    if len(alive) > 1:
        why = f"{len(alive)} links are open for this invoice and amount"
        told = f"{why}; adopt links one of them, and the others should be switched off at the provider"
        return Ask(kind="ambiguous", why=told, candidates=tuple(Judged(candidate=c, why=why) for c in alive))
    left += [Judged(candidate=c, why="switched off") for c in mine if not c.active]
    if not alive:
        return Create(why="no open link is marked with this invoice and amount", others=tuple(left))
    only = alive[0]
    differing = difference(request, only)
    if differing is not None:
        told = f"{differing}; adopt links it as it is, create makes another, ignore leaves it so"
        return Ask(kind="amount_differs", why=told, candidates=(Judged(candidate=only, why=differing),))
    why = "carries this invoice's and amount's own mark"
    return Adopt(candidate=only, origin="adopted_marker", why=why, others=tuple(left))


def recovered_link(
    request: PaymentLinkRequest, candidates: Sequence[LinkCandidate], *, taken_back: bool = False
) -> Adopt | Ask | None:
    """Return what a doubtful create has made, if a look-up shows it; asked where its amount is another.

    With `taken_back` nobody should pay it any more: one that was paid comes first, and amount and state do not matter.
    """
    found = "found again after its answer was lost"
    mine = [each for each in candidates if each.marker == request.reference]
    if taken_back:
        first = max(mine, key=lambda each: each.used, default=None)
        return None if first is None else Adopt(candidate=first, origin="created", why=found)
    match match_link(request, candidates, taken={}):
        case Adopt() as decision:
            return replace(decision, origin="created", why=found)
        case Ask() as decision:
            return decision
        case _:
            return None


def difference(request: PaymentLinkRequest, found: LinkCandidate) -> str | None:
    """Return in words with both amounts how a link differs from what was asked for, or None."""
    if found.currency == request.currency and found.amount == request.amount:
        return None
    return (
        f"the link asks for {shown(found.amount, found.currency)}, the invoice for"
        f" {shown(request.amount, request.currency)}"
    )


def link_guards(request: PaymentLinkRequest) -> tuple[str, ...]:
    """Return what no two open creates may share: invoice and amount, as a fingerprint."""
    return (f"l:{hashlib.sha256(request.reference.encode()).hexdigest()[:32]}",)
