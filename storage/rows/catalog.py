"""From rows to what is configured, the keys to it, who changed what, and what stops the work of a connection."""

from collections.abc import Mapping
from datetime import timedelta

from storage import scalars
from storage.records import AuditEntry, CircuitRow, ConnectionRow, KeyRow, SourceRow
from storage.rows.row import Row


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
