"""`doctor`: what is wrong with an installation, in sentences, each with the next step."""

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

from gateway.configuration.service import Configuration
from gateway.egress import new_session
from gateway.errors import GatewayError
from gateway.operations import doctor_alerts, doctor_connections, doctor_database, doctor_machine, doctor_state
from gateway.operations.findings import Finding, Level, broken, finding_view, worst
from gateway.operations.sources import Sources
from gateway.operations.times import stamp
from gateway.plugins import source_plugins
from gateway.registry import Registry
from gateway.secrets import Vault, key_file, load_vault
from gateway.settings import Settings
from storage import Store, store_for
from storage.errors import StorageError


async def examine(settings: Settings, *, now: Callable[[], datetime], offline: bool = False) -> list[Finding]:
    """Look at the whole installation, whether or not a gateway runs. Nothing is created or changed.

    With `offline` no platform is asked.
    """
    findings = list(doctor_machine.examine(settings, now=now()))
    about_file = [finding async for finding in doctor_database.examine(settings)]
    findings += about_file
    path = key_file(settings)
    if (path is not None and not path.exists()) or not doctor_database.is_usable(about_file):
        return findings  # opening the store now would make a key or a database
    store = store_for(settings.database_url)
    try:
        vault = load_vault(settings)
        await store.open()
    except (GatewayError, StorageError) as error:
        step = error.resolution
        return [*findings, broken("database", f"{error.title}: {error.detail or error.title}.", step)]
    try:
        return [*findings, *await examine_store(store, vault, settings, now=now, offline=offline)]
    except (GatewayError, StorageError) as error:
        return [*findings, broken("database", f"{error.title}: {error.detail or error.title}.", error.resolution)]
    finally:
        await store.close()


async def examine_store(
    store: Store, vault: Vault, settings: Settings, *, now: Callable[[], datetime], offline: bool
) -> list[Finding]:
    """Look at an open store. For the console and the API, whose gateway has one. Raises StorageError kinds."""
    at = now()
    findings = [finding async for finding in doctor_state.writable(store, vault, now=at)]
    if worst(findings) is Level.BROKEN:
        return findings
    sources = Sources(store, vault, Configuration(store, vault, now=now), now)
    plugins = source_plugins()
    session = new_session(allow_private=settings.allow_private_addresses)
    try:
        registry = Registry(store=store, vault=vault, session=session, now=now, owner=f"doctor:{os.getpid()}")
        findings += [finding async for finding in doctor_state.clock(store, now=at)]
        findings += [finding async for finding in doctor_state.sources(store, sources, now=at)]
        findings += [finding async for finding in doctor_connections.connections(store, registry, settings, now=at)]
        findings += [finding async for finding in doctor_connections.routes(store, plugins)]
        findings += [finding async for finding in doctor_state.work(store, now=at)]
        findings += [finding async for finding in doctor_alerts.channels(store, settings, now=at)]
        if not offline:
            findings += await doctor_connections.second_creators(store, vault, plugins, session, now)
    finally:
        await session.close()
    return findings


def report(findings: list[Finding], *, now: datetime) -> dict[str, Any]:
    """Return the findings as one document: `status` is `ok`, `attention` or `broken`."""
    level = worst(findings)
    return {
        "status": str(Level.OK if level is Level.NOTE else level),
        "checked_at": stamp(now),
        "findings": [finding_view(finding) for finding in findings],
    }
