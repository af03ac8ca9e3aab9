"""What needs a person: the facts that it is seen from, the alerts, the channels, the messages on their way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage.records.shared import Json


class AlertStatus(StrEnum):
    """Whether what an alert is about still holds."""

    OPEN = "open"
    CLOSED = "closed"


class MessageStatus(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """So many of one kind in one tenant and environment, and when the last of them came."""

    tenant_id: str
    environment_id: str
    label: str
    """An error code, or the kind of a review."""
    count: int
    newest_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What in the whole installation may need a person, seen at one moment."""

    failed: Sequence[Counted]
    """Dead letters, by error code."""
    reviews: Sequence[Counted]
    """Open reviews, by kind."""
    oldest_due: Mapping[str, datetime]
    """For each gate with jobs that are due: since when the oldest is."""
    oldest_undispatched: tuple[str, datetime] | None
    """The source of the delivery that waits longest to be looked at, and since when it does."""
    refused: Sequence[tuple[str, str, int]]
    """Source, reason, and how many of the refused requests that are kept came after the moment asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that needs a person, or did. There is one for each kind, tenant, environment and subject.

    `alert_id` is another whenever it opens again. Version 0 says that it is not stored yet.
    """

    kind: str
    tenant_id: str
    environment_id: str
    subject: str
    """The name of a connection or source; empty for what is of the whole environment."""
    alert_id: str
    status: AlertStatus
    count: int
    facts: Json
    newest_at: datetime | None
    opened_at: datetime
    told_at: datetime | None
    """When it was last told; None before the first time."""
    told_count: int
    closed_at: datetime | None = None
    version: int = 0

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what tells one alert from another, however often it opens."""
        return self.kind, self.tenant_id, self.environment_id, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """Where alerts are told. Without tenant and environment it hears of all. Secrets lie encrypted in `secrets`."""

    name: str
    kind: str
    """`webhook` or `email`."""
    tenant_id: str | None
    environment_id: str | None
    settings: Json
    secrets: Mapping[str, bytes] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """One telling of an alert through one channel. Its id stays the same in every try."""

    message_id: str
    alert_id: str
    channel: str
    tenant_id: str
    environment_id: str
    kind: str
    event: str
    """`opened`, `repeated` or `closed`."""
    content: Json
    status: MessageStatus = MessageStatus.PENDING
    attempts: int = 0
    error: Json = None
    created_at: datetime
    next_attempt_at: datetime | None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert as it is from now on, and what is told of it: written together, or not when somebody was faster."""

    alert: Alert
    messages: Sequence[AlertMessage] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelActivity:
    """How a channel has fared."""

    last_sent_at: datetime | None
    pending: int
    failed: int
    """Messages that were given up, of those that are kept."""
    last_error: Json
    """Why the newest message in trouble was not taken; None when there is none, or when a later one was taken."""
