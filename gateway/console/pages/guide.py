"""The first start: four steps from nothing to a customer, each ticked off by what is really there."""

from aiohttp import web

from gateway.console.visit import Visit
from storage.records import MappingStatus


async def show(visit: Visit) -> web.StreamResponse:
    """Show the steps."""
    operations, scope = visit.operations, visit.scope
    sources, connections = await operations.sources.list(scope), await operations.connections.list(scope)
    deliveries = await operations.deliveries.list(scope, limit=1)
    linked = await visit.console.store.list_mappings(scope, status=MappingStatus.LINKED, limit=1)
    return await visit.page(
        "guide.html", sources=sources, connections=connections, heard=bool(deliveries.items), linked=bool(linked.items)
    )
