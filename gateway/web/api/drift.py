"""Drift over HTTP: what the daily look at linked records has found."""

from gateway.access import Role
from gateway.operations.drift import DriftDetail, DriftSummary
from gateway.operations.values import Name
from gateway.operations.views import Listed
from gateway.web.api.configured import paged
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import ListQuery
from storage.errors import CursorInvalidError, NotFoundError


@endpoint("GET", "/drift", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_drift(call: Call, *, query: ListQuery) -> Listed[DriftSummary]:
    """List what the last scan of each connection came to, by name."""
    found = await call.operations.drift.list(call.scope)
    return paged(found, lambda each: each.connection, limit=query.limit, cursor=query.cursor)


@endpoint("GET", "/drift/{name}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_drift(call: Call, *, name: Name) -> DriftDetail:
    """Show what the last scan of a connection has found: records that are gone, inactive, renamed or doubled."""
    return await call.operations.drift.get(name, call.scope)


ENDPOINTS = (list_drift, get_drift)
