"""Every address of the console, with the least role that it needs; and how they are added to an application."""

from aiohttp import web

from gateway import keys
from gateway.access import Role
from gateway.console.assets import Assets
from gateway.console.environment import templates
from gateway.console.guard import Route, forbid, guarded
from gateway.console.live import Streams
from gateway.console.pages import (
    alerts,
    audit,
    connection_forms,
    connections,
    customers,
    deliveries,
    errors,
    guide,
    jobs,
    live,
    login,
    needs,
    overview,
    payment_links,
    reviews,
    search,
    settings,
    source_forms,
    sources,
)
from gateway.console.pages import keys as key_pages
from gateway.console.session import Sessions
from gateway.console.visit import CONSOLE, ROOT, TEMPLATES, Console, Visit
from gateway.errors import RouteUnknownError
from gateway.throttle import Throttle

VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN
LOGIN_BURST = 10
LOGINS_PER_SECOND = 0.2


async def _nothing(visit: Visit) -> web.StreamResponse:
    del visit
    raise RouteUnknownError


async def _front(request: web.Request) -> web.Response:
    """Lead who opens the bare address to the console."""
    del request
    return web.Response(status=303, headers={"Location": ROOT})


async def _static(visit: Visit) -> web.StreamResponse:
    return visit.console.assets.serve(visit.part("name"))


ROUTES = (
    Route("GET", "/static/{name}", _static, None),
    Route("GET", "/login", login.show, None),
    Route("POST", "/login", login.log_in, None),
    Route("POST", "/logout", login.log_out),
    Route("POST", "/scope", login.choose_scope),
    Route("GET", "", overview.show),
    Route("GET", "/live", live.stream),
    Route("GET", "/search", search.show),
    Route("GET", "/guide", guide.show),
    Route("GET", "/errors/{code}", errors.show),
    Route("GET", "/needs", needs.show),
    Route("POST", "/needs", needs.act, OPERATOR),
    Route("GET", "/reviews/{review_id}", reviews.show),
    Route("POST", "/reviews/{review_id}", reviews.resolve, OPERATOR),
    Route("GET", "/deliveries", deliveries.show_list),
    Route("POST", "/deliveries/replay", deliveries.replay_many, OPERATOR),
    Route("GET", "/deliveries/{delivery_id}", deliveries.show),
    Route("GET", "/deliveries/{delivery_id}/body", deliveries.download),
    Route("POST", "/deliveries/{delivery_id}/replay", deliveries.replay, OPERATOR),
    Route("GET", "/jobs", jobs.show_list),
    Route("POST", "/jobs/retry", jobs.retry_many, OPERATOR),
    Route("GET", "/jobs/{job_id}", jobs.show),
    Route("GET", "/jobs/{job_id}/attempts/{number}", jobs.show_attempt),
    Route("POST", "/jobs/{job_id}/retry", jobs.retry, OPERATOR),
    Route("POST", "/jobs/{job_id}/cancel", jobs.cancel, OPERATOR),
    Route("POST", "/jobs/{job_id}/payment-link", payment_links.create, OPERATOR),
    Route("GET", "/customers", customers.show_list),
    Route("GET", "/mappings.csv", customers.download),
    Route("GET", "/customers/{customer_id:.+}", customers.show),
    Route("POST", "/customers/{customer_id:.+}", customers.change, OPERATOR),
    Route("GET", "/connections", connections.show_list),
    Route("POST", "/connections", connection_forms.add, ADMIN),
    Route("GET", "/connections/new", connection_forms.choose, ADMIN),
    Route("GET", "/connections/{name}", connections.show),
    Route("GET", "/connections/{name}/edit", connection_forms.show_edit, ADMIN),
    Route("POST", "/connections/{name}/edit", connection_forms.edit, ADMIN),
    Route("POST", "/connections/{name}/test", connections.test, OPERATOR),
    Route("POST", "/connections/{name}/pause", connections.pause, OPERATOR),
    Route("POST", "/connections/{name}/resume", connections.resume, OPERATOR),
    Route("POST", "/connections/{name}/connect", connections.connect, ADMIN),
    Route("POST", "/connections/{name}/remove", connections.remove, ADMIN),
    Route("GET", "/sources", sources.show_list),
    Route("POST", "/sources", source_forms.add, ADMIN),
    Route("GET", "/sources/new", source_forms.choose, ADMIN),
    Route("GET", "/sources/{name}", sources.show),
    Route("GET", "/sources/{name}/edit", source_forms.show_edit, ADMIN),
    Route("POST", "/sources/{name}/edit", source_forms.edit, ADMIN),
    Route("POST", "/sources/{name}/test", sources.send_test, OPERATOR),
    Route("POST", "/sources/{name}/rotate", sources.rotate, ADMIN),
    Route("POST", "/sources/{name}/switch", sources.switch, ADMIN),
    Route("POST", "/sources/{name}/remove", sources.remove, ADMIN),
    Route("GET", "/alerts", alerts.show),
    Route("GET", "/alerts/{alert_id}", alerts.show_one),
    Route("POST", "/channels", alerts.add, ADMIN),
    Route("GET", "/channels/new", alerts.show_form, ADMIN),
    Route("GET", "/channels/{name}", alerts.show_channel),
    Route("POST", "/channels/{name}/test", alerts.test, OPERATOR),
    Route("POST", "/channels/{name}/remove", alerts.remove, ADMIN),
    Route("GET", "/audit", audit.show),
    Route("GET", "/settings", settings.show),
    Route("POST", "/settings/check-up", settings.check_up, ADMIN, everywhere=True),
    Route("GET", "/settings/diagnostics", settings.diagnostics, ADMIN, everywhere=True),
    Route("GET", "/settings/keys", key_pages.show, ADMIN),
    Route("POST", "/settings/keys", key_pages.create, ADMIN),
    Route("POST", "/settings/keys/{key_id}/revoke", key_pages.revoke, ADMIN),
)


def register(app: web.Application) -> None:
    """Add the console to an application that holds its parts by now."""
    store, access, vault, now = app[keys.STORE], app[keys.ACCESS], app[keys.VAULT], app[keys.CLOCK]
    streams = Streams(store)
    app[CONSOLE] = Console(
        settings=app[keys.SETTINGS], store=store, vault=vault, registry=app[keys.REGISTRY], access=access,
        operations=app[keys.OPERATIONS], sessions=Sessions(vault=vault, access=access, store=store, now=now),
        throttle=Throttle(burst=LOGIN_BURST, per_second=LOGINS_PER_SECOND), assets=Assets(), streams=streams, now=now,
    )  # fmt: skip
    app[TEMPLATES] = templates()

    async def stop(_: web.Application) -> None:
        streams.stop()

    app.on_shutdown.append(stop)
    app.on_response_prepare.append(forbid)
    for route in ROUTES:
        handler, path = guarded(route), ROOT + route.path
        if route.method == "GET":
            app.router.add_get(path, handler, allow_head=route.handler is not live.stream)
        else:
            app.router.add_route(route.method, path, handler)
    app.router.add_get("/", _front)
    app.router.add_get(f"{ROOT}/", guarded(Route("GET", "/", overview.show)))
    app.router.add_route("*", ROOT + "/{anything:.*}", guarded(Route("*", "/{anything}", _nothing, None)))
