"""One search over all ids and names: deliveries, jobs, customers, decisions, sources and connections."""

from aiohttp import web

from gateway.console.visit import Visit
from gateway.operations.deliveries import DeliveryFilter
from gateway.operations.jobs import JobFilter
from storage.errors import NotFoundError

LIMIT = 10
MAX_TEXT = 255


async def show(visit: Visit) -> web.StreamResponse:
    """Show what was found; a whole id of ours leads straight to its page."""
    text = visit.asked("q")[:MAX_TEXT]
    if not text:
        return await visit.page("search.html", text="", deliveries=None, jobs=None, customers=None, places=[])
    straight = await _straight(visit, text)
    if straight:
        return visit.go(straight)
    operations, scope = visit.operations, visit.scope
    low = text.lower()
    sources = [row.name for row in await visit.console.store.list_sources(scope) if low in row.name]
    connections = [row.name for row in await visit.console.store.list_connections(scope) if low in row.name]
    return await visit.page(
        "search.html", text=text,
        deliveries=await operations.deliveries.list(scope, DeliveryFilter(text=text), limit=LIMIT),
        jobs=await operations.jobs.list(scope, JobFilter(text=text), limit=LIMIT),
        customers=await operations.customers.list(scope, text=text, limit=LIMIT),
        places=[("sources", name) for name in sources] + [("connections", name) for name in connections],
    )  # fmt: skip


async def _straight(visit: Visit, text: str) -> str:
    """Return the page of what has exactly this id, empty when nothing has."""
    operations, scope = visit.operations, visit.scope
    try:
        if text.startswith("dlv_"):
            return f"/deliveries/{(await operations.deliveries.get(text, scope)).delivery_id}"
        if text.startswith("job_"):
            return f"/jobs/{(await operations.jobs.get(text, scope)).job_id}"
        if text.startswith("rev_"):
            return f"/reviews/{(await operations.reviews.get(text, scope)).review_id}"
    except NotFoundError:
        return ""
    return ""
