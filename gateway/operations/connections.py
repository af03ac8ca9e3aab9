"""Connections: shown, put, proven, paused, resumed, removed. Never a secret in a view."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import structlog

from connectors.base import Connector
from connectors.errors import ConnectorError, ProviderError
from connectors.models import Account
from connectors.oauth import OAuthConsent
from gateway.breaker import Circuit
from gateway.configuration import rows
from gateway.configuration.service import Configuration
from gateway.configuration.specs import ConnectionSpec
from gateway.errors import ConsentInvalidError, GatewayError, RequestInvalidError
from gateway.operations.accounts import account_view, keep_account, require_same_account, warned
from gateway.operations.consents import Consents
from gateway.operations.sources import require_scope
from gateway.operations.times import stamp
from gateway.pipeline.invoices import NOT_OFFERED
from gateway.plugins import connector_plugins
from gateway.secrets import Vault
from storage import Store
from storage.errors import ConflictError, NotFoundError
from storage.records import EVERYWHERE, WELL, CircuitRow, ConnectionRow, JobStatus, Scope

log = structlog.get_logger("ledgergate.connections")

NO_INVOICES = "the account has no API for invoices ({}): customers are made, invoices are left out"
PAUSED_BY_OPERATOR = "paused_by_operator"
CHECK_SECONDS = 90.0
RUNNING_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_PAGE = 200


class Builder(Protocol):
    """Makes a connector from a row: the registry."""

    def build(self, row: ConnectionRow) -> Connector[Any]:
        """Return a connector. Raises PluginError, ConfigFileError."""
        ...


def connection_view(row: ConnectionRow) -> dict[str, Any]:
    """Return what may be shown of a connection: which secrets it has, never their values."""
    return {
        "name": row.name,
        "connector": row.connector,
        "tenant_id": row.tenant_id,
        "environment_id": row.environment_id,
        "status": row.status,
        "pause_reason": row.pause_reason,
        "pause_detail": row.pause_detail,
        "settings": row.settings,
        "secrets": sorted(row.secrets),
        "account": row.account,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
    }


def circuit_view(row: CircuitRow, *, now: datetime) -> dict[str, Any]:
    """Return what stops the work of a connection, the same for all processes: `closed` means nothing."""
    state = Circuit.CLOSED if row.open_until is None else Circuit.HALF_OPEN if now >= row.open_until else Circuit.OPEN
    return {
        "state": str(state), "failures": row.failures, "open_until": stamp(row.open_until),
        "opened_at": stamp(row.opened_at),
        "held_until": stamp(row.held_until) if row.held_until is not None and row.held_until > now else None,
    }  # fmt: skip


class Connections:
    """The configured connections."""

    def __init__(
        self, store: Store, vault: Vault, configuration: Configuration, registry: Builder, now: Callable[[], datetime]
    ) -> None:
        self._store, self._vault, self._configuration, self._now = store, vault, configuration, now
        self._registry, self._connectors = registry, connector_plugins()
        self._consents = Consents(store, vault, now)

    async def list(self, scope: Scope = EVERYWHERE) -> list[dict[str, Any]]:
        """Return all connections of the scope, by name."""
        circuits = await self._store.list_circuits()
        return [await self._view(row, circuits) for row in await self._store.list_connections(scope)]

    async def get(self, name: str, scope: Scope = EVERYWHERE) -> dict[str, Any]:
        """Return one connection. Raises NotFoundError."""
        return await self._view(await self.row(name, scope), await self._store.list_circuits())

    async def unconsented(self, scope: Scope = EVERYWHERE, *, name: str | None = None) -> frozenset[str]:
        """Return the connections, or of one only itself, to which a person has still to consent; nobody is asked.

        Raises NotFoundError where there is none of that name.
        """
        rows = await self._store.list_connections(scope) if name is None else [await self.row(name, scope)]
        return await self._consents.lacking(rows)

    async def _view(self, row: ConnectionRow, circuits: Mapping[str, CircuitRow]) -> dict[str, Any]:
        told = await self._store.get_fact(f"connection:{row.name}", NOT_OFFERED)
        circuit = circuit_view(circuits.get(row.name, WELL), now=self._now())
        return {**connection_view(row), "circuit": circuit, "warnings": [NO_INVOICES.format(told)] if told else []}

    async def put(self, spec: ConnectionSpec, *, actor: str, scope: Scope = EVERYWHERE) -> dict[str, Any]:
        """Upsert a connection; the view's `change` says `created`, `updated` or `unchanged`, `fields` what differs.

        Raises ConfigFileError, PluginError, and ForbiddenError for another tenant or environment than the scope's.
        """
        require_scope(scope, spec.tenant_id, spec.environment_id)
        change = await self._configuration.put_connection(spec, actor=actor)
        return {**await self.get(spec.name, scope), "change": change.change, "fields": list(change.fields)}

    async def test(self, name: str, scope: Scope = EVERYWHERE) -> dict[str, Any]:
        """Prove that the credentials work, without writing; return and remember the account behind them.

        Raises NotFoundError, what the connector raises, and AccountChangedError for another company than before, where
        the connector can tell. Where it cannot, other credentials give a warning.
        """
        row = await self.row(name, scope)
        connector = self._registry.build(row)
        account = await _checked(connector)
        if isinstance(connector, OAuthConsent):
            await require_same_account(self._store, row, account.account_id)
        else:
            account = await warned(self._store, row, account)
        await keep_account(self._store, row, account, now=self._now())
        return {"connection": name, **account_view(account, now=self._now())}

    async def try_out(self, spec: ConnectionSpec, *, scope: Scope = EVERYWHERE) -> dict[str, Any]:
        """Prove the credentials of a connection before it is stored, without writing; return the account behind them.

        Raises ConfigFileError, PluginError, what the connector raises, and RequestInvalidError where the credentials
        come by a consent: that needs the connection to be stored first.
        """
        require_scope(scope, spec.tenant_id, spec.environment_id)
        kind = self._connectors.load(spec.connector)
        if issubclass(kind, OAuthConsent):
            raise RequestInvalidError(f"{kind.title} gets its credentials by a consent: store it, then connect it")
        row = rows.connection_row(spec, kind.config_model, self._vault, now=self._now(), before=None)
        account = await _checked(self._registry.build(row))
        for stored in await self._store.list_connections(scope):
            if stored.name == spec.name:
                account = await warned(self._store, stored, account)
        return {"connection": spec.name, **account_view(account, now=self._now())}

    async def pause(
        self, name: str, scope: Scope = EVERYWHERE, *, reason: str | None = None, actor: str
    ) -> dict[str, Any]:
        """Let its jobs wait, without burning attempts, until it is resumed. Raises NotFoundError.

        A `reason` that looks like a code (`maintenance`) becomes the pause reason, any other text its detail.
        """
        row = await self.row(name, scope)
        text = (reason or "").strip()[:500]
        is_code = text.isascii() and text.replace("_", "a").isalnum() and text == text.lower()
        code, detail = (text, None) if text and is_code else (PAUSED_BY_OPERATOR, text or None)
        await self._store.set_connection_status(
            name, scope, status="paused", reason=code, detail=detail, now=self._now()
        )
        await self._audit(actor, "connection.paused", row, {"reason": code})
        return await self.get(name, scope)

    async def resume(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> dict[str, Any]:
        """Let its jobs go on. Raises NotFoundError."""
        row = await self.row(name, scope)
        if row.status != "active":
            await self._store.set_connection_status(name, scope, status="active", now=self._now())
            await self._audit(actor, "connection.resumed", row, {"was": row.pause_reason})
        return await self.get(name, scope)

    async def remove(self, name: str, scope: Scope = EVERYWHERE, *, actor: str) -> dict[str, Any]:
        """Revoke its tokens, drop its secrets, cancel what waits for it; mappings stay. Raises NotFoundError.

        `revoked` is None where there was nothing to revoke; a provider that does not take part is told in `warning`,
        since the connection goes all the same. `running_jobs` counts what could not be stopped in a few seconds.
        """
        row = await self.row(name, scope)
        # Paused first, so that no worker takes up more of its jobs while it is being taken apart.
        await self._store.set_connection_status(
            name, scope, status="paused", reason="being_removed", detail=None, now=self._now()
        )
        revoked, warning = await self._revoke(row)
        running = await self._wait_for_running(name, scope)
        await self._store.set_connection_status(name, scope, status="removed", now=self._now())
        cancelled = await self._cancel_waiting(name, scope)
        await self._audit(actor, "connection.removed", row, {"revoked": revoked, "cancelled_jobs": cancelled})
        return {
            "name": name, "status": "removed", "revoked": revoked, "warning": warning, "cancelled_jobs": cancelled,
            "running_jobs": running,
        }  # fmt: skip

    # Consent ---------------------------------------------------------------------------------------------------

    async def authorize_start(self, name: str, scope: Scope = EVERYWHERE, *, redirect_uri: str) -> str:
        """Return the provider's page on which a person agrees. See Consents.start."""
        row = await self.row(name, scope)
        return await self._consents.start(row, self._registry.build(row), redirect_uri=redirect_uri)

    async def authorize_finish(self, *, params: Mapping[str, str], actor: str = "consent") -> dict[str, Any]:
        """Turn what came back into tokens, remember the company, resume. See Consents.finish."""
        name = self._consents.connection_of(params)
        try:
            row = await self.row(name)
        except NotFoundError:
            raise ConsentInvalidError("the connection is not there any more") from None
        done = await self._consents.finish(row, self._registry.build(row), params=params)
        resumed = await self._consents.resume(row)
        await self._audit(actor, "connection.authorized", row, {"account_id": done["account_id"], "resumed": resumed})
        return {"connection": name, "connector": row.connector, **done, "resumed": resumed}

    async def authorize_outcome(self, name: str, *, url: str) -> dict[str, Any] | None:
        """Return what became of the consent that `url` began, None while it is open. For who waits for it."""
        return await self._consents.outcome(name, url=url)

    # ------------------------------------------------------------------------------------------------------------

    async def row(self, name: str, scope: Scope = EVERYWHERE) -> ConnectionRow:
        """Return a connection's row. Raises NotFoundError."""
        for row in await self._store.list_connections(scope):
            if row.name == name:
                return row
        msg = f"there is no connection {name!r}"
        raise NotFoundError(msg)

    async def _revoke(self, row: ConnectionRow) -> tuple[bool | None, str | None]:
        if await self._store.load_tokens(row.name) is None:
            return None, None
        try:
            connector = self._registry.build(row)
            if not isinstance(connector, OAuthConsent):
                return None, None
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await connector.revoke()
            finally:
                await connector.close()
        except (ConnectorError, GatewayError, TimeoutError) as error:
            told = getattr(error, "detail", "") or type(error).__name__
            log.warning("revoke_failed", connection=row.name, error=told)
            return False, f"the tokens were not revoked at the provider ({told}): remove the app's access there"
        return True, None

    async def _wait_for_running(self, name: str, scope: Scope) -> int:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RUNNING_SECONDS
        while True:
            page = await self._store.list_jobs(scope, connection=name, status=JobStatus.RUNNING, limit=_PAGE)
            running = sum(job.gate == name for job in page.items)
            if running == 0 or loop.time() >= deadline:
                return running
            await asyncio.sleep(_LOOK_SECONDS)

    async def _cancel_waiting(self, name: str, scope: Scope) -> int:
        """Cancel what waits for the connection; write-backs of what is linked already wait for the source, and stay."""
        cancelled = 0
        for status in (JobStatus.PENDING, JobStatus.NEEDS_REVIEW):
            cursor: str | None = None
            while True:
                page = await self._store.list_jobs(scope, connection=name, status=status, limit=_PAGE, cursor=cursor)
                for job in page.items:
                    if job.gate == name:
                        cancelled += await self._cancel(job.job_id, scope)
                cursor = page.next_cursor
                if cursor is None:
                    break
        return cancelled

    async def _cancel(self, job_id: str, scope: Scope) -> bool:
        try:
            await self._store.cancel_job(job_id, scope, now=self._now(), reason="the connection was removed")
        except ConflictError:
            return False
        return True

    async def _audit(self, actor: str, action: str, row: ConnectionRow, detail: dict[str, Any] | None) -> None:
        await self._store.add_audit(
            actor=actor, action=action, subject=row.name, detail=detail, now=self._now(),
            scope=Scope(tenant_id=row.tenant_id, environment_id=row.environment_id),
        )  # fmt: skip


async def _checked(connector: Connector[Any]) -> Account:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await connector.check()
    except TimeoutError:
        msg = f"the provider did not answer within {CHECK_SECONDS:.0f} seconds"
        raise ProviderError(msg) from None
    finally:
        await connector.close()
