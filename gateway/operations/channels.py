"""Channels: where alerts are told; shown without their secrets, put, tested, removed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from gateway.alerts.sending import Carrier
from gateway.alerts.wording import rfc3339
from gateway.configuration.channels import ChannelSpec
from gateway.configuration.service import Configuration
from gateway.operations.alerts import MessageView, message_view
from gateway.operations.sources import require_scope
from gateway.operations.views import Problem, View, problem_view
from storage import Store
from storage.errors import NotFoundError
from storage.ids import new_id
from storage.records import EVERYWHERE, AlertMessage, ChannelRow, Scope

LATEST = 20


class ChannelView(View):
    """A channel and how it has fared. Of a URL only the origin is shown."""

    name: str
    kind: str = Field(description="`webhook` or `email`.")
    tenant_id: str | None = Field(description="Null for one that hears of every tenant.")
    environment_id: str | None
    host: str | None = Field(description="Scheme and host of the URL.")
    to: Sequence[str] = Field(description="E-mail addresses.")
    secrets: int = Field(description="How many secrets sign each message.")
    kinds: Sequence[str] = Field(description="Which alerts it hears of.")
    last_sent_at: datetime | None
    pending: int = Field(description="Messages that wait to be sent.")
    failed: int = Field(description="Messages that were given up within the last 30 days.")
    last_error: Problem | None = Field(description="Why the newest message in trouble was not taken.")
    created_at: datetime
    updated_at: datetime


class ChannelDetail(ChannelView):
    """A channel with its last messages, newest first."""

    messages: Sequence[MessageView]


class ChannelChange(ChannelView):
    """A channel that was put."""

    change: str = Field(description="`created`, `updated` or `unchanged`.")
    fields: Sequence[str] = Field(description="What differs.")


class ChannelTested(View):
    """A test message that was taken."""

    channel: str
    message_id: str
    sent_at: datetime


class Channels:
    """The configured channels."""

    def __init__(
        self,
        store: Store,
        configuration: Configuration,
        carrier: Carrier,
        now: Callable[[], datetime],
        *,
        public_url: str | None,
    ) -> None:
        self._store, self._configuration, self._carrier, self._now = store, configuration, carrier, now
        self._public_url = public_url

    async def list(self, scope: Scope = EVERYWHERE) -> list[ChannelView]:
        """Return the channels of the scope, by name; those that hear of every tenant are in none but everywhere."""
        return [ChannelView(**await self._shown(row)) for row in await self._store.list_channels(scope)]

    async def get(self, name: str, scope: Scope = EVERYWHERE) -> ChannelDetail:
        """Return a channel with its last messages. Raises NotFoundError."""
        row = await self.row(name, scope)
        page = await self._store.list_alert_messages(channel=name, limit=LATEST)
        return ChannelDetail(**await self._shown(row), messages=[message_view(each) for each in page.items])

    async def put(self, spec: ChannelSpec, *, actor: str, scope: Scope = EVERYWHERE) -> ChannelChange:
        """Upsert a channel. Raises ConfigFileError, and ForbiddenError for another's tenant or environment."""
        if spec.all_tenants:
            require_scope(scope, "", "")
        else:
            require_scope(scope, spec.tenant_id, spec.environment_id)
        change = await self._configuration.put_channel(spec, actor=actor)
        shown = await self._shown(await self.row(spec.name, EVERYWHERE))
        return ChannelChange(**shown, change=change.change, fields=list(change.fields))

    async def delete(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> None:
        """Remove a channel; what waited for it is not sent any more. Raises NotFoundError."""
        row = await self.row(name, scope)
        await self._store.delete_channel(name, scope)
        await self._audit(actor, "channel.deleted", row)

    async def test(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> ChannelTested:
        """Send a harmless message now. Raises NotFoundError, AlertNotDeliveredError and what else keeps it back."""
        row, now = await self.row(name, scope), self._now()
        tenant, environment = row.tenant_id or "default", row.environment_id or "prod"
        url = f"{self._public_url}/console/alerts" if self._public_url else None
        content = {
            "alert_id": "alr_test", "kind": "test", "status": "closed", "tenant_id": tenant,
            "environment_id": environment, "subject": name, "count": 1, "title": "This is a test",
            "text": f"Channel {name} works: nothing needs a person because of this message.", "url": url, "facts": {},
            "opened_at": rfc3339(now), "closed_at": rfc3339(now),
        }  # fmt: skip
        message = AlertMessage(
            message_id=new_id("msg", now), alert_id="alr_test", channel=name, tenant_id=tenant,
            environment_id=environment, kind="test", event="test", content=content, created_at=now,
            next_attempt_at=None,
        )  # fmt: skip
        await self._audit(actor, "channel.tested", row)
        await self._carrier.bring(message, row)
        return ChannelTested(channel=name, message_id=message.message_id, sent_at=self._now())

    async def row(self, name: str, scope: Scope = EVERYWHERE) -> ChannelRow:
        """Return a channel's row. Raises NotFoundError."""
        for row in await self._store.list_channels(scope):
            if row.name == name:
                return row
        msg = f"there is no channel {name!r}"
        raise NotFoundError(msg)

    async def _shown(self, row: ChannelRow) -> dict[str, Any]:
        fared = await self._store.channel_activity(row.name)
        return {
            "name": row.name, "kind": row.kind, "tenant_id": row.tenant_id, "environment_id": row.environment_id,
            "host": row.settings.get("host"), "to": row.settings.get("to", []), "kinds": row.settings["kinds"],
            "secrets": sum(name.startswith("secrets.") for name in row.secrets), "last_sent_at": fared.last_sent_at,
            "pending": fared.pending, "failed": fared.failed, "last_error": problem_view(fared.last_error),
            "created_at": row.created_at, "updated_at": row.updated_at,
        }  # fmt: skip

    async def _audit(self, actor: str, action: str, row: ChannelRow) -> None:
        scope = Scope(tenant_id=row.tenant_id, environment_id=row.environment_id)
        await self._store.add_audit(actor=actor, action=action, subject=row.name, scope=scope, now=self._now())
