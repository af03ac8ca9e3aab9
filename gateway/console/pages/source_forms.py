"""Adding a source and changing one: the platform first, then what it needs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from gateway.configuration.specs import problem_line
from gateway.console.config_form import Field, fields_of, filled_in, settings_from
from gateway.console.pages.sources import shown_once, view_of
from gateway.console.visit import Visit
from gateway.errors import AlreadyExistsError, ConfigFileError, GatewayError, PluginError, problem, status_of
from gateway.plugins import connector_plugins, source_plugins
from gateway.sources.base import PollConfig, Verification, fresh_secret
from gateway.sources.provider_events import ProviderEvents
from storage.errors import StorageError
from storage.records import EVERYWHERE

OPTIONS, POLL = "options.", "poll."
FIELDS = ("name", "tenant_id", "environment_id", "verification", "header", "api_url")
MAX_VALUE = 2000


async def choose(visit: Visit) -> web.StreamResponse:
    """Show which platforms there are, or the form of the one that was chosen."""
    platform = visit.asked("platform")
    if platform:
        return await _form(visit, platform, given=_blank(visit, source_plugins().load(platform).proves_by))
    plugins, offered = source_plugins(), []
    for name in plugins.names():
        try:
            kind = plugins.load(name)
            offered.append((name, kind.title, kind.sends, ""))
        except PluginError as error:
            offered.append((name, name, "", error.detail))
    return await visit.page("source_choose.html", offered=offered)


async def add(visit: Visit) -> web.StreamResponse:
    """Add a source. Without a secret given one is made, and shown this once."""
    platform, form = visit.form.text("platform"), visit.form
    given = {**_blank(visit, Verification.STANDARD_WEBHOOKS), **_given(visit)}
    try:
        known = await visit.operations.sources.list(EVERYWHERE)
        if any(each["name"] == given["name"] for each in known):
            raise AlreadyExistsError(f"there is a source {given['name']} already; choose another name")
        secret = form.text("secret")[:MAX_VALUE]
        made = "" if secret else fresh_secret(Verification(given["verification"]))
        await _save(visit, platform, {**given, "secrets": [secret or made]})
    except (GatewayError, StorageError, ValueError) as error:
        return await _form(visit, platform, given=given, error=_told(error))
    if made:
        url = (await view_of(visit, given["name"]))["url"]
        return await shown_once(visit, given["name"], made, told=f"Give it to the sender now, with the address {url}.")
    return visit.go(f"/sources/{given['name']}", "Created. Give its URL to the sender, or send a test event.")


async def show_edit(visit: Visit) -> web.StreamResponse:
    """Show the form of a stored source; its secrets are changed by rotating them."""
    source = await visit.operations.sources.get(visit.part("name"), visit.scope)
    return await _form(visit, source["platform"], given=source, stored=source)


async def edit(visit: Visit) -> web.StreamResponse:
    """Change a stored source."""
    source = await visit.operations.sources.get(visit.part("name"), visit.scope)
    given = {**source, **_given(visit), **{name: source[name] for name in ("name", "tenant_id", "environment_id")}}
    try:
        await _save(visit, source["platform"], {name: given.get(name) for name in FIELDS})
    except (GatewayError, StorageError, ValueError) as error:
        return await _form(visit, source["platform"], given=given, stored=source, error=_told(error))
    return visit.go(f"/sources/{source['name']}", "Saved.")


async def _save(visit: Visit, platform: str, given: dict[str, Any]) -> None:
    kind, form = source_plugins().load(platform), visit.form
    raw = {name: value for name, value in given.items() if name in (*FIELDS, "secrets")}
    raw |= {
        "platform": platform, "options": settings_from(kind.options_model, OPTIONS, form),
        "header": (given.get("header") or None) if given["verification"] == Verification.STATIC_HEADER else None,
        "api_url": given.get("api_url") or None,
    }  # fmt: skip
    if form.text("api_key"):
        raw["api_key"] = form.text("api_key")[:MAX_VALUE]
    if kind.takes_poll and form.ticked("poll"):
        raw["poll"] = settings_from(PollConfig, POLL, form)
    spec = await visit.operations.editing.source(raw, visit.scope)
    await visit.operations.sources.put(spec, actor=visit.who.actor, scope=visit.scope)
    await visit.take_up()


async def _form(
    visit: Visit,
    platform: str,
    *,
    given: dict[str, Any],
    stored: dict[str, Any] | None = None,
    error: Exception | None = None,
) -> web.Response:
    kind = source_plugins().load(platform)
    polled = (stored or {}).get("poll") or {}
    options = fields_of(kind.options_model, OPTIONS, values=(stored or {}).get("options"))
    if issubclass(kind, ProviderEvents):
        options = [await _chosen(visit, platform, field) if field.name == "connection" else field for field in options]
    poll = _poll_fields(polled) if kind.takes_poll else []
    if error is not None:
        options, poll = filled_in(options, visit.form), filled_in(poll, visit.form)
    return await visit.page(
        "source_form.html", platform=platform, title=kind.title, given=given, stored=stored, options=options, poll=poll,
        polls=visit.form.ticked("poll") if error is not None else bool(polled), has_api=kind.writes_back,
        proposed=f"{platform}-{'events' if issubclass(kind, ProviderEvents) else 'prod'}",
        verifications=list(Verification), error=problem(error) if error else None,
        status=status_of(error) if error else 200,
    )  # fmt: skip


def _poll_fields(polled: Mapping[str, Any]) -> list[Field]:
    """Return the fields of polling; none is required, since a browser would ask for them with polling off, too."""
    fields = fields_of(PollConfig, POLL, values=polled, stored=("private_key",) if polled else ())
    return [replace(field, required=False) for field in fields]


async def _chosen(visit: Visit, platform: str, field: Field) -> Field:
    """Return the field for the connection whose payments a source tells of, as a choice of those that there are."""
    named = platform in connector_plugins().names()
    known = [
        each["name"]
        for each in await visit.operations.connections.list(visit.scope)
        if each["connector"] == platform or not named
    ]
    if not known:
        missing = f"There is no {platform} connection yet: add that first." if named else "Add a connection first."
        return replace(field, kind="select", description=missing)
    stored = [field.value] if field.value and field.value not in known else []
    return replace(
        field, kind="select", options=(*known, *stored), value=field.value or (known[0] if len(known) == 1 else "")
    )


def _told(error: Exception) -> Exception:
    """Return an error of a value that is none of the choices as one that can be shown."""
    if isinstance(error, ValidationError):
        return ConfigFileError(problem_line(error, ""))
    return error if isinstance(error, GatewayError | StorageError) else ConfigFileError("verification: is not known")


def _blank(visit: Visit, proves_by: Verification) -> dict[str, Any]:
    tenant_id, environment_id = visit.home
    return {
        "name": "", "tenant_id": tenant_id, "environment_id": environment_id, "header": "", "api_url": "",
        "verification": str(proves_by),
    }  # fmt: skip


def _given(visit: Visit) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: visit.form.text(name)[:MAX_VALUE]
        for name in FIELDS
        if name in ("header", "api_url") or visit.form.text(name)
    }
    return told
