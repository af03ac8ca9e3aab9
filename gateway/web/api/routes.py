"""All routes of the API, and how they are added to an application."""

from aiohttp import web

from gateway.throttle import Throttle
from gateway.web.api import (
    access_keys,
    alerts,
    audit,
    channels,
    connections,
    customers,
    deliveries,
    drift,
    jobs,
    mappings,
    payment_links,
    reviews,
    sources,
)
from gateway.web.api.description import OPENAPI_PATH, Description
from gateway.web.api.endpoint import Endpoint
from gateway.web.authentication import THROTTLE

NOUNS = {
    "deliveries": deliveries.ENDPOINTS,
    "jobs": jobs.ENDPOINTS,
    "mappings": mappings.ENDPOINTS,
    "reviews": reviews.ENDPOINTS,
    "customers": customers.ENDPOINTS,
    "payment-links": payment_links.ENDPOINTS,
    "sources": sources.ENDPOINTS,
    "connections": connections.ENDPOINTS,
    "drift": drift.ENDPOINTS,
    "alerts": alerts.ENDPOINTS,
    "channels": channels.ENDPOINTS,
    "keys": access_keys.ENDPOINTS,
    "audit": audit.ENDPOINTS,
}


def endpoints() -> list[Endpoint]:
    """Return every endpoint."""
    return [each for noun in NOUNS.values() for each in noun]


def register(app: web.Application, *, throttle: Throttle | None = None) -> None:
    """Add the API, its description and the page that shows it."""
    app[THROTTLE] = throttle or Throttle()
    for each in endpoints():
        app.router.add_route(each.method, each.path, each.answer)
        if each.method == "GET":
            app.router.add_route("HEAD", each.path, each.answer)
    description = Description(NOUNS)
    app.router.add_get(OPENAPI_PATH, description.document)
    app.router.add_get("/docs", description.page)
