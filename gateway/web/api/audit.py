"""The audit over HTTP."""

from gateway.access import Role
from gateway.operations.audits import AuditView
from gateway.operations.values import Text
from gateway.operations.views import Listed
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import SpanQuery
from storage.errors import CursorInvalidError


class AuditQuery(SpanQuery):
    """Which changes."""

    subject: Text | None = None
    action: Text | None = None
    actor: Text | None = None


@endpoint("GET", "/audit", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_audit(call: Call, *, query: AuditQuery) -> Listed[AuditView]:
    """List who changed what, newest first."""
    return await call.operations.audits.list(
        call.scope, subject=query.subject, action=query.action, actor=query.actor, since=query.since,
        until=query.until, limit=query.limit, cursor=query.cursor,
    )  # fmt: skip


ENDPOINTS = (list_audit,)
