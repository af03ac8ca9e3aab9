"""Alerts: what needs a person or did, and what was told of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from gateway.operations.acting import Desk
from gateway.operations.views import Listed, Problem, View, listed, problem_view
from storage.errors import NotFoundError
from storage.records import EVERYWHERE, Alert, AlertMessage, AlertStatus, MessageStatus, Scope

_PAGE = 200


class AlertView(View):
    """Something that needs a person, or did."""

    alert_id: str
    kind: str = Field(description="`connection_paused`, `dead_letter`, …: docs/alerts.md lists them.")
    tenant_id: str
    environment_id: str
    subject: str | None = Field(description="The connection or source that it is about.")
    status: AlertStatus
    count: int = Field(description="How many there are at the moment.")
    facts: dict[str, Any] = Field(description="Reasons and counts, by kind.")
    opened_at: datetime
    told_at: datetime | None = Field(description="When it was last told; null while nobody hears of it.")
    closed_at: datetime | None


class MessageView(View):
    """One telling of an alert, through one channel."""

    message_id: str = Field(description="The `webhook-id` and the Message-ID, the same in every try.")
    alert_id: str
    channel: str
    kind: str
    event: str = Field(description="`opened`, `repeated` or `closed`.")
    title: str
    status: MessageStatus
    attempts: int
    error: Problem | None = Field(description="Why the last try has failed.")
    created_at: datetime
    next_attempt_at: datetime | None
    ended_at: datetime | None


class AlertDetail(AlertView):
    """An alert with what was told of it, newest first."""

    messages: Sequence[MessageView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts(Desk):
    """The use-cases of alerts."""

    async def list(
        self,
        scope: Scope = EVERYWHERE,
        *,
        status: AlertStatus | None = None,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Listed[AlertView]:
        """Return alerts, the one that opened last first. Raises CursorInvalidError."""
        return listed(
            await self.store.list_alerts(scope, limit=limit, cursor=cursor, status=status, kind=kind), alert_view
        )

    async def get(self, alert_id: str, scope: Scope = EVERYWHERE) -> AlertDetail:
        """Return an alert with what was told of it. Raises NotFoundError, also when it has opened anew since."""
        cursor: str | None = None
        while True:
            page = await self.store.list_alerts(scope, limit=_PAGE, cursor=cursor)
            found = next((alert for alert in page.items if alert.alert_id == alert_id), None)
            if found is not None:
                messages = await self.store.list_alert_messages(scope, alert_id=alert_id, limit=_PAGE)
                return AlertDetail(**_shown(found), messages=[message_view(each) for each in messages.items])
            cursor = page.next_cursor
            if cursor is None:
                raise NotFoundError


def alert_view(alert: Alert) -> AlertView:
    """Return an alert as it is shown."""
    return AlertView(**_shown(alert))


def message_view(message: AlertMessage) -> MessageView:
    """Return a message as it is shown."""
    shown = {name: getattr(message, name) for name in MessageView.model_fields if name not in ("title", "error")}
    return MessageView(**shown, title=message.content["title"], error=problem_view(message.error))


def _shown(alert: Alert) -> dict[str, Any]:
    shown = {name: getattr(alert, name) for name in AlertView.model_fields}
    return {**shown, "subject": alert.subject or None}
