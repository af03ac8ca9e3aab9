"""Putting sources, connections and channels into the store, for a file, a command and the API alike; audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from gateway.configuration import rows
from gateway.configuration.channels import ChannelSpec, channel_plain, channel_row, channel_secrets
from gateway.configuration.files import File
from gateway.configuration.specs import ConnectionSpec, SourceSpec, problem_line
from gateway.errors import ConfigFileError
from gateway.plugins import connector_plugins, source_plugins
from gateway.secrets import Vault
from storage import Store
from storage.records import ChannelRow, ConnectionRow, MappingStatus, Scope, SourceRow

CURED_BY_NEW_SETTINGS = frozenset(
    {
        "authentication_failed", "needs_reauth", "permission_refused", "configuration_invalid", "address_refused",
        "plugin_unusable", "config_invalid",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of what `apply` did, or would do."""

    kind: str
    name: str
    change: str
    """created | updated | unchanged"""
    fields: tuple[str, ...] = ()


class Configuration:
    """Upserts sources, connections and channels. Nothing is written before everything was checked."""

    def __init__(self, store: Store, vault: Vault, *, now: Callable[[], datetime]) -> None:
        self._store, self._vault, self._now = store, vault, now
        self._connectors = connector_plugins()
        self._sources = source_plugins()

    async def apply(self, file: File, *, actor: str, dry_run: bool = False) -> list[Change]:
        """Upsert all that the file names; return what changed. Raises ConfigFileError, PluginError."""
        known_sources = {row.name: row for row in await self._store.list_sources()}
        known_connections = {row.name: row for row in await self._store.list_connections()}
        planned = [await self._plan_source(spec, known_sources.get(spec.name)) for spec in file.sources]
        planned_connections = [
            await self._plan_connection(spec, known_connections.get(spec.name)) for spec in file.connections
        ]
        known_channels = {row.name: row for row in await self._store.list_channels()}
        planned_channels = [self._plan_channel(spec, known_channels.get(spec.name)) for spec in file.channels]
        if not dry_run:
            for change, row in planned:
                if change.change != "unchanged":
                    await self._store.put_source(row)
                    await self._audit(actor, change, row.tenant_id, row.environment_id)
            for change, connection in planned_connections:
                if change.change != "unchanged":
                    await self._store.put_connection(connection)
                    await self._audit(actor, change, connection.tenant_id, connection.environment_id)
            for change, channel in planned_channels:
                if change.change != "unchanged":
                    await self._store.put_channel(channel)
                    await self._audit(actor, change, channel.tenant_id, channel.environment_id)
        every = (planned, planned_connections, planned_channels)
        return [change for some in every for change, _ in some]

    async def put_source(self, spec: SourceSpec, *, actor: str) -> Change:
        """Upsert one source. Raises ConfigFileError, PluginError."""
        return (await self.apply(File(sources=(spec,)), actor=actor))[0]

    async def put_connection(self, spec: ConnectionSpec, *, actor: str) -> Change:
        """Upsert one connection. Raises ConfigFileError, PluginError."""
        return (await self.apply(File(connections=(spec,)), actor=actor))[0]

    async def put_channel(self, spec: ChannelSpec, *, actor: str) -> Change:
        """Upsert one channel. Raises ConfigFileError."""
        return (await self.apply(File(channels=(spec,)), actor=actor))[0]

    async def _plan_source(self, spec: SourceSpec, before: SourceRow | None) -> tuple[Change, SourceRow]:
        if spec.platform not in self._sources.names():
            names = ", ".join(self._sources.names())
            msg = f"source {spec.name}: platform {spec.platform!r} is not known; there are: {names}"
            raise ConfigFileError(msg)
        self._check_adapter(spec)
        row = rows.source_row(spec, self._vault, now=self._now(), before=before)
        if before is None:
            return Change(kind="source", name=spec.name, change="created"), row
        self._same_owner(
            "source", spec.name, (before.tenant_id, before.environment_id), (spec.tenant_id, spec.environment_id)
        )
        differing = _differing(before, row, ("platform", "verification"))
        differing += _differing_keys(before.settings, row.settings)
        differing += _differing_keys(rows.source_secrets(before, self._vault), rows.source_plain(spec)[1])
        change = "updated" if differing else "unchanged"
        return Change(kind="source", name=spec.name, change=change, fields=tuple(differing)), row

    def _check_adapter(self, spec: SourceSpec) -> None:
        """Refuse what the platform's adapter would not understand."""
        adapter = self._sources.load(spec.platform)
        if spec.poll is not None and not adapter.takes_poll:
            msg = f"source {spec.name}: poll: not for platform {spec.platform}"
            raise ConfigFileError(msg)
        try:
            adapter.check_options(spec.options)
        except ValidationError as error:
            raise ConfigFileError(problem_line(error, f"source {spec.name}: options")) from None

    async def _plan_connection(
        self, spec: ConnectionSpec, before: ConnectionRow | None
    ) -> tuple[Change, ConnectionRow]:
        model = self._connectors.load(spec.connector).config_model
        row = rows.connection_row(spec, model, self._vault, now=self._now(), before=before)
        if before is None:
            return Change(kind="connection", name=spec.name, change="created"), row
        owner = (spec.tenant_id, spec.environment_id)
        self._same_owner("connection", spec.name, (before.tenant_id, before.environment_id), owner)
        if before.connector != spec.connector:
            msg = f"connection {spec.name}: the connector of a connection cannot change; add another connection"
            raise ConfigFileError(msg)
        old, new = rows.connection_secrets(before, self._vault), rows.connection_plain(spec, model)[1]
        differing = _differing_keys(before.settings.get("config", {}), row.settings["config"])
        differing += _differing_keys(old, new)
        if before.settings.get("invoice_sync") != row.settings["invoice_sync"]:
            differing.append("invoice_sync")
        await self._same_realm(before, row)
        if differing and before.status == "paused" and before.pause_reason in CURED_BY_NEW_SETTINGS:
            row = replace(row, status="active", pause_reason=None, pause_detail=None)
            differing.append("status")
        change = Change(
            kind="connection", name=spec.name, change="updated" if differing else "unchanged", fields=tuple(differing)
        )
        return change, row

    def _plan_channel(self, spec: ChannelSpec, before: ChannelRow | None) -> tuple[Change, ChannelRow]:
        row = channel_row(spec, self._vault, now=self._now(), before=before)
        if before is None:
            return Change(kind="channel", name=spec.name, change="created"), row
        self._same_owner(
            "channel", spec.name, (before.tenant_id, before.environment_id), (row.tenant_id, row.environment_id)
        )
        settings, secrets = channel_plain(spec)
        differing = _differing_keys(before.settings, settings)
        differing += _differing_keys(channel_secrets(before, self._vault), secrets)
        change = "updated" if differing else "unchanged"
        return Change(kind="channel", name=spec.name, change=change, fields=tuple(differing)), row

    async def _same_realm(self, before: ConnectionRow, row: ConnectionRow) -> None:
        """Refuse another account under mappings that belong to the one before."""
        old = (before.account or {}).get("account_id") or before.settings.get("config", {}).get("realm_id")
        new = row.settings["config"].get("realm_id")
        if not old or not new or old == new:
            return
        linked = await self._store.list_mappings(connection=row.name, status=MappingStatus.LINKED, limit=1)
        if linked.items:
            msg = f"connection {row.name}: its mappings belong to another company (realm_id); add another connection"
            raise ConfigFileError(msg)

    @staticmethod
    def _same_owner(
        kind: str, name: str, before: tuple[str | None, str | None], now: tuple[str | None, str | None]
    ) -> None:
        if before != now:
            msg = f"{kind} {name}: belongs to another tenant or environment; names are unique over all of them"
            raise ConfigFileError(msg)

    async def _audit(self, actor: str, change: Change, tenant_id: str | None, environment_id: str | None) -> None:
        await self._store.add_audit(
            actor=actor, action=f"{change.kind}.{change.change}", subject=change.name,
            scope=Scope(tenant_id=tenant_id, environment_id=environment_id),
            detail={"fields": list(change.fields)} if change.fields else None, now=self._now(),
        )  # fmt: skip


def _differing(before: SourceRow, after: SourceRow, names: Sequence[str]) -> list[str]:
    return [name for name in names if getattr(before, name) != getattr(after, name)]


def _differing_keys(before: dict[str, object] | dict[str, str], after: dict[str, object] | dict[str, str]) -> list[str]:
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
