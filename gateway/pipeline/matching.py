"""Whether a record at the provider is this customer. Pure, and the only place that decides it.

A wrong adoption mixes two parties' invoices and is worse than a duplicate, which the provider's own application can
merge. When torn, a person decides. The table is docs/matching.md.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.invoices import InvoiceCandidate
from connectors.links import LinkCandidate
from connectors.models import AdoptOnName, Candidate, Customer, Inactive, MatchOn, MatchPolicy

CLOCK_TOLERANCE = timedelta(seconds=120)
Found = Candidate | InvoiceCandidate | LinkCandidate
"""A record at the provider, of whatever kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A candidate, and why it was taken or left."""

    candidate: Found
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """This record is the one that is looked for."""

    candidate: Found
    origin: str
    why: str
    reactivate: bool = False
    others: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """No record is the one that is looked for; `others` are the ones that were left, with reasons."""

    why: str
    others: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A person must decide between these."""

    kind: str
    why: str
    candidates: tuple[Judged, ...]


Decision = Adopt | Create | Ask


def match(
    customer: Customer,
    candidates: Sequence[Candidate],
    *,
    policy: MatchPolicy,
    taken: Mapping[str, str],
) -> Decision:
    """Decide from complete, successful look-ups. `taken` says which records are linked to which other customers."""
    open_ones: list[Candidate] = []
    left: list[Judged] = []
    marked: list[Candidate] = []
    for candidate in _distinct(candidates):
        if candidate.marker == customer.reference and candidate.provider_entity_id not in taken:
            marked.append(candidate)
        elif (objection := _objection(customer, candidate, policy=policy, taken=taken)) is not None:
            left.append(Judged(candidate=candidate, why=objection))
        else:
            open_ones.append(candidate)
    if marked:
        return _adopt_marked(marked, policy=policy, left=left)
    email = normal_email(customer.email)
    equal = [c for c in open_ones if email and email in map(normal_email, c.emails)]
    if equal:
        return _by_email(customer, equal, policy=policy, left=left)
    return _by_name(customer, open_ones, policy=policy, left=left)


def recovered(
    customer: Customer,
    candidates: Sequence[Candidate],
    *,
    started_at: datetime,
    undated: bool = False,
    at_last: bool = False,
) -> Adopt | None:
    """Return the record that a doubtful create has made, if a look-up shows it: by marker, or mail, name and time.

    With `undated`, one record without a time is enough: for creates before which no record had mail and name. The last
    look-up, `at_last`, takes the one that there is whatever its time: one of the two clocks may have been wrong.
    """
    mine = [c for c in _distinct(candidates) if c.marker == customer.reference]
    if not mine:
        since = started_at - CLOCK_TOLERANCE
        email, name = normal_email(customer.email), normal_name(customer.full_name)
        alike = [
            c
            for c in _distinct(candidates)
            if c.adoptable
            and c.marker is None
            and email
            and email in map(normal_email, c.emails)
            and _same_name(normal_name(c.name), name)
        ]
        mine = [c for c in alike if c.created_at is not None and c.created_at >= since]
        alone = len(alike) == 1 and alike[0].active and (at_last or alike[0].created_at is None)
        if undated and not mine and alone:
            mine = alike
    if not mine:
        return None
    first = min(mine, key=lambda c: (c.created_at is None, c.created_at or started_at, c.provider_entity_id))
    rest = tuple(Judged(candidate=c, why="a second record of the same create") for c in mine if c is not first)
    return Adopt(candidate=first, origin="created", why="found again after its answer was lost", others=rest)


def judge_hint(
    customer: Customer, candidate: Candidate, *, policy: MatchPolicy, taken: Mapping[str, str]
) -> Adopt | Ask | None:
    """Decide about the record that the platform's metadata names; None where the hint is worth nothing.

    Metadata can be copied from one customer to another, and records can be merged and reused. So a hint is followed
    where address or name agree, or where neither speaks against it, and a person decides where both do.
    """
    if _objection(customer, candidate, policy=policy, taken=taken) is not None or not candidate.active:
        return None
    why = "named by the platform, found at the provider"
    email, emails = normal_email(customer.email), set(map(normal_email, candidate.emails))
    name, theirs = normal_name(customer.full_name), normal_name(candidate.name)
    agrees = candidate.marker == customer.reference or email in emails
    agrees = agrees or (bool(name and theirs) and _compatible(name, theirs))
    if agrees or not ((email and emails) or (name and theirs)):
        return Adopt(candidate=candidate, origin="hint", why=why)
    return Ask(
        kind="ambiguous", why="the platform's metadata names a record with another e-mail address and another name",
        candidates=(Judged(candidate=candidate, why="named by the platform; neither e-mail nor name agrees"),),
    )  # fmt: skip


def normal_email(address: str) -> str:
    """Return an address as it is compared."""
    return address.strip().casefold()


def normal_name(name: str) -> str:
    """Return a name as it is compared: composed, case folded, one blank between words; a colon counts as a blank.

    QuickBooks allows no colon in a name, so that connectors have to leave it out.
    """
    return " ".join(unicodedata.normalize("NFKC", name).replace(":", " ").split()).casefold()


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    return list({c.provider_entity_id: c for c in candidates}.values())


def _objection(
    customer: Customer, candidate: Candidate, *, policy: MatchPolicy, taken: Mapping[str, str]
) -> str | None:
    """Return why a record can never be this customer, or None."""
    if candidate.provider_entity_id in taken and not policy.shared:
        return f"linked to another customer ({taken[candidate.provider_entity_id]})"
    if candidate.marker is not None and candidate.marker != customer.reference and not policy.shared:
        return f"created for another customer ({candidate.marker})"
    if not candidate.adoptable:
        return f"a {candidate.kind}, not a customer of its own"
    if policy.compare_currency and customer.currency and candidate.currency not in ("", customer.currency):
        return f"in another currency ({candidate.currency})"
    return None


def _adopt_marked(marked: Sequence[Candidate], *, policy: MatchPolicy, left: Sequence[Judged]) -> Decision:
    why = "carries this customer's own mark"
    if len(marked) > 1:
        return Ask(
            kind="ambiguous", why=f"{len(marked)} records carry this customer's mark",
            candidates=tuple(Judged(candidate=c, why=why) for c in marked),
        )  # fmt: skip
    only = marked[0]
    if only.active:
        return Adopt(candidate=only, origin="adopted_marker", why=why, others=tuple(left))
    return _inactive([only], why="carries this customer's own mark, and is inactive", policy=policy, left=left)


def _by_email(
    customer: Customer, equal: Sequence[Candidate], *, policy: MatchPolicy, left: Sequence[Judged]
) -> Decision:
    name = normal_name(customer.full_name)
    active = [c for c in equal if c.active]
    if not active:
        return _inactive(equal, why="has the same e-mail, and is inactive", policy=policy, left=left)
    if len(active) == 1:
        only = active[0]
        others = (*left, *(Judged(candidate=c, why="inactive") for c in equal if not c.active))
        if _compatible(normal_name(only.name), name):
            why = "the only active record with this e-mail, and the names agree"
            return Adopt(candidate=only, origin="adopted_email", why=why, others=others)
        if policy.match is MatchOn.EMAIL:
            why = "the only active record with this e-mail; the connection's setting asks for no more"
            return Adopt(candidate=only, origin="adopted_email", why=why, others=others)
        return Ask(
            kind="ambiguous", why="one record has the same e-mail and another name",
            candidates=(Judged(candidate=only, why="same e-mail, another name"),),
        )  # fmt: skip
    same = [c for c in active if _same_name(normal_name(c.name), name)]
    if len(same) == 1:
        others = (*left, *(Judged(candidate=c, why="same e-mail, another name") for c in equal if c is not same[0]))
        return Adopt(candidate=same[0], origin="adopted_email", why="same e-mail and same name", others=others)
    return Ask(
        kind="ambiguous", why=f"{len(active)} active records have the same e-mail",
        candidates=tuple(
            Judged(candidate=c, why="same e-mail and same name" if c in same else "same e-mail") for c in active
        ),
    )  # fmt: skip


def _by_name(
    customer: Customer, open_ones: Sequence[Candidate], *, policy: MatchPolicy, left: Sequence[Judged]
) -> Decision:
    name, email = normal_name(customer.full_name), normal_email(customer.email)
    named: list[Candidate] = []
    for_sure = list(left)
    for candidate in open_ones:
        if not name or not _same_name(normal_name(candidate.name), name):
            for_sure.append(Judged(candidate=candidate, why="neither e-mail nor name is the same"))
        elif email and candidate.emails:
            for_sure.append(Judged(candidate=candidate, why="same name, another e-mail"))
        elif policy.adopt_on_name is AdoptOnName.NEVER:
            for_sure.append(Judged(candidate=candidate, why="same name, no e-mail to compare"))
        else:
            named.append(candidate)
    active = [c for c in named if c.active]
    if len(active) == 1:
        why = "the only record with this name, and no e-mail speaks against it"
        return Adopt(candidate=active[0], origin="adopted_name", why=why, others=tuple(for_sure))
    if len(active) > 1:
        return Ask(
            kind="ambiguous", why=f"{len(active)} active records have the same name",
            candidates=tuple(Judged(candidate=c, why="same name") for c in active),
        )  # fmt: skip
    if named:
        return _inactive(named, why="has the same name, and is inactive", policy=policy, left=for_sure)
    return Create(why="no record is this customer's", others=tuple(for_sure))


def _inactive(found: Sequence[Candidate], *, why: str, policy: MatchPolicy, left: Sequence[Judged]) -> Decision:
    judged = tuple(Judged(candidate=c, why=why) for c in found)
    if policy.inactive is Inactive.NEW:
        return Create(why="only inactive records match, and the setting asks for a new one", others=(*left, *judged))
    if policy.inactive is Inactive.REACTIVATE and len(found) == 1:
        return Adopt(candidate=found[0], origin="adopted_inactive", why=why, reactivate=True, others=tuple(left))
    return Ask(kind="inactive", why="only inactive records match", candidates=judged)


def _same_name(one: str, other: str) -> bool:
    return bool(one) and one == other


def _compatible(one: str, other: str) -> bool:
    """Whether names agree: equal, one absent, or one's words contained in the other's."""
    if not one or not other or one == other:
        return True
    ours, theirs = set(one.split()), set(other.split())
    return ours <= theirs or theirs <= ours
