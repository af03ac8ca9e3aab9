"""What needs a person now: pure, from what the store holds. Counts, names and codes only: no id, no customer."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gateway.configuration.channels import AlertKind
from gateway.sources.signing import RefusalReason
from storage.records import Attention, CircuitRow, ConnectionRow, Counted, SourceRow

REFUSED_WINDOW = timedelta(minutes=15)
MOST_LABELS = 10
"""Error codes, or kinds of reviews, that one alert names; what is beyond is counted together."""
MAX_REASON = 80
BEING_REMOVED = "being_removed"
_UNPROVEN = frozenset(map(str, RefusalReason))
_SOURCE_GATE = "source:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From when on something is worth an alert."""

    backlog: timedelta
    circuit: timedelta
    token: timedelta
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the conditions are worked out from."""

    attention: Attention
    connections: Sequence[ConnectionRow]
    sources: Sequence[SourceRow]
    circuits: Mapping[str, CircuitRow] = field(default_factory=dict)
    """The circuits of connections that are not all well."""
    consents: Mapping[str, datetime] = field(default_factory=dict)
    """When the consents of connections end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that needs a person."""

    kind: AlertKind
    tenant_id: str
    environment_id: str
    subject: str = ""
    count: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    newest_at: datetime | None = None
    """When the last of those that are counted came."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what tells one alert from another."""
        return str(self.kind), self.tenant_id, self.environment_id, self.subject


def conditions(seen: Seen, *, now: datetime, limits: Limits) -> list[Condition]:
    """Return all that needs a person now."""
    return [
        *_paused(seen.connections),
        *_open(seen, limits.circuit),
        *_counted(AlertKind.REVIEW_WAITING, seen.attention.reviews, "kinds"),
        *_counted(AlertKind.DEAD_LETTER, seen.attention.failed, "codes"),
        *_overdue(seen, now - limits.backlog),
        *_expiring(seen, now + limits.token),
        *_refused(seen, limits.refused),
    ]


def _paused(connections: Iterable[ConnectionRow]) -> Iterator[Condition]:
    for row in connections:
        if row.status == "paused" and row.pause_reason != BEING_REMOVED:
            yield Condition(
                kind=AlertKind.CONNECTION_PAUSED, tenant_id=row.tenant_id, environment_id=row.environment_id,
                subject=row.name,
                facts={"connector": row.connector, "reason": (row.pause_reason or "unknown")[:MAX_REASON]},
            )  # fmt: skip


def _open(seen: Seen, longest: timedelta) -> Iterator[Condition]:
    """Providers that answer nothing for long, however little there is to do.

    With few jobs, all of them wait for their next attempt and none is overdue. How long nothing is answered is counted
    up to the last probe that has failed: nobody knows what would be answered since.
    """
    for row in seen.connections:
        circuit = seen.circuits.get(row.name)
        if row.status != "active" or circuit is None or circuit.opened_at is None or circuit.open_until is None:
            continue
        if circuit.open_until - circuit.opened_at >= longest:
            yield Condition(
                kind=AlertKind.CIRCUIT_OPEN, tenant_id=row.tenant_id, environment_id=row.environment_id,
                subject=row.name, facts={"connector": row.connector, "open_since": circuit.opened_at.isoformat()},
            )  # fmt: skip


def _counted(kind: AlertKind, found: Iterable[Counted], name: str) -> Iterator[Condition]:
    homes: dict[tuple[str, str], list[Counted]] = {}
    for each in found:
        homes.setdefault((each.tenant_id, each.environment_id), []).append(each)
    for (tenant, environment), group in sorted(homes.items()):
        yield Condition(
            kind=kind, tenant_id=tenant, environment_id=environment, count=sum(each.count for each in group),
            newest_at=max(each.newest_at for each in group),
            facts={name: _most({each.label or "unknown": each.count for each in group})},
        )  # fmt: skip


def _overdue(seen: Seen, before: datetime) -> Iterator[Condition]:
    """Work that has been due for too long, by whom it is for; and deliveries that nobody looks at."""
    connections, sources = {row.name: row for row in seen.connections}, {row.name: row for row in seen.sources}
    since: dict[tuple[str, str, str], datetime] = {}

    def note(row: ConnectionRow | SourceRow | None, due: datetime) -> None:
        if row is not None and due <= before:
            home = (row.tenant_id, row.environment_id, row.name)
            since[home] = min(due, since.get(home, due))

    for gate, due in seen.attention.oldest_due.items():
        source = gate.removeprefix(_SOURCE_GATE)
        note(sources.get(source) if gate.startswith(_SOURCE_GATE) else connections.get(gate), due)
    if seen.attention.oldest_undispatched is not None:
        source, received = seen.attention.oldest_undispatched
        note(sources.get(source), received)
    for (tenant, environment, name), due in sorted(since.items()):
        yield Condition(
            kind=AlertKind.BACKLOG_OLD, tenant_id=tenant, environment_id=environment, subject=name,
            facts={"waiting_since": due.isoformat()},
        )  # fmt: skip


def _expiring(seen: Seen, before: datetime) -> Iterator[Condition]:
    """Consents that end soon. One that has ended pauses its connection, which is told as such."""
    for row in seen.connections:
        ends = seen.consents.get(row.name)
        if row.status == "active" and ends is not None and ends <= before:
            yield Condition(
                kind=AlertKind.TOKEN_EXPIRING, tenant_id=row.tenant_id, environment_id=row.environment_id,
                subject=row.name, facts={"connector": row.connector, "ends_at": ends.isoformat()},
            )  # fmt: skip


def _refused(seen: Seen, most: int) -> Iterator[Condition]:
    """Sources whose webhooks prove nothing: a secret that was changed on one side, a clock, a proxy in between."""
    reasons: dict[str, Counter[str]] = {}
    for source, reason, count in seen.attention.refused:
        if reason in _UNPROVEN:
            reasons.setdefault(source, Counter())[reason] += count
    for row in seen.sources:
        found = reasons.get(row.name, Counter())
        if row.status == "active" and found.total() >= most:
            yield Condition(
                kind=AlertKind.SIGNATURE_FAILING, tenant_id=row.tenant_id, environment_id=row.environment_id,
                subject=row.name, count=found.total(), facts={"reasons": _most(found)},
            )  # fmt: skip


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent, the others together as `other`."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    kept = dict(ranked[:MOST_LABELS])
    rest = sum(count for _, count in ranked[MOST_LABELS:])
    return {**kept, "other": rest} if rest else kept
