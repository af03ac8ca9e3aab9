"""Alerts over HTTP: what needs a person or did, and what was told of it."""

from gateway.access import Role
from gateway.configuration.channels import AlertKind
from gateway.operations.alerts import AlertDetail, AlertView
from gateway.operations.values import EntityId
from gateway.operations.views import Listed
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import ListQuery
from storage.errors import CursorInvalidError, NotFoundError
from storage.records import AlertStatus


class AlertsQuery(ListQuery):
    """Which alerts."""

    status: AlertStatus | None = None
    kind: AlertKind | None = None


@endpoint("GET", "/alerts", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_alerts(call: Call, *, query: AlertsQuery) -> Listed[AlertView]:
    """List alerts, the one that opened last first."""
    return await call.operations.alerts.list(
        call.scope, status=query.status, kind=query.kind, limit=query.limit, cursor=query.cursor
    )


@endpoint("GET", "/alerts/{alert_id}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_alert(call: Call, *, alert_id: EntityId) -> AlertDetail:
    """Show an alert, with what was told of it."""
    return await call.operations.alerts.get(alert_id, call.scope)


ENDPOINTS = (list_alerts, get_alert)
