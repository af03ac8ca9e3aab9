"""Deliveries: the list with its filters, one with its way through the gateway, its body, and replay."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from gateway.console.filters import PERIODS, TIMES, options_of, times_of
from gateway.console.timeline import way_of
from gateway.console.visit import Visit
from gateway.console.words import WARN, delivery_said
from gateway.operations.deliveries import DeliveryDetail, DeliveryFilter, shown_headers
from gateway.operations.jobs import JobDetail
from storage.errors import NotFoundError
from storage.records import DeliveryStatus

LIMIT = 50
NEWS = 100
MAX_PRETTY = 512 * 1024
MAX_SHOWN = 256 * 1024
MAX_JOBS = 20
FIELDS = ("q", "source", "status", "event_type", "connection", "error_code", *TIMES)


async def show_list(visit: Visit) -> web.StreamResponse:
    """Show the list; every filter is in the address."""
    chosen = _chosen({name: visit.asked(name) for name in FIELDS}, visit)
    cursor = visit.asked("cursor") or None
    found = await visit.operations.deliveries.list(visit.scope, chosen, limit=LIMIT, cursor=cursor)
    asked = {name: visit.asked(name) for name in FIELDS if visit.asked(name)}
    live = "" if cursor else await visit.live("deliveries", **asked, after=_first(found.items))
    return await visit.page(
        "deliveries.html", found=found, names=await visit.names(each.entity_id for each in found.items),
        asked=asked, periods=PERIODS, live=live,
        statuses=[(str(each), delivery_said(each).word) for each in DeliveryStatus],
        sources=options_of(row.name for row in await visit.console.store.list_sources(visit.scope)),
        connections=options_of(row.name for row in await visit.console.store.list_connections(visit.scope)),
    )  # fmt: skip


async def show(visit: Visit) -> web.StreamResponse:
    """Show one delivery."""
    delivery = await visit.operations.deliveries.get(visit.part("delivery_id"), visit.scope)
    jobs = await _jobs(visit, delivery)
    body = await visit.operations.deliveries.body(delivery.delivery_id, visit.scope) if delivery.body_kept else None
    view = "raw" if visit.asked("view") == "raw" else "pretty"
    return await visit.page(
        "delivery.html", delivery=delivery, names=await visit.names([delivery.entity_id]),
        jobs=jobs, way=way_of(delivery, jobs), view=view, body=_shown(body, view),
        cut=body is not None and len(body) > MAX_SHOWN, headers=shown_headers(delivery.headers),
        live=await visit.live("delivery", id=delivery.delivery_id),
    )  # fmt: skip


async def download(visit: Visit) -> web.StreamResponse:
    """Return the body, byte for byte, as a file."""
    delivery_id = visit.part("delivery_id")
    body = await visit.operations.deliveries.body(delivery_id, visit.scope)
    return web.Response(
        body=body, content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{delivery_id}.bin"'},
    )  # fmt: skip


async def replay(visit: Visit) -> web.StreamResponse:
    """Dispatch one delivery again."""
    delivery_id = visit.part("delivery_id")
    await visit.operations.deliveries.replay(delivery_id, visit.scope, actor=visit.who.actor)
    return visit.go(f"/deliveries/{delivery_id}", "It is dispatched again; its earlier jobs stay.")


async def replay_many(visit: Visit) -> web.StreamResponse:
    """Replay all failed deliveries of a filter: counted first, done when that was confirmed."""
    asked = {name: visit.form.text(name) for name in FIELDS if visit.form.text(name)}
    chosen = _chosen(asked, visit)
    sure = visit.form.ticked("sure")
    done = await visit.operations.deliveries.replay_many(chosen, visit.scope, actor=visit.who.actor, dry_run=not sure)
    if not sure:
        return await visit.page("delivery_replay.html", counted=done, asked=asked)
    more = " There are more: repeat it." if done.more else ""
    skipped = f", {done.skipped} changed meanwhile and were left alone" if done.skipped else ""
    return visit.go(
        "/deliveries", f"{done.changed} dispatched again{skipped}.{more}", tone=WARN if done.more else "good"
    )


# For the stream ------------------------------------------------------------------------------------------------------


async def list_state(visit: Visit) -> Mapping[str, Any]:
    """Return how many deliveries of the page's filter came after the one that the page begins with."""
    chosen = _chosen({name: visit.asked(name) for name in FIELDS}, visit)
    found = await visit.operations.deliveries.list(visit.scope, chosen, limit=NEWS)
    return {"new": news([each.delivery_id for each in found.items], visit.asked("after"))}


async def one_state(visit: Visit) -> Mapping[str, Any]:
    """Return what makes one delivery's page another one."""
    found = await visit.operations.deliveries.get(visit.asked("id"), visit.scope)
    jobs = [(job.job_id, str(job.status), job.attempts) for job in found.jobs]
    return {"status": str(found.status), "replays": found.replays, "jobs": jobs}


def news(ids: list[str], after: str) -> int:
    """Return how many ids of a list stand before the one that was first when the page was made."""
    return ids.index(after) if after in ids else len(ids)


# -------------------------------------------------------------------------------------------------------------------


def _first(items: Any) -> str:
    return items[0].delivery_id if items else ""


def _chosen(asked: Mapping[str, str], visit: Visit) -> DeliveryFilter:
    status = asked.get("status", "")
    return DeliveryFilter(
        source=asked.get("source") or None, event_type=asked.get("event_type") or None, text=asked.get("q") or None,
        status=DeliveryStatus(status) if status in list(DeliveryStatus) else None,
        connection=asked.get("connection") or None, error_code=asked.get("error_code") or None,
        **times_of(asked, now=visit.console.now()),
    )  # fmt: skip


async def _jobs(visit: Visit, delivery: DeliveryDetail) -> list[JobDetail]:
    """Return the delivery's jobs with their attempts, oldest first."""
    newest = list(delivery.jobs)[:MAX_JOBS]
    found = await asyncio.gather(
        *(visit.operations.jobs.get(job.job_id, visit.scope) for job in newest), return_exceptions=True
    )
    jobs = []
    for each in found:
        if isinstance(each, JobDetail):
            jobs.append(each)
        elif not isinstance(each, NotFoundError):
            raise each
    return sorted(jobs, key=lambda job: (job.created_at, job.job_id))


def _shown(body: bytes | None, view: str) -> str:
    if body is None:
        return ""
    if view == "pretty" and len(body) <= MAX_PRETTY:
        try:
            return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()[:MAX_SHOWN]
        except orjson.JSONDecodeError:
            pass
    return body[:MAX_SHOWN].decode("utf-8", "backslashreplace")
