"""From a row to a record. The same in every backend: whatever gives a column's value by its name is a row."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from storage import scalars
from storage.records import (
    Alert,
    AlertMessage,
    AlertStatus,
    Attempt,
    AuditEntry,
    ChannelRow,
    CircuitRow,
    ConnectionRow,
    Counted,
    Delivery,
    DeliveryStatus,
    EntityMapping,
    Intent,
    Job,
    JobStatus,
    KeyRow,
    MappingKey,
    MappingStatus,
    MessageStatus,
    Rejection,
    Review,
    ReviewStatus,
    SeenCustomer,
    SourceRow,
)


class Row(Protocol):
    """A row of a result."""

    def __getitem__(self, column: str, /) -> Any:
        """Return a column's value."""


def delivery(row: Row, *, whole: bool = False) -> Delivery:
    """Return a delivery; `whole` says that the query has its headers and body."""
    return Delivery(
        delivery_id=row["delivery_id"],
        source=row["source"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        delivery_key=row["delivery_key"],
        event_type=row["event_type"],
        entity_id=row["entity_id"],
        subject=row["subject"],
        received_at=scalars.moment(row["received_at"]),
        status=DeliveryStatus(row["status"]),
        reason=row["reason"],
        scheme=row["scheme"],
        secret_index=row["secret_index"],
        replays=row["replays"],
        body_bytes=row["body_bytes"],
        headers=row["headers"] if whole else None,
        body=row["body"] if whole else None,
    )


def job(row: Row) -> Job:
    """Return a job."""
    return Job(
        job_id=row["job_id"],
        kind=row["kind"],
        source=row["source"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        gate=row["gate"],
        lock_key=row["lock_key"],
        delivery_id=row["delivery_id"],
        connection=row["connection"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        subject=row["subject"],
        payload=scalars.loads(row["payload"]),
        status=JobStatus(row["status"]),
        outcome=row["outcome"],
        reason=row["reason"],
        error=scalars.loads(row["error"]),
        attempts=row["attempts"],
        failures=row["failures"],
        fence=row["fence"],
        next_attempt_at=scalars.moment_or_none(row["next_attempt_at"]),
        created_at=scalars.moment(row["created_at"]),
        updated_at=scalars.moment(row["updated_at"]),
    )


def attempt(row: Row) -> Attempt:
    """Return an attempt."""
    return Attempt(
        number=row["number"],
        started_at=scalars.moment(row["started_at"]),
        finished_at=scalars.moment(row["finished_at"]),
        outcome=row["outcome"],
        error=scalars.loads(row["error"]),
        exchanges=scalars.loads(row["exchanges"]),
        decision=scalars.loads(row["decision"]),
        worker=row["worker"],
    )


def mapping(row: Row) -> EntityMapping:
    """Return a mapping."""
    return EntityMapping(
        source=row["source"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        connection=row["connection"],
        connector=row["connector"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        provider_entity_id=row["provider_entity_id"],
        status=MappingStatus(row["status"]),
        origin=row["origin"],
        why=row["why"],
        shared=bool(row["shared"]),
        epoch=row["epoch"],
        details=scalars.loads(row["details"]),
        notes=scalars.loads(row["notes"]) or {},
        synced_at=scalars.moment_or_none(row["synced_at"]),
        written_back_at=scalars.moment_or_none(row["written_back_at"]),
        created_at=scalars.moment(row["created_at"]),
        updated_at=scalars.moment(row["updated_at"]),
    )


def mapping_key(row: Row) -> MappingKey:
    """Return what identifies the mapping that a row is about."""
    return MappingKey(
        source=row["source"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        connection=row["connection"],
    )


def intent_guards(row: Row) -> tuple[str, ...]:
    """Return the guards that an intent holds."""
    return tuple(scalars.loads(row["guards"]))


def intent(row: Row, *, lost_before: int = 0) -> Intent:
    """Return an intent."""
    return Intent(
        intent_id=row["intent_id"],
        key=mapping_key(row),
        idempotency_key=row["idempotency_key"],
        epoch=row["epoch"],
        variant=row["variant"],
        attempt=row["attempt"],
        snapshot=scalars.loads(row["snapshot"]),
        digest=row["digest"],
        guards=intent_guards(row),
        started_at=scalars.moment(row["started_at"]),
        looked_at=scalars.moment_or_none(row["looked_at"]),
        refused_at=scalars.moment_or_none(row["refused_at"]),
        lost_before=lost_before,
    )


def review(row: Row) -> Review:
    """Return a review."""
    return Review(
        review_id=row["review_id"],
        job_id=row["job_id"],
        source=row["source"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        connection=row["connection"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        kind=row["kind"],
        reason=row["reason"],
        candidates=scalars.loads(row["candidates"]),
        customer=scalars.loads(row["customer"]),
        status=ReviewStatus(row["status"]),
        decision=row["decision"],
        provider_entity_id=row["provider_entity_id"],
        created_at=scalars.moment(row["created_at"]),
        resolved_at=scalars.moment_or_none(row["resolved_at"]),
        resolved_by=row["resolved_by"],
        voided_at=scalars.moment_or_none(row["voided_at"]),
    )


def source(row: Row, secrets: Mapping[str, bytes]) -> SourceRow:
    """Return a source with its encrypted secrets."""
    return SourceRow(
        name=row["name"],
        platform=row["platform"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        verification=row["verification"],
        status=row["status"],
        settings=scalars.loads(row["settings"]),
        secrets=secrets,
        created_at=scalars.moment(row["created_at"]),
        updated_at=scalars.moment(row["updated_at"]),
    )


def connection(row: Row, secrets: Mapping[str, bytes]) -> ConnectionRow:
    """Return a connection with its encrypted secrets."""
    return ConnectionRow(
        name=row["name"],
        connector=row["connector"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        status=row["status"],
        pause_reason=row["pause_reason"],
        pause_detail=row["pause_detail"],
        settings=scalars.loads(row["settings"]),
        account=scalars.loads(row["account"]),
        secrets=secrets,
        created_at=scalars.moment(row["created_at"]),
        updated_at=scalars.moment(row["updated_at"]),
    )


def key(row: Row) -> KeyRow:
    """Return an API key's row."""
    return KeyRow(
        key_id=row["key_id"],
        name=row["name"],
        hash=row["hash"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        role=row["role"],
        created_at=scalars.moment(row["created_at"]),
        last_used_at=scalars.moment_or_none(row["last_used_at"]),
        revoked_at=scalars.moment_or_none(row["revoked_at"]),
    )


def audit_entry(row: Row) -> AuditEntry:
    """Return an audit entry."""
    return AuditEntry(
        audit_id=row["audit_id"],
        at=scalars.moment(row["at"]),
        actor=row["actor"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        action=row["action"],
        subject=row["subject"],
        detail=scalars.loads(row["detail"]),
    )


def seen_customer(row: Row) -> SeenCustomer:
    """Return a customer that was seen."""
    return SeenCustomer(
        source=row["source"],
        customer_id=row["customer_id"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        name=row["name"],
        email=row["email"],
    )


def rejection(row: Row) -> Rejection:
    """Return a refused request."""
    return Rejection(
        source=row["source"],
        at=scalars.moment(row["at"]),
        reason=row["reason"],
        headers=scalars.loads(row["headers"]),
        body_sha256=row["body_sha256"],
        body_bytes=row["body_bytes"],
    )


def circuit(row: Row) -> CircuitRow:
    """Return what stops the work of a connection."""
    return CircuitRow(
        failures=row["failures"],
        rest=timedelta(microseconds=row["rest"]),
        open_until=scalars.moment_or_none(row["open_until"]),
        opened_at=scalars.moment_or_none(row["opened_at"]),
        probe_until=scalars.moment_or_none(row["probe_until"]),
        held_until=scalars.moment_or_none(row["held_until"]),
    )


def channel(row: Row, secrets: Mapping[str, bytes]) -> ChannelRow:
    """Return a channel with its encrypted secrets."""
    return ChannelRow(
        name=row["name"],
        kind=row["kind"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        settings=scalars.loads(row["settings"]),
        secrets=secrets,
        created_at=scalars.moment(row["created_at"]),
        updated_at=scalars.moment(row["updated_at"]),
    )


def alert(row: Row) -> Alert:
    """Return an alert."""
    return Alert(
        kind=row["kind"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        subject=row["subject"],
        alert_id=row["alert_id"],
        status=AlertStatus(row["status"]),
        count=row["count"],
        facts=scalars.loads(row["facts"]),
        newest_at=scalars.moment_or_none(row["newest_at"]),
        opened_at=scalars.moment(row["opened_at"]),
        told_at=scalars.moment_or_none(row["told_at"]),
        told_count=row["told_count"],
        closed_at=scalars.moment_or_none(row["closed_at"]),
        version=row["version"],
    )


def alert_message(row: Row) -> AlertMessage:
    """Return a message about an alert."""
    return AlertMessage(
        message_id=row["message_id"],
        alert_id=row["alert_id"],
        channel=row["channel"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        kind=row["kind"],
        event=row["event"],
        content=scalars.loads(row["content"]),
        status=MessageStatus(row["status"]),
        attempts=row["attempts"],
        error=scalars.loads(row["error"]),
        created_at=scalars.moment(row["created_at"]),
        next_attempt_at=scalars.moment_or_none(row["next_attempt_at"]),
        ended_at=scalars.moment_or_none(row["ended_at"]),
    )


def counted(row: Row) -> Counted:
    """Return how many there are of one kind."""
    return Counted(
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        label=row["label"],
        count=row["count"],
        newest_at=scalars.moment(row["newest_at"]),
    )
