"""Adding a connection and changing one: a form from the connector's own config, tested before it is saved."""

from dataclasses import replace
from typing import Any

from aiohttp import web

from connectors.errors import ConnectorError
from connectors.invoices import InvoiceSync
from gateway.console.config_form import Field, fields_of, filled_in, settings_from
from gateway.console.visit import Visit
from gateway.errors import AlreadyExistsError, GatewayError, PluginError, problem, status_of
from gateway.operations.consents import takes_consent
from gateway.plugins import connector_plugins
from storage.errors import StorageError
from storage.records import EVERYWHERE

CONFIG = "config."
OWN_LABELS = frozenset({"Name", "Tenant", "Environment"})


async def choose(visit: Visit) -> web.StreamResponse:
    """Show which connectors there are, or the form of the one that was chosen."""
    connector = visit.asked("connector")
    if connector:
        return await _form(visit, connector, given=_blank(visit))
    plugins, offered = connector_plugins(), []
    for name in plugins.names():
        try:
            kind = plugins.load(name)
            offered.append((name, kind.title, kind.makes, ""))
        except PluginError as error:
            offered.append((name, name, "", error.detail))
    return await visit.page("connection_choose.html", offered=offered)


async def add(visit: Visit) -> web.StreamResponse:
    """Add a connection. Raises PluginError for a connector that is not there."""
    connector = visit.form.text("connector")
    given = {**_blank(visit), **_given(visit)}
    try:
        known = await visit.operations.connections.list(EVERYWHERE)
        if any(each["name"] == given["name"] for each in known):
            raise AlreadyExistsError(f"there is a connection {given['name']} already; choose another name")
        return await _save(visit, connector, given)
    except (GatewayError, ConnectorError, StorageError) as error:
        return await _form(visit, connector, given=given, error=error)


async def show_edit(visit: Visit) -> web.StreamResponse:
    """Show the form of a stored connection; secrets are not shown, and stay when they are left empty."""
    connection = await visit.operations.connections.get(visit.part("name"), visit.scope)
    return await _form(visit, connection["connector"], given=connection, stored=connection)


async def edit(visit: Visit) -> web.StreamResponse:
    """Change a stored connection."""
    connection = await visit.operations.connections.get(visit.part("name"), visit.scope)
    home = {name: connection[name] for name in ("name", "tenant_id", "environment_id")}
    given = {**_given(visit), **home}
    try:
        return await _save(visit, connection["connector"], given)
    except (GatewayError, ConnectorError, StorageError) as error:
        return await _form(visit, connection["connector"], given=given, stored=connection, error=error)


async def _save(visit: Visit, connector: str, given: dict[str, Any]) -> web.StreamResponse:
    """Test, then store; with a consent still to come, or when that was asked for, store untested."""
    kind, operations = connector_plugins().load(connector), visit.operations
    raw = {
        **{name: given[name] for name in ("name", "tenant_id", "environment_id")}, "connector": connector,
        "invoice_sync": {"outbound": given["outbound"], "customer_only": given["customer_only"]},
        "config": settings_from(kind.config_model, CONFIG, visit.form),
    }  # fmt: skip
    spec = await operations.editing.connection(raw, visit.scope)
    tests = visit.form.text("do") != "untested" and not takes_consent(connector)
    if tests:
        await operations.connections.try_out(spec, scope=visit.scope)
    done = await operations.connections.put(spec, actor=visit.who.actor, scope=visit.scope)
    await visit.take_up()
    path = f"/connections/{spec.name}"
    if tests:
        account = await operations.connections.test(spec.name, visit.scope)
        await visit.take_up()
        company = account["name"] or account["account_id"]
        return visit.go(
            path, f"{done['change'].capitalize()}, and the credentials work{f': {company}' if company else ''}."
        )
    if takes_consent(connector) and done["change"] == "created":
        return visit.go(path, f"Created. Now connect it with {kind.title}.")
    return visit.go(path, f"{done['change'].capitalize()}.")


async def _form(
    visit: Visit,
    connector: str,
    *,
    given: dict[str, Any],
    stored: dict[str, Any] | None = None,
    error: Exception | None = None,
) -> web.Response:
    kind = connector_plugins().load(connector)
    fields = fields_of(
        kind.config_model, CONFIG, values=stored["settings"].get("config", {}) if stored else None,
        stored=stored["secrets"] if stored else (),
    )  # fmt: skip
    fields = [_told_apart(field, kind.title) for field in fields]
    if error is not None:
        fields = filled_in(fields, visit.form)
    first, rest = _split(fields)
    sync = stored["settings"].get("invoice_sync", {}) if stored else {}
    return await visit.page(
        "connection_form.html", connector=connector, title=kind.title, given=given, first=first, rest=rest,
        stored=stored, outbound=given.get("outbound", sync.get("outbound", True)),
        customer_only=given.get("customer_only", sync.get("customer_only", False)),
        makes_invoices=issubclass(kind, InvoiceSync), consent=takes_consent(connector),
        error=problem(error) if error else None, status=status_of(error) if error else 200,
    )  # fmt: skip


def _told_apart(field: Field, title: str) -> Field:
    """Return a field that is labelled as one of the form's own with whose it is."""
    return replace(field, label=f"{field.label} of {title}") if field.label in OWN_LABELS else field


def _split(fields: list[Field]) -> tuple[list[Field], list[Field]]:
    """Return what everybody fills in, and what has a good default."""
    first = [field for field in fields if field.required or field.stored or field.name == "environment"]
    return first, [field for field in fields if field not in first]


def _blank(visit: Visit) -> dict[str, Any]:
    tenant_id, environment_id = visit.home
    return {
        "name": "", "tenant_id": tenant_id, "environment_id": environment_id, "outbound": True, "customer_only": False
    }  # fmt: skip


def _given(visit: Visit) -> dict[str, Any]:
    form = visit.form
    told: dict[str, Any] = {"name": form.text("name"), "outbound": form.ticked("outbound")}
    told["customer_only"] = form.ticked("customer_only")
    if form.text("tenant_id"):
        told["tenant_id"] = form.text("tenant_id")
    if form.text("environment_id"):
        told["environment_id"] = form.text("environment_id")
    return told
