"""What is configured now, as living objects: sources with verifiers, connections with connectors. Follows the store."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from connectors.base import Connector, Host
from connectors.errors import ConfigurationError, PauseError
from connectors.invoices import InvoiceSync
from connectors.links import PaymentLinks
from gateway.breaker import Breaker
from gateway.budget import Budget
from gateway.configuration import rows
from gateway.egress import USER_AGENT
from gateway.errors import ConfigFileError, GatewayError, PluginError
from gateway.lending import LEASE, StoredMemory, StoredTokens
from gateway.plugins import connector_plugins, source_plugins
from gateway.secrets import Vault
from gateway.sources.base import Source, SourceHost
from gateway.sources.provider_events import ProviderEvents
from gateway.sources.signing import SecretInvalidError, Verifier
from storage import Store
from storage.records import WELL, ConnectionRow, SourceRow

log = structlog.get_logger("ledgergate.registry")


@dataclass(slots=True, kw_only=True)
class LiveSource:
    """A configured source and its adapter; `problem` says why there is none."""

    row: SourceRow
    adapter: Source | None = None
    verifier: Verifier | None = None
    header: str | None = None
    keep: Callable[[bytes], bytes] | None = None
    """What of a verified body may be stored, where that is not all of it."""
    problem: str | None = None


@dataclass(slots=True, kw_only=True)
class LiveConnection:
    """A configured connection and its connector; `problem` says why there is none."""

    row: ConnectionRow
    connector: Connector[Any] | None = None
    breaker: Breaker
    budget: Budget | None = None
    problem: GatewayError | None = None

    @property
    def outbound(self) -> bool:
        """Whether finalized invoices bring their customers here."""
        return bool(self.row.settings.get("invoice_sync", {}).get("outbound"))

    @property
    def books_invoices(self) -> bool:
        """Whether finalized invoices are made here too, and not their customers alone."""
        wants = self.outbound and not self.row.settings.get("invoice_sync", {}).get("customer_only")
        return wants and isinstance(self.connector, InvoiceSync)

    @property
    def books_receipts(self) -> bool:
        """Whether gifts are booked here too, and not their givers alone."""
        wants = not self.row.settings.get("invoice_sync", {}).get("customer_only")
        return wants and isinstance(self.connector, InvoiceSync) and self.connector.books_receipts

    @property
    def makes_links(self) -> bool:
        """Whether payment links can be asked for here."""
        return isinstance(self.connector, PaymentLinks)

    def usable(self) -> Connector[Any]:
        """Return the connector. Raises ConfigurationError with the reason why there is none."""
        if self.connector is None:
            raise ConfigurationError(self.problem.detail if self.problem else "")
        return self.connector


class Registry:
    """Builds adapters and connectors from the store's rows, and keeps those whose row has not changed."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        session: aiohttp.ClientSession,
        now: Callable[[], datetime],
        owner: str,
        lease: timedelta = LEASE,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store, self._vault, self._session, self._now, self._owner = store, vault, session, now, owner
        self._lease, self._sleep = lease, sleep
        self._connectors, self._sources = connector_plugins(), source_plugins()
        self._version = -1
        self._refreshing = asyncio.Lock()
        self.sources: dict[str, LiveSource] = {}
        self.connections: dict[str, LiveConnection] = {}
        self._breakers: dict[str, Breaker] = {}

    async def refresh(self) -> bool:
        """Take up what has changed in the store; return whether anything but the circuits has."""
        async with self._refreshing:
            circuits = await self._store.list_circuits()
            for name, breaker in self._breakers.items():
                breaker.heard(circuits.get(name, WELL))
            version = await self._store.config_version()
            if version == self._version:
                return False
            sources = {row.name: row for row in await self._store.list_sources()}
            connections = {row.name: row for row in await self._store.list_connections()}
            before = {id(live): live for live in self.connections.values()}
            paused = {name for name, live in self.connections.items() if live.row.status == "paused"}
            self.sources = {name: self._live_source(row) for name, row in sources.items()}
            self.connections = {name: self._live_connection(row) for name, row in connections.items()}
            self._version = version
            for live in self.connections.values():
                before.pop(id(live), None)
            for replaced in before.values():
                await _close(replaced)
            for name in sorted(paused & {row.name for row in connections.values() if row.status == "active"}):
                log.info("connection_resumed", connection=name)
            for live in self.connections.values():
                if live.problem is not None and live.row.status == "active":
                    await self._pause(live)
            return True

    async def close(self) -> None:
        """Let every connector finish what must not be lost, such as a token refresh under way."""
        for live in self.connections.values():
            await _close(live)
            if live.budget is not None:
                live.budget.close()

    async def pause(self, name: str, error: PauseError) -> None:
        """Pause a connection because of what its connector has said."""
        log.error("connection_paused", connection=name, reason=error.code, detail=error.detail)
        await self._store.set_connection_status(
            name, status="paused", reason=error.code, detail=error.detail, now=self._now()
        )

    def routes(self, source: SourceRow, *, outbound_only: bool) -> Sequence[LiveConnection]:
        """Return the connections that a source's customers go to: of its tenant and environment."""
        return [
            live
            for live in self.connections.values()
            if live.row.tenant_id == source.tenant_id
            and live.row.environment_id == source.environment_id
            and (live.outbound or not outbound_only)
        ]

    def bound_connection(self, source: SourceRow) -> str | None:
        """Return the connection that a provider's webhooks are about, of the source's own tenant and environment."""
        adapter = self.source(source.name)
        name = adapter.connection if isinstance(adapter, ProviderEvents) else ""
        live = self.connections.get(name)
        home = (source.tenant_id, source.environment_id)
        return name if live is not None and (live.row.tenant_id, live.row.environment_id) == home else None

    def source(self, name: str) -> Source:
        """Return a source's adapter. Raises PluginError when there is none."""
        live = self.sources.get(name)
        if live is None or live.adapter is None:
            msg = f"source {name} is not there: {live.problem if live else 'it was removed'}"
            raise PluginError(msg)
        return live.adapter

    def connection(self, name: str) -> LiveConnection:
        """Return a connection. Raises ConfigurationError when it was removed."""
        live = self.connections.get(name)
        if live is None:
            msg = f"connection {name} was removed"
            raise ConfigurationError(msg)
        return live

    def breaker(self, name: str) -> Breaker:
        """Return the breaker of a connection: the same one, however often its settings change."""
        if name not in self._breakers:
            self._breakers[name] = Breaker(name, store=self._store, now=self._now)
        return self._breakers[name]

    def build(self, row: ConnectionRow) -> Connector[Any]:
        """Return a connector for a row that need not be stored. Raises PluginError, ConfigFileError."""
        kind = self._connectors.load(row.connector)
        config = rows.connection_config(row, kind.config_model, self._vault)
        host = Host(
            connection=row.name, session=self._session, now=self._now, sleep=self._sleep, user_agent=USER_AGENT,
            memory=StoredMemory(row.name, store=self._store, now=self._now),
            tokens=StoredTokens(
                row.name, store=self._store, vault=self._vault, now=self._now, owner=self._owner, lease=self._lease
            ),
        )  # fmt: skip
        probe = kind(config, host)
        budget = Budget(
            row.name, probe.limits(), store=self._store, breaker=self.breaker(row.name), owner=self._owner,
            pause=self._sleep,
        )  # fmt: skip
        return kind(config, replace(host, limiter=budget))

    def _live_source(self, row: SourceRow) -> LiveSource:
        known = self.sources.get(row.name)
        if known is not None and known.row == row:
            return known
        live = LiveSource(row=row)
        try:
            config = rows.source_config(row, self._vault)
            adapter = self._sources.load(row.platform)(
                config, SourceHost(session=self._session, now=self._now, user_agent=USER_AGENT)
            )
            live.verifier = adapter.verifier()
            live.adapter = adapter
            live.keep = adapter.keep if isinstance(adapter, ProviderEvents) else None
            live.header = config.header or "X-Api-Key" if row.verification == "static-header" else None
        except (GatewayError, SecretInvalidError, ValueError) as error:
            live.problem = str(error)
            log.error(  # noqa: TRY400 - a setting is wrong, not the code: no traceback
                "source_unusable", source=row.name, reason=live.problem
            )
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything; the others go on
            live.problem = f"{row.platform!r} cannot be made: {_where(error)}"
            log.warning("source_unusable", source=row.name, reason=live.problem)
        return live

    def _live_connection(self, row: ConnectionRow) -> LiveConnection:
        known = self.connections.get(row.name)
        if known is not None and known.row.settings == row.settings and known.row.secrets == row.secrets:
            known.row = row
            return known
        live = LiveConnection(row=row, breaker=self.breaker(row.name))
        try:
            live.connector = self.build(row)
            limiter = live.connector.host.limiter
            live.budget = limiter if isinstance(limiter, Budget) else None
        except (PluginError, ConfigFileError) as error:
            live.problem = error
        except PauseError as error:
            live.problem = ConfigFileError(error.detail)
        except Exception as error:  # noqa: BLE001 - as above; this connection pauses
            live.problem = PluginError(f"{row.connector!r} cannot be made: {_where(error)}")
        return live

    async def _pause(self, live: LiveConnection) -> None:
        reason = live.problem.code if live.problem else "configuration_invalid"
        detail = live.problem.detail if live.problem else ""
        log.error("connection_paused", connection=live.row.name, reason=reason, detail=detail)
        await self._store.set_connection_status(
            live.row.name, status="paused", reason=reason, detail=detail, now=self._now()
        )


def _where(error: BaseException) -> str:
    """Return what was raised and where, without its words: they may quote the secrets that the plugin was given."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


async def _close(live: LiveConnection) -> None:
    if live.connector is None:
        return
    try:
        await live.connector.close()
    except Exception as error:  # noqa: BLE001 - a stranger's code; closing goes on with the others
        log.warning("connector_close_failed", connection=live.row.name, error=type(error).__name__)
