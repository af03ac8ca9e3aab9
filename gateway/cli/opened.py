"""What a command works with: settings, the open store, the vault, the use-cases over them; closed again at its end."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cli import settled

if TYPE_CHECKING:
    from gateway.configuration.service import Configuration
    from gateway.operations.gathered import Operations
    from gateway.registry import Registry
    from gateway.secrets import Vault
    from gateway.settings import Settings
    from storage import Store
    from storage.records import Scope

ACTOR = "cli"
T = TypeVar("T")


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


def load_settings() -> "Settings":
    """Return the settings, and send log lines to stderr, warnings and worse only. Raises SettingError."""
    from gateway import logs, settings

    loaded = settings.load()
    form = settings.LogFormat.CONSOLE if sys.stderr.isatty() else loaded.log_format
    chatty = loaded.log_level in (settings.LogLevel.DEBUG, settings.LogLevel.ERROR)
    logs.configure(form, loaded.log_level if chatty else settings.LogLevel.WARNING)
    return loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open store and what belongs to it. `registry` talks to providers and platforms."""

    settings: "Settings"
    store: "Store"
    vault: "Vault"
    configuration: "Configuration"
    registry: "Registry"
    operations: "Operations"

    @property
    def own_url(self) -> str:
        """Return where a gateway with these settings is reached: its public address, else its own."""
        if self.settings.public_url is not None:
            return self.settings.public_url
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - to be replaced
        host = self.settings.host
        shown = everywhere.get(host, f"[{host}]" if ":" in host else host)
        return f"http://{shown}:{self.settings.port}"


@asynccontextmanager
async def opened(*, live: bool = False) -> AsyncIterator[Opened]:
    """Open the database of the settings; with `live` build the connectors too, to ask providers about records.

    Raises SettingError, StorageError kinds, SecretKeyError.
    """
    from gateway.access import Access
    from gateway.alerts.sending import Carrier
    from gateway.configuration.service import Configuration
    from gateway.egress import new_session
    from gateway.operations.acting import nobody
    from gateway.operations.gathered import gather
    from gateway.registry import Registry
    from gateway.secrets import load_vault
    from storage import store_for

    settings = load_settings()
    store = store_for(settings.database_url)
    await store.open()
    session = new_session(allow_private=settings.allow_private_addresses)
    try:
        vault = load_vault(settings)
        await vault.prove(store)
        configuration = Configuration(store, vault, now=utc_now)
        owner = f"cli:{socket.gethostname()}:{os.getpid()}"
        registry = Registry(store=store, vault=vault, session=session, now=utc_now, owner=owner)
        if live:
            await registry.refresh()
        operations = gather(
            store=store, vault=vault, registry=registry, configuration=configuration,
            access=Access(store, admin_key=None, now=utc_now), now=utc_now, wake=nobody,
            carrier=Carrier(vault=vault, session=session, settings=settings, now=utc_now),
            public_url=settings.public_url,
        )  # fmt: skip
        settled()
        try:
            yield Opened(
                settings=settings, store=store, vault=vault, configuration=configuration, registry=registry,
                operations=operations,
            )  # fmt: skip
        finally:
            await registry.close()
    finally:
        await session.close()
        await store.close()


def run(work: Callable[[Opened], Coroutine[Any, Any, T]], *, live: bool = False) -> T:
    """Run a command's work on the open store, and return what it returns."""

    async def main() -> T:
        async with opened(live=live) as desk:
            return await work(desk)

    return asyncio.run(main())


def scope_of(tenant_id: str | None, environment_id: str | None) -> "Scope":
    """Return what a command is confined to; None for any."""
    from storage.records import Scope

    return Scope(tenant_id=tenant_id, environment_id=environment_id)
