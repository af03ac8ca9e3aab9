"""From rows to channels, alerts, their messages, and the counts that alerts are seen from."""

from collections.abc import Mapping

from storage import scalars
from storage.records import Alert, AlertMessage, AlertStatus, ChannelRow, Counted, MessageStatus
from storage.rows.row import Row


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
