"""The audit: who changed what, and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from gateway.operations.acting import Desk
from gateway.operations.views import Listed, View, listed
from storage.records import EVERYWHERE, AuditEntry, Scope


class AuditView(View):
    """One change."""

    audit_id: int
    at: datetime
    actor: str = Field(description="`admin`, `key:NAME`, `cli`, …")
    tenant_id: str | None
    environment_id: str | None
    action: str = Field(description="Such as `review.resolved`.")
    subject: str = Field(description="What was changed: a name or an id.")
    detail: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audits(Desk):
    """The use-case of the audit."""

    async def list(
        self,
        scope: Scope = EVERYWHERE,
        *,
        subject: str | None = None,
        action: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Listed[AuditView]:
        """Return changes, newest first. Raises CursorInvalidError."""
        page = await self.store.list_audit(
            scope, limit=limit, cursor=cursor, subject=subject, action=action, actor=actor, since=since, until=until
        )
        return listed(page, audit_view)


def audit_view(entry: AuditEntry) -> AuditView:
    """Return an entry as it is shown."""
    return AuditView(**{name: getattr(entry, name) for name in AuditView.model_fields})
