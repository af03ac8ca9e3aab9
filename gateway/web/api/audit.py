"""The audit over HTTP."""

from pydantic import Field

from gateway.access import Role
from gateway.operations.audits import AuditView
from gateway.operations.values import Text
from gateway.operations.views import Listed
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import SpanQuery
from storage.errors import CursorInvalidError


class AuditQuery(SpanQuery):
    """Which changes."""

    subject: Text | None = Field(None, description="What was changed: a whole name or id.")
    action: Text | None = Field(None, description="Such as `review.resolved`.")
    actor: Text | None = Field(None, description="`admin`, `key:NAME`, `cli`, …")


@endpoint("GET", "/audit", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_audit(call: Call, *, query: AuditQuery) -> Listed[AuditView]:
    """List who changed what, newest first."""
    return await call.operations.audits.list(
        call.scope, subject=query.subject, action=query.action, actor=query.actor, since=query.since,
        until=query.until, limit=query.limit, cursor=query.cursor,
    )  # fmt: skip


ENDPOINTS = (list_audit,)
