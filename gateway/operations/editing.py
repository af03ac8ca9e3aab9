"""Changing what is configured without its secrets, which nobody can read back: those not given stay as they are."""

from collections.abc import Mapping
from typing import Any

from gateway.configuration import rows
from gateway.configuration.channels import ChannelSpec, channel_secrets, signing_secrets
from gateway.configuration.specs import ConnectionSpec, SourceSpec, parse_spec
from gateway.plugins import connector_plugins
from gateway.secrets import Vault
from storage import Store
from storage.records import EVERYWHERE, ConnectionRow, Scope, SourceRow


class Editing:
    """Makes whole specs of what a form or the API gives. Values are literal: no reference is resolved here."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store, self._vault = store, vault
        self._connectors = connector_plugins()

    async def source(self, given: Mapping[str, Any], scope: Scope = EVERYWHERE) -> SourceSpec:
        """Return a source's spec; secrets and keys that are not given are those of the stored one.

        A key that is given as None is dropped. Raises ConfigFileError.
        """
        raw = dict(given)
        before = await self._source_row(str(raw.get("name")), scope)
        if before is not None:
            config = rows.source_config(before, self._vault)
            raw.setdefault("secrets", list(config.secrets))
            raw.setdefault("api_key", config.api_key)
            poll = raw.get("poll")
            if isinstance(poll, dict) and config.poll is not None:
                raw["poll"] = {"private_key": config.poll.private_key, **poll}
        return parse_spec(SourceSpec, {name: value for name, value in raw.items() if value is not None})

    async def connection(self, given: Mapping[str, Any], scope: Scope = EVERYWHERE) -> ConnectionSpec:
        """Return a connection's spec; secrets that its config does not give are those of the stored one.

        A setting that is given as None is dropped. Raises ConfigFileError, PluginError.
        """
        spec = parse_spec(ConnectionSpec, {name: value for name, value in given.items() if value is not None})
        before = await self._connection_row(spec.name, scope)
        config = dict(spec.config)
        if before is not None and before.connector == spec.connector:
            hidden = rows.secret_fields(self._connectors.load(spec.connector).config_model)
            kept = rows.connection_secrets(before, self._vault)
            config = {**{name: value for name, value in kept.items() if name in hidden}, **config}
        return spec.model_copy(update={"config": {name: value for name, value in config.items() if value is not None}})

    async def channel(self, given: Mapping[str, Any], scope: Scope = EVERYWHERE) -> ChannelSpec:
        """Return a channel's spec; a URL and secrets that are not given are those of the stored one.

        Where e-mail addresses are given, it becomes one for e-mail. Raises ConfigFileError.
        """
        raw = dict(given)
        named = [row for row in await self._store.list_channels(scope) if row.name == raw.get("name")]
        if named and "to" not in raw:
            plain = channel_secrets(named[0], self._vault)
            kept = {"to": named[0].settings["to"]} if named[0].kind == "email" and "url" not in raw else {}
            if "url" in plain:
                kept = {"url": plain["url"], "secrets": signing_secrets(plain)}
            raw = {**kept, **raw}
        return parse_spec(ChannelSpec, raw, where=f"channel {raw.get('name')}")

    async def _source_row(self, name: str, scope: Scope) -> SourceRow | None:
        return next((row for row in await self._store.list_sources(scope) if row.name == name), None)

    async def _connection_row(self, name: str, scope: Scope) -> ConnectionRow | None:
        return next((row for row in await self._store.list_connections(scope) if row.name == name), None)
