"""Alerts: what needs a person, where it is told, and the messages on their way."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from storage.records import (
    EVERYWHERE,
    Alert,
    AlertChange,
    AlertMessage,
    AlertStatus,
    Attention,
    ChannelActivity,
    ChannelRow,
    Json,
    MessageStatus,
    Page,
    Scope,
)


class AlertStore(Protocol):
    """Alerts, channels and messages."""

    async def attention(self, *, now: datetime, refused_since: datetime) -> Attention:
        """Return what may need a person: dead letters, reviews, work overdue by `now`, signatures refused of late.

        Jobs of connections that are not active are not overdue: they wait by intent.
        """
        ...

    async def list_alerts(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: AlertStatus | None = None,
        kind: str | None = None,
    ) -> Page[Alert]:
        """Return alerts, the one that opened last first."""
        ...

    async def write_alerts(self, changes: Sequence[AlertChange], *, now: datetime, forget_before: datetime) -> int:
        """Write alerts and queue what is told of them, in one transaction; return how many alerts were written.

        A change whose alert has another version by now is left out with its messages: another process was faster. What
        waits for one channel is bounded (storage/limits.py): of more, nothing is queued. Nor is a
        `repeated` message where another about the same alert still waits for the channel. Closed alerts and ended
        messages that are older than `forget_before` are forgotten.
        """
        ...

    async def due_alert_messages(self, *, now: datetime, limit: int) -> Sequence[AlertMessage]:
        """Return messages whose next try is due, the longest due first; of one alert and channel only the first."""
        ...

    async def settle_alert_message(
        self,
        message_id: str,
        *,
        attempts: int,
        status: MessageStatus,
        next_attempt_at: datetime | None,
        error: Json,
        now: datetime,
    ) -> bool:
        """Write how the try after `attempts` earlier ones went; return False when it was written by somebody before."""
        ...

    async def list_alert_messages(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        channel: str | None = None,
        alert_id: str | None = None,
        status: MessageStatus | None = None,
    ) -> Page[AlertMessage]:
        """Return messages, newest first."""
        ...

    async def list_channels(self, scope: Scope = EVERYWHERE) -> Sequence[ChannelRow]:
        """Return all channels, by name. One that hears of every tenant belongs to no tenant's scope."""
        ...

    async def put_channel(self, channel: ChannelRow) -> None:
        """Insert or replace a channel with its secrets."""
        ...

    async def delete_channel(self, name: str, scope: Scope = EVERYWHERE) -> None:
        """Remove a channel, its secrets and its messages. Raises NotFoundError."""
        ...

    async def channel_activity(self, channel: str) -> ChannelActivity:
        """Return how a channel has fared."""
        ...
