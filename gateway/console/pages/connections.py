"""Connections: the list, one with its account, tokens and budget; test, pause, resume, connect, remove."""

from typing import Any

from aiohttp import web

from connectors.errors import ConnectorError
from connectors.oauth import Tokens
from gateway.addresses import public_url
from gateway.breaker import Circuit
from gateway.console.lamps import connection_lamp
from gateway.console.visit import Visit
from gateway.console.words import GOOD, WARN
from gateway.errors import GatewayError, problem, status_of
from gateway.operations.consents import CALLBACK_PATH, takes_consent
from storage.errors import StorageError

START = "/oauth/start"
MAX_REASON = 500


async def show_list(visit: Visit) -> web.StreamResponse:
    """Show the list."""
    live = visit.console.registry.connections
    found = await visit.operations.connections.list(visit.scope)
    unconsented = await visit.operations.connections.unconsented(visit.scope)
    return await visit.page(
        "connections.html",
        found=[(each, connection_lamp(each, live.get(each["name"]), unconsented=unconsented)) for each in found],
    )


async def show(visit: Visit) -> web.StreamResponse:
    """Show one connection."""
    return await _page(visit)


async def test(visit: Visit) -> web.StreamResponse:
    """Prove the credentials and show the account behind them."""
    name = visit.part("name")
    try:
        account = await visit.operations.connections.test(name, visit.scope)
    except (GatewayError, ConnectorError, StorageError) as error:
        return await _page(visit, error=error)
    await visit.take_up()
    warnings = "; ".join(account["warnings"])
    said = f"The credentials work: {account['name'] or account['account_id'] or 'the account answers'}."
    return visit.go(f"/connections/{name}", f"{said} {warnings}".strip(), tone=WARN if warnings else GOOD)


async def pause(visit: Visit) -> web.StreamResponse:
    """Let its jobs wait."""
    name, reason = visit.part("name"), visit.form.text("reason")[:MAX_REASON] or None
    await visit.operations.connections.pause(name, visit.scope, reason=reason, actor=visit.who.actor)
    await visit.take_up()
    return visit.go(f"/connections/{name}", "Paused. Its jobs wait, and use up no attempt.", tone=WARN)


async def resume(visit: Visit) -> web.StreamResponse:
    """Let its jobs go on."""
    name = visit.part("name")
    await visit.operations.connections.resume(name, visit.scope, actor=visit.who.actor)
    await visit.take_up()
    visit.operations.jobs.wake()
    return visit.go(f"/connections/{name}", "Active again; its jobs go on.")


async def connect(visit: Visit) -> web.StreamResponse:
    """Make a one-time link to the provider's consent page, and show it: a form may not lead to another site."""
    name = visit.part("name")
    row = await visit.operations.connections.row(name, visit.scope)
    token = await visit.operations.consent_links.make(row, actor=visit.who.actor)
    base = public_url(visit.request)
    return await visit.page(
        "connect.html", name=name, title=_title(visit, name), url=f"{base}{START}/{name}?token={token}",
        redirect_uri=base + CALLBACK_PATH, configured=visit.console.settings.public_url is not None,
    )  # fmt: skip


async def remove(visit: Visit) -> web.StreamResponse:
    """Remove a connection, once its name was typed."""
    name = (await visit.operations.connections.row(visit.part("name"), visit.scope)).name
    if visit.form.text("sure") != name:
        return visit.go(f"/connections/{name}", "Nothing was removed: the name was not typed.", tone=WARN)
    gone = await visit.operations.connections.remove(name, visit.scope, actor=visit.who.actor)
    await visit.take_up()
    told = [f"{name} is removed; its mappings stay.", f"{gone['cancelled_jobs']} waiting jobs were cancelled."]
    if gone["warning"]:
        told.append(f"{gone['warning']}.")
    return visit.go("/connections", " ".join(told), tone=WARN if gone["warning"] else GOOD)


async def _page(visit: Visit, *, error: Exception | None = None) -> web.Response:
    name = visit.part("name")
    connection = await visit.operations.connections.get(name, visit.scope)
    unconsented = await visit.operations.connections.unconsented(visit.scope, name=name)
    live = visit.console.registry.connections.get(name)
    connector = live.connector if live is not None else None
    limits = connector.limits() if connector is not None else None
    budget = live.budget if live is not None else None
    return await visit.page(
        "connection.html", connection=connection, limits=limits,
        lamp_of=connection_lamp(connection, live, unconsented=unconsented), title=_title(visit, name),
        consent=takes_consent(connection["connector"]), tokens=await _tokens(visit, name),
        held=live.breaker.held_for if live is not None else 0.0, queue=budget.queue_for if budget is not None else 0.0,
        under_way=budget.under_way if budget is not None else 0,
        circuit=str(live.breaker.state) if live is not None else str(Circuit.CLOSED),
        failures=live.breaker.row.failures if live is not None else 0,
        drift=await visit.operations.drift.get(name, visit.scope),
        summary=dict(connector.settings_summary()) if connector is not None else {},
        error=problem(error) if error else None, status=status_of(error) if error else 200,
    )  # fmt: skip


async def _tokens(visit: Visit, name: str) -> dict[str, Any] | None:
    """Return when a connection's tokens were made and when they end; the tokens themselves never leave the store."""
    live = visit.console.registry.connections.get(name)
    store = live.connector.host.tokens if live is not None and live.connector is not None else None
    found: Tokens | None = await store.load() if store is not None else None
    if found is None:
        return None
    return {
        "refreshed_at": found.refreshed_at, "access_expires_at": found.access_expires_at,
        "refresh_expires_at": found.refresh_expires_at, "hard_expires_at": found.hard_expires_at,
    }  # fmt: skip


def _title(visit: Visit, name: str) -> str:
    live = visit.console.registry.connections.get(name)
    return live.connector.title if live is not None and live.connector is not None else name
