"""The overview: one sentence, a chart, the backlog, and a light for every source and connection."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from gateway.console.attention import look_for_needs
from gateway.console.chart import draw
from gateway.console.lamps import connection_lamp, source_lamp
from gateway.console.tally import tally
from gateway.console.visit import Visit
from gateway.keys import WORKER
from storage.records import DeliveryStatus, JobStatus, MappingStatus, Scope

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
WAITING_SHOWN = 100


async def show(visit: Visit) -> web.StreamResponse:
    """Show the page; without anything configured, the way to get there."""
    operations, scope = visit.operations, visit.scope
    sources, connections, unconsented = await asyncio.gather(
        operations.sources.list(scope), operations.connections.list(scope), operations.connections.unconsented(scope)
    )
    if not sources and not connections and visit.may("admin"):
        return visit.go("/guide")
    span = visit.asked("span") if visit.asked("span") in SPANS else "24h"
    now = visit.console.now()
    counted = await tally(visit.console.store, scope, now=now, span=SPANS[span])
    live = visit.console.registry.connections
    return await visit.page(
        "overview.html", span=span, spans=list(SPANS), chart=draw(counted), backlog=await _backlog(visit, scope, now),
        sources=[(source, source_lamp(source, now=now)) for source in sources],
        connections=[
            (each, connection_lamp(each, live.get(each["name"]), unconsented=unconsented)) for each in connections
        ],
        worker=_worker(visit), live=await visit.live("overview"),
        unfinished=visit.may("admin") and not await _linked(visit, scope),
    )  # fmt: skip


async def _linked(visit: Visit, scope: Scope) -> bool:
    """Return whether a customer was ever linked: the end of the set-up."""
    return bool((await visit.console.store.list_mappings(scope, status=MappingStatus.LINKED, limit=1)).items)


async def _backlog(visit: Visit, scope: Scope, now: datetime) -> dict[str, Any]:
    """Return what waits in this tenant: how much, and how long the oldest has been due."""
    store = visit.console.store
    waiting = await store.list_jobs(scope, status=JobStatus.PENDING, limit=WAITING_SHOWN)
    running = await store.list_jobs(scope, status=JobStatus.RUNNING, limit=WAITING_SHOWN)
    fresh = await store.list_deliveries(scope, status=DeliveryStatus.PENDING, limit=WAITING_SHOWN)
    oldest = min(waiting.items, key=lambda job: job.created_at, default=None)
    due = [
        job.next_attempt_at for job in waiting.items if job.next_attempt_at is not None and job.next_attempt_at <= now
    ]
    return {
        "waiting": len(waiting.items), "more": waiting.next_cursor is not None, "running": len(running.items),
        "deliveries": len(fresh.items), "more_deliveries": fresh.next_cursor is not None, "oldest": oldest,
        "late": (now - min(due)).total_seconds() if due else 0.0,
    }  # fmt: skip


def _worker(visit: Visit) -> str:
    """Return what to say about the worker of this process; empty when all is well, or when it works elsewhere."""
    worker = visit.request.app.get(WORKER)
    return "" if worker is None or worker.alive else "The worker of this process has stopped: restart the gateway."


async def state(visit: Visit) -> Mapping[str, Any]:
    """Return what makes the overview another one: for the stream."""
    store, scope = visit.console.store, visit.scope
    newest = await store.list_deliveries(scope, limit=1)
    waiting = await store.list_jobs(scope, status=JobStatus.PENDING, limit=WAITING_SHOWN)
    needs = await look_for_needs(store, scope)
    connections = await store.list_connections(scope)
    return {
        "needs": needs.shown if needs.total else "",
        "newest": [(each.delivery_id, str(each.status)) for each in newest.items],
        "waiting": len(waiting.items),
        "connections": [(row.name, row.status) for row in connections],
    }
