"""From a record to the values of its row, in the order of the columns. The same in every backend."""

from datetime import datetime, timedelta
from typing import Any

from storage.records import (
    Alert,
    AlertMessage,
    ChannelRow,
    CircuitRow,
    ConnectionRow,
    Held,
    Job,
    KeyRow,
    Link,
    MappingKey,
    NewDelivery,
    NewIntent,
    NewJob,
    NewReview,
    Note,
    Rejection,
    SeenCustomer,
    Settlement,
    SourceRow,
)
from storage.scalars import dumps, loads, micros, micros_or_none

Values = tuple[Any, ...]
_MICROSECOND = timedelta(microseconds=1)


def delivery(new: NewDelivery) -> Values:
    """delivery_id, source, tenant_id, environment_id, delivery_key, received_at, scheme, secret_index, body_bytes."""
    return (
        new.delivery_id, new.source, new.tenant_id, new.environment_id, new.delivery_key, micros(new.received_at),
        new.scheme, new.secret_index, len(new.body),
    )  # fmt: skip


def job(new: NewJob, *, dispatch: int, now: datetime) -> Values:
    """All columns of a new job but its status: … payload, dispatch, next_attempt_at, created_at, updated_at."""
    at = micros(now)
    return (
        new.job_id, new.kind, new.source, new.tenant_id, new.environment_id, new.gate, new.lock_key, new.delivery_id,
        new.connection, new.entity_type, new.entity_id, new.subject, dumps(new.payload), dispatch, micros(new.due_at),
        at, at,
    )  # fmt: skip


def attempt(settled: Settlement, *, number: int) -> Values:
    """job_id, number, started_at, finished_at, outcome, error, exchanges, decision, worker."""
    tried = settled.attempt
    return (
        settled.job_id, number, micros(tried.started_at), micros(tried.finished_at), tried.outcome, dumps(tried.error),
        dumps(tried.exchanges), dumps(tried.decision), settled.owner,
    )  # fmt: skip


def key(mapping: MappingKey) -> tuple[str, str, str, str]:
    """source, entity_type, entity_id, connection."""
    return mapping.source, mapping.entity_type, mapping.entity_id, mapping.connection


def waited(mapping: MappingKey | None) -> str | None:
    """Return how a job names the mapping for whose link it waits."""
    return None if mapping is None else dumps(list(key(mapping)))


def link(new: Link, *, now: datetime) -> Values:
    """The key, connector, tenant, environment, record, origin, why, shared, details, synced, created, updated at."""
    at = micros(now)
    return (
        *key(new.key), new.connector, new.tenant_id, new.environment_id, new.provider_entity_id, new.origin, new.why,
        int(new.shared), dumps(new.details), at, at, at,
    )  # fmt: skip


def noted(known: str | None, new: Note) -> str | None:
    """Return the column `notes` as it is with what is noted: one name replaces itself alone."""
    return dumps({**(loads(known) or {}), **new.notes} or None)


def held(about: Held) -> tuple[str, str, str, str, str]:
    """source, entity_type, entity_id, connection, record."""
    return *key(about.key), about.provider_entity_id


def intent(new: NewIntent, *, idempotency_key: str, epoch: int, attempt: int) -> Values:
    """intent_id, the key, idempotency_key, epoch, variant, attempt, snapshot, digest, guards, started_at."""
    return (
        new.intent_id, *key(new.key), idempotency_key, epoch, new.variant, attempt, dumps(new.snapshot), new.digest,
        dumps(list(new.guards)), micros(new.started_at),
    )  # fmt: skip


def customer(seen: SeenCustomer, *, now: datetime) -> Values:
    """source, customer_id, tenant_id, environment_id, name, email, seen_at."""
    return (
        seen.source, seen.customer_id, seen.tenant_id, seen.environment_id, seen.name, seen.email, micros(now),
    )  # fmt: skip


def review(new: NewReview, about: Job, *, now: datetime) -> Values:
    """review_id, job_id, source, tenant, environment, connection, entity, kind, reason, candidates, customer, time."""
    return (
        new.review_id, about.job_id, about.source, about.tenant_id, about.environment_id, about.connection,
        about.entity_type, about.entity_id, new.kind, new.reason, dumps(new.candidates), dumps(new.customer),
        micros(now),
    )  # fmt: skip


def source(row: SourceRow) -> Values:
    """Every column of a source."""
    return (
        row.name, row.platform, row.tenant_id, row.environment_id, row.verification, row.status, dumps(row.settings),
        micros(row.created_at), micros(row.updated_at),
    )  # fmt: skip


def connection(row: ConnectionRow) -> Values:
    """Every column of a connection."""
    return (
        row.name, row.connector, row.tenant_id, row.environment_id, row.status, row.pause_reason, row.pause_detail,
        dumps(row.settings), dumps(row.account), micros(row.created_at), micros(row.updated_at),
    )  # fmt: skip


def api_key(row: KeyRow) -> Values:
    """Every column of an API key."""
    return (
        row.key_id, row.name, row.hash, row.tenant_id, row.environment_id, row.role, micros(row.created_at),
        micros_or_none(row.last_used_at), micros_or_none(row.revoked_at),
    )  # fmt: skip


def rejection(refused: Rejection) -> Values:
    """source, at, reason, headers, body_sha256, body_bytes."""
    return (
        refused.source, micros(refused.at), refused.reason, dumps(refused.headers), refused.body_sha256,
        refused.body_bytes,
    )  # fmt: skip


def channel(row: ChannelRow) -> Values:
    """Every column of a channel."""
    return (
        row.name, row.kind, row.tenant_id, row.environment_id, dumps(row.settings), micros(row.created_at),
        micros(row.updated_at),
    )  # fmt: skip


def alert(seen: Alert) -> Values:
    """Every column of an alert, with the version that follows."""
    return (
        seen.kind, seen.tenant_id, seen.environment_id, seen.subject, seen.alert_id, seen.status, seen.count,
        dumps(seen.facts), micros_or_none(seen.newest_at), micros(seen.opened_at), micros_or_none(seen.told_at),
        seen.told_count, micros_or_none(seen.closed_at), seen.version + 1,
    )  # fmt: skip


def alert_message(new: AlertMessage) -> Values:
    """message_id, alert_id, channel, tenant, environment, kind, event, content, created_at, next_attempt_at."""
    return (
        new.message_id, new.alert_id, new.channel, new.tenant_id, new.environment_id, new.kind, new.event,
        dumps(new.content), micros(new.created_at), micros_or_none(new.next_attempt_at),
    )  # fmt: skip


def error_code(settled: Settlement) -> str | None:
    """Return the code in a settlement's error, by which jobs are listed."""
    code = settled.error.get("code") if isinstance(settled.error, dict) else None
    return code if isinstance(code, str) else None


def circuit(state: CircuitRow) -> Values:
    """failures, rest, open_until, opened_at, probe_until, held_until."""
    return (
        state.failures, state.rest // _MICROSECOND, micros_or_none(state.open_until),
        micros_or_none(state.opened_at), micros_or_none(state.probe_until), micros_or_none(state.held_until),
    )  # fmt: skip
