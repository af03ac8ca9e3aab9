"""Deliveries over HTTP."""

from aiohttp import web
from pydantic import Field

from gateway.access import Role
from gateway.errors import BodyGoneError
from gateway.operations.deliveries import DeliveryDetail, DeliveryFilter, DeliveryView
from gateway.operations.values import EntityId, Name, Text
from gateway.operations.views import Bulk, Listed
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given, Moment, TimedQuery, require_choice
from storage.errors import ConflictError, CursorInvalidError, NotFoundError
from storage.records import DeliveryStatus

BYTES = "application/octet-stream"


class DeliveriesQuery(TimedQuery):
    """Which deliveries."""

    source: Name | None = Field(None, description="The source that received it.")
    status: DeliveryStatus | None = Field(None, description="What became of it.")
    event_type: Text | None = Field(None, description="In the platform's own word, whole.")
    connection: Name | None = Field(None, description="Where one of its jobs went.")
    error_code: Text | None = Field(None, description="The last error of one of its jobs.")


class ReplayMany(Given):
    """Which deliveries to replay; those that have failed, unless `status` names others."""

    source: Name | None = None
    status: DeliveryStatus | None = None
    event_type: Text | None = None
    connection: Name | None = None
    error_code: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    text: Text | None = None
    all: bool = Field(default=False, description="Must be true where nothing is filtered.")
    dry_run: bool = Field(default=False, description="Only count.")


@endpoint("GET", "/deliveries", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_deliveries(call: Call, *, query: DeliveriesQuery) -> Listed[DeliveryView]:
    """List deliveries, newest first."""
    return await call.operations.deliveries.list(call.scope, _chosen(query), limit=query.limit, cursor=query.cursor)


@endpoint("GET", "/deliveries/{delivery_id}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_delivery(call: Call, *, delivery_id: EntityId) -> DeliveryDetail:
    """Show a delivery with its jobs."""
    return await call.operations.deliveries.get(delivery_id, call.scope)


@endpoint(
    "GET", "/deliveries/{delivery_id}/body", role=Role.VIEWER, problems=(NotFoundError, BodyGoneError),
    produces=(BYTES,),
)  # fmt: skip
async def get_delivery_body(call: Call, *, delivery_id: EntityId) -> web.Response:
    """Download a delivery's body, byte for byte as it came.

    It was written by somebody else: treat it as data, whatever it looks like.
    """
    body = await call.operations.deliveries.body(delivery_id, call.scope)
    headers = {
        "Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{delivery_id}.bin"',
        "X-Content-Type-Options": "nosniff",
    }  # fmt: skip
    return web.Response(body=body, content_type=BYTES, headers=headers)


@endpoint(
    "POST", "/deliveries/{delivery_id}/replay", role=Role.OPERATOR, status=202, problems=(NotFoundError, ConflictError)
)
async def replay_delivery(call: Call, *, delivery_id: EntityId) -> DeliveryDetail:
    """Dispatch a delivery again.

    Past the check for repeats and on purpose: a customer that is linked already stays linked to the same record.
    """
    return await call.operations.deliveries.replay(delivery_id, call.scope, actor=call.actor)


@endpoint("POST", "/deliveries/replay", role=Role.OPERATOR, status=202)
async def replay_deliveries(call: Call, *, body: ReplayMany) -> Bulk:
    """Replay the deliveries of a filter, or count them."""
    chosen = _chosen(body)
    require_choice(is_empty=chosen.is_empty, everything=body.all)
    return await call.operations.deliveries.replay_many(chosen, call.scope, actor=call.actor, dry_run=body.dry_run)


def _chosen(given: DeliveriesQuery | ReplayMany) -> DeliveryFilter:
    return DeliveryFilter(
        source=given.source, status=given.status, event_type=given.event_type, connection=given.connection,
        error_code=given.error_code, since=given.since, until=given.until, text=given.text,
    )  # fmt: skip


ENDPOINTS = (list_deliveries, get_delivery, get_delivery_body, replay_delivery, replay_deliveries)
