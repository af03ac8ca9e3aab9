"""What `doctor` finds out about connections: paused, without consent, near expiry, or with a second creator beside."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.oauth import OAuthConsent, Tokens
from gateway.configuration import rows
from gateway.egress import USER_AGENT
from gateway.errors import GatewayError
from gateway.operations.connections import Builder
from gateway.operations.findings import Finding, attention, broken, note, ok
from gateway.plugins import Plugins
from gateway.secrets import Vault
from gateway.settings import Settings
from gateway.sources.base import Source, SourceHost
from gateway.spans import spoken
from storage import Store
from storage.records import ConnectionRow, SourceRow

SOON = timedelta(days=30)
PLATFORM_SECONDS = 20.0
AUTHORIZE = "Run `ledgergate connection authorize {name}`, or connect in the console."
RESUME = "Cure what the reason names, then `ledgergate connection resume {name}`."


async def connections(store: Store, builder: Builder, settings: Settings, *, now: datetime) -> AsyncIterator[Finding]:
    """Look at every connection: whether it is active, connected, and for how long."""
    found = await store.list_connections()
    if not found:
        yield note(
            "connections",
            "No connection is configured yet: customers go nowhere.",
            "Write a TOML file and `ledgergate apply FILE`, or `ledgergate connection add --help`.",
        )
    for row in found:
        for finding in [*_standing(row), *await _credentials(row, builder, settings, now=now)]:
            yield finding


def _standing(row: ConnectionRow) -> Iterator[Finding]:
    if row.status == "active":
        yield ok("connections", f"Connection {row.name} is active.", subject=row.name)
        return
    reason = row.pause_reason or "unknown"
    why = f" ({row.pause_detail})" if row.pause_detail else ""
    step = AUTHORIZE if reason == "needs_reauth" else RESUME
    yield attention(
        "connections", f"Connection {row.name} is paused: {reason}{why}. Its jobs wait.", step.format(name=row.name),
        subject=row.name,
    )  # fmt: skip


async def _credentials(row: ConnectionRow, builder: Builder, settings: Settings, *, now: datetime) -> list[Finding]:
    try:
        connector = builder.build(row)
    except (GatewayError, ConnectorError) as error:
        said = f"Connection {row.name} cannot be used: {error.detail or error.title}."
        return [broken("connections", said, error.resolution, subject=row.name)]
    try:
        return await _consent(row, connector, settings, now=now)
    finally:
        await connector.close()


async def _consent(
    row: ConnectionRow, connector: Connector[Any], settings: Settings, *, now: datetime
) -> list[Finding]:
    if not isinstance(connector, OAuthConsent) or connector.host.tokens is None:
        return []
    tokens = await connector.host.tokens.load()
    if tokens is None and "refresh_token" not in row.secrets:
        step = AUTHORIZE.format(name=row.name)
        if settings.public_url is None:
            step += " Set LEDGERGATE_PUBLIC_URL first: the provider sends people back to it."
        return [attention("consent", f"Connection {row.name} has no consent yet.", step, subject=row.name)]
    return list(_expiry(row.name, tokens, now=now)) if tokens is not None else []


def _expiry(name: str, tokens: Tokens, *, now: datetime) -> Iterator[Finding]:
    ends = [
        (moment, what)
        for moment, what in ((tokens.refresh_expires_at, "unless it is used"), (tokens.hard_expires_at, "for good"))
        if moment is not None
    ]
    for moment, what in ends:
        if moment <= now:
            said = f"The consent of connection {name} ended {spoken(now - moment)} ago."
        elif moment - now < SOON:
            said = f"The consent of connection {name} ends {what} in {spoken(moment - now)}."
        else:
            continue
        yield attention("consent", said, AUTHORIZE.format(name=name), subject=name)
    if ends and all(moment - now >= SOON for moment, _ in ends):
        nearest = min(moment for moment, _ in ends)
        yield ok("consent", f"The consent of connection {name} is good until {nearest:%Y-%m-%d}.", subject=name)


async def routes(store: Store, plugins: Plugins[Source]) -> AsyncIterator[Finding]:
    """Find sources whose customers go nowhere."""
    found = await store.list_connections()
    for row in await store.list_sources():
        try:
            needs_outbound = plugins.load(row.platform).needs_outbound
        except GatewayError:
            continue  # told with the plugins
        near = [each for each in found if _same_place(row, each)]
        outbound = [each for each in near if each.settings.get("invoice_sync", {}).get("outbound")]
        if row.status != "active" or outbound or (near and not needs_outbound):
            continue
        place = f"tenant {row.tenant_id}, environment {row.environment_id}"
        lacking = "has invoice_sync = { outbound = true }" if near else "is there"
        yield attention(
            "routes",
            f"What source {row.name} sends goes nowhere: no connection of {place} {lacking}.",
            "Add a connection of the same tenant and environment, or switch its `invoice_sync.outbound` on.",
            subject=row.name,
        )


async def second_creators(
    store: Store,
    vault: Vault,
    plugins: Plugins[Source],
    session: aiohttp.ClientSession,
    clock: Callable[[], datetime],
) -> list[Finding]:
    """Ask every platform whether it creates customers in the same targets by itself."""
    found = await store.list_connections()
    host = SourceHost(session=session, now=clock, user_agent=USER_AGENT)
    asked = []
    for row in await store.list_sources():
        targets = frozenset(each.connector for each in found if _same_place(row, each))
        if row.status == "active" and targets:
            asked.append(_warnings(row, targets, vault, plugins, host))
    return [finding for findings in await asyncio.gather(*asked) for finding in findings]


async def _warnings(
    row: SourceRow, targets: frozenset[str], vault: Vault, plugins: Plugins[Source], host: SourceHost
) -> list[Finding]:
    try:
        adapter = plugins.load(row.platform)(rows.source_config(row, vault), host)
        async with asyncio.timeout(PLATFORM_SECONDS):
            warnings = await adapter.warnings(targets)
    except (GatewayError, ConnectorError, ValueError, TimeoutError) as error:
        code = getattr(error, "code", "source_unavailable")
        step = getattr(error, "resolution", "Check the source's `api_url` and the network, then run this again.")
        detail = getattr(error, "detail", "")
        said = f"The platform of source {row.name} could not be asked ({f'{code}: {detail}' if detail else code})."
        return [attention("platform", said, step, subject=row.name)]
    step = "See docs/configuration.md for what the source needs, and the platform's own settings."
    return [attention("platform", f"Source {row.name}: {told}.", step, subject=row.name) for told in warnings] or [
        ok("platform", f"Nothing at the platform of source {row.name} stands against us.", subject=row.name)
    ]


def _same_place(source: SourceRow, connection: ConnectionRow) -> bool:
    return (source.tenant_id, source.environment_id) == (connection.tenant_id, connection.environment_id)
