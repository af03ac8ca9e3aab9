"""Between SQLite's columns and our records: times as microseconds, JSON as text, cursors, scopes."""

import base64
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson

from storage.errors import StorageError
from storage.records import (
    Attempt,
    AuditEntry,
    ConnectionRow,
    Delivery,
    DeliveryStatus,
    EntityMapping,
    Intent,
    Job,
    JobStatus,
    KeyRow,
    MappingKey,
    MappingStatus,
    Page,
    Review,
    ReviewStatus,
    Scope,
    SourceRow,
)

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class CursorInvalidError(StorageError):
    """The cursor was not made by this list."""

    code = "cursor_invalid"
    title = "Cursor invalid"
    cause = "The cursor was not returned by this list."
    resolution = "Begin again without a cursor."


def micros(moment: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def micros_or_none(moment: datetime | None) -> int | None:
    """Return a time as microseconds since 1970, or None."""
    return None if moment is None else micros(moment)


def moment(value: int) -> datetime:
    """Return microseconds since 1970 as an aware time."""
    return _EPOCH + timedelta(microseconds=value)


def moment_or_none(value: int | None) -> datetime | None:
    """Return microseconds since 1970 as an aware time, or None."""
    return None if value is None else moment(value)


def dumps(value: Any) -> str | None:  # noqa: ANN401 - JSON is any
    """Return JSON text; None stays None."""
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def loads(value: str | bytes | None) -> Any:  # noqa: ANN401 - JSON is any
    """Return what JSON text says; None stays None."""
    return None if value is None else orjson.loads(value)


def encode_cursor(*parts: str) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int) -> list[str]:
    """Return the parts of a cursor. Raises CursorInvalidError."""
    try:
        decoded = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise CursorInvalidError from error
    if not isinstance(decoded, list) or len(decoded) != parts or not all(isinstance(part, str) for part in decoded):
        raise CursorInvalidError
    return decoded


class Where:
    """Conditions gathered for a list or a look-up; the one place where a scope becomes SQL."""

    def __init__(self, scope: Scope, prefix: str = "") -> None:
        self._terms: list[str] = []
        self.values: list[Any] = []
        if scope.tenant_id is not None:
            self.add(f"{prefix}tenant_id = ?", scope.tenant_id)
        if scope.environment_id is not None:
            self.add(f"{prefix}environment_id = ?", scope.environment_id)

    def add(self, term: str, *values: Any) -> None:  # noqa: ANN401 - whatever SQLite takes
        """Add a condition with its values."""
        self._terms.append(term)
        self.values.extend(values)

    def equal(self, column: str, value: Any) -> None:  # noqa: ANN401 - whatever SQLite takes
        """Add `column = value`, unless the value is None."""
        if value is not None:
            self.add(f"{column} = ?", value)

    def __str__(self) -> str:
        """Return the clause, empty when there is no condition."""
        return " WHERE " + " AND ".join(self._terms) if self._terms else ""


def page(rows: Sequence[T], limit: int, cursor_of: Any) -> Page[T]:  # noqa: ANN401 - a function of the row
    """Return a page from `limit + 1` rows."""
    more = len(rows) > limit
    items = rows[:limit]
    return Page(items=items, next_cursor=cursor_of(items[-1]) if more else None)


def delivery(row: sqlite3.Row) -> Delivery:
    """Return a delivery; body and headers where the query has them."""
    columns = row.keys()
    return Delivery(
        delivery_id=row["delivery_id"],
        source=row["source"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        delivery_key=row["delivery_key"],
        event_type=row["event_type"],
        entity_id=row["entity_id"],
        subject=row["subject"],
        received_at=moment(row["received_at"]),
        status=DeliveryStatus(row["status"]),
        reason=row["reason"],
        scheme=row["scheme"],
        secret_index=row["secret_index"],
        replays=row["replays"],
        body_bytes=row["body_bytes"],
        headers=row["headers"] if "headers" in columns else None,
        body=row["body"] if "body" in columns else None,
    )


def job(row: sqlite3.Row) -> Job:
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
        payload=loads(row["payload"]),
        status=JobStatus(row["status"]),
        outcome=row["outcome"],
        reason=row["reason"],
        error=loads(row["error"]),
        attempts=row["attempts"],
        failures=row["failures"],
        fence=row["fence"],
        next_attempt_at=moment_or_none(row["next_attempt_at"]),
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
    )


def attempt(row: sqlite3.Row) -> Attempt:
    """Return an attempt."""
    return Attempt(
        number=row["number"],
        started_at=moment(row["started_at"]),
        finished_at=moment(row["finished_at"]),
        outcome=row["outcome"],
        error=loads(row["error"]),
        exchanges=loads(row["exchanges"]),
        decision=loads(row["decision"]),
        worker=row["worker"],
    )


def mapping(row: sqlite3.Row) -> EntityMapping:
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
        details=loads(row["details"]),
        synced_at=moment_or_none(row["synced_at"]),
        written_back_at=moment_or_none(row["written_back_at"]),
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
    )


def intent(row: sqlite3.Row, *, lost_before: int = 0) -> Intent:
    """Return an intent."""
    return Intent(
        intent_id=row["intent_id"],
        key=MappingKey(
            source=row["source"],
            entity_type=row["entity_type"],
            entity_id=row["entity_id"],
            connection=row["connection"],
        ),
        idempotency_key=row["idempotency_key"],
        epoch=row["epoch"],
        variant=row["variant"],
        attempt=row["attempt"],
        snapshot=loads(row["snapshot"]),
        digest=row["digest"],
        guards=tuple(loads(row["guards"])),
        started_at=moment(row["started_at"]),
        looked_at=moment_or_none(row["looked_at"]),
        refused_at=moment_or_none(row["refused_at"]),
        lost_before=lost_before,
    )


def review(row: sqlite3.Row) -> Review:
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
        candidates=loads(row["candidates"]),
        customer=loads(row["customer"]),
        status=ReviewStatus(row["status"]),
        decision=row["decision"],
        provider_entity_id=row["provider_entity_id"],
        created_at=moment(row["created_at"]),
        resolved_at=moment_or_none(row["resolved_at"]),
        resolved_by=row["resolved_by"],
    )


def source(row: sqlite3.Row, secrets: dict[str, bytes]) -> SourceRow:
    """Return a source with its encrypted secrets."""
    return SourceRow(
        name=row["name"],
        platform=row["platform"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        verification=row["verification"],
        status=row["status"],
        settings=loads(row["settings"]),
        secrets=secrets,
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
    )


def connection(row: sqlite3.Row, secrets: dict[str, bytes]) -> ConnectionRow:
    """Return a connection with its encrypted secrets."""
    return ConnectionRow(
        name=row["name"],
        connector=row["connector"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        status=row["status"],
        pause_reason=row["pause_reason"],
        pause_detail=row["pause_detail"],
        settings=loads(row["settings"]),
        account=loads(row["account"]),
        secrets=secrets,
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
    )


def key(row: sqlite3.Row) -> KeyRow:
    """Return an API key's row."""
    return KeyRow(
        key_id=row["key_id"],
        name=row["name"],
        hash=row["hash"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        role=row["role"],
        created_at=moment(row["created_at"]),
        last_used_at=moment_or_none(row["last_used_at"]),
        revoked_at=moment_or_none(row["revoked_at"]),
    )


def audit_entry(row: sqlite3.Row) -> AuditEntry:
    """Return an audit entry."""
    return AuditEntry(
        audit_id=row["audit_id"],
        at=moment(row["at"]),
        actor=row["actor"],
        tenant_id=row["tenant_id"],
        environment_id=row["environment_id"],
        action=row["action"],
        subject=row["subject"],
        detail=loads(row["detail"]),
    )
