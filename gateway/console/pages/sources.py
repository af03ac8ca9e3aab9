"""Sources: the list, one with its URL, secrets and what its door has refused; test, rotation, switch, removal."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.addresses import own_url, public_url
from gateway.console.curl import curl_of
from gateway.console.lamps import source_lamp
from gateway.console.visit import Visit
from gateway.console.words import BAD, GOOD, WARN
from gateway.errors import ConfigFileError, PluginError
from gateway.plugins import source_plugins
from gateway.sources.provider_events import ProviderEvents

MAX_SECRET = 500
OWN_API = "the platform's own"


async def show_list(visit: Visit) -> web.StreamResponse:
    """Show the list."""
    now = visit.console.now()
    found = await visit.operations.sources.list(visit.scope)
    return await visit.page("sources.html", found=[(each, source_lamp(each, now=now)) for each in found])


async def show(visit: Visit) -> web.StreamResponse:
    """Show one source."""
    source = await view_of(visit, visit.part("name"))
    return await visit.page(
        "source.html", source=source, lamp_of=source_lamp(source, now=visit.console.now()), curl=curl_of(source),
        api=_api_of(source),
        public=visit.console.settings.public_url is not None,
    )  # fmt: skip


async def send_test(visit: Visit) -> web.StreamResponse:
    """Post a really signed event to our own door, and tell what became of it."""
    name = visit.part("name")
    told = await visit.operations.sources.send_test(name, visit.scope, url=own_url(visit.request))
    if not told["accepted"]:
        said = f"The door refused the test event: {told['code']}. {told['detail'] or ''}"
        return visit.go(f"/sources/{name}", said, tone=BAD)
    became = told["delivery_status"] or "stored"
    said = f"A signed test event was accepted and is {became}: {told['reason'] or 'as it should be'}."
    return visit.go(f"/deliveries/{told['delivery_id']}", said)


async def rotate(visit: Visit) -> web.StreamResponse:
    """Put a new secret before the others. One that was made here is shown this once."""
    name, form = visit.part("name"), visit.form
    given = form.text("secret")[:MAX_SECRET] or None
    try:
        made = await visit.operations.sources.rotate_secret(
            name, visit.scope, new_secret=given, keep_old=form.ticked("keep_old"), actor=visit.who.actor
        )
    except ConfigFileError as error:
        return visit.go(f"/sources/{name}", f"Nothing was changed: {error.detail}.", tone=BAD)
    await visit.take_up()
    if given is not None:
        return visit.go(f"/sources/{name}", "The new secret is accepted from now on.")
    kept = form.ticked("keep_old")
    others = "what was accepted before is accepted until you drop it" if kept else "no other is accepted"
    return await shown_once(visit, name, made, told=f"Give it to the sender now; {others}.")


async def switch(visit: Visit) -> web.StreamResponse:
    """Disable a source, or let it in again."""
    name, sources = visit.part("name"), visit.operations.sources
    on = visit.form.text("do") == "enable"
    act = sources.enable if on else sources.disable
    await act(name, visit.scope, actor=visit.who.actor)
    await visit.take_up()
    said = "Receiving again." if on else "Disabled: its sender gets 404 from now on. What was stored is worked off."
    return visit.go(f"/sources/{name}", said, tone=GOOD if on else WARN)


async def remove(visit: Visit) -> web.StreamResponse:
    """Remove a source, once its name was typed."""
    name = (await visit.operations.sources.row(visit.part("name"), visit.scope)).name
    if visit.form.text("sure") != name:
        return visit.go(f"/sources/{name}", "Nothing was removed: the name was not typed.", tone=WARN)
    await visit.operations.sources.delete(name, visit.scope, actor=visit.who.actor)
    await visit.take_up()
    return visit.go("/sources", f"{name} is removed; its deliveries, jobs and mappings stay.")


def _api_of(source: Mapping[str, Any]) -> str:
    """Return which API of the platform is read, in words."""
    address = source["api_url"]
    try:
        kind = source_plugins().load(source["platform"])
    except PluginError:
        return address or "not known"
    if issubclass(kind, ProviderEvents):
        return "that of its connection"
    if kind.takes_poll:
        return (source["poll"].get("base_url") or address or OWN_API) if source["poll"] else "not read: polling is off"
    return address or (OWN_API if kind.writes_back else "none")


async def view_of(visit: Visit, name: str) -> dict[str, Any]:
    """Return a source's view, with its whole address."""
    source = await visit.operations.sources.get(name, visit.scope)
    url = str(source["url"])
    return {**source, "url": public_url(visit.request) + url if url.startswith("/") else url}


async def shown_once(visit: Visit, name: str, secret: str, *, told: str) -> web.StreamResponse:
    """Show a secret that was made here; nothing shows it again."""
    return await visit.page(
        "secret.html", heading="A new signing secret", secret=secret, back=f"/sources/{name}", name=name, told=told,
    )  # fmt: skip
