"""Settings, version, a check-up in sentences, and the diagnostics bundle without anything secret or personal."""

import platform
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web
from pydantic import SecretStr
from yarl import URL

from gateway.console.environment import installed_version
from gateway.console.visit import Visit
from gateway.keys import WORKER
from gateway.operations import doctor
from gateway.operations.findings import Finding, finding_view
from gateway.operations.times import stamp
from gateway.plugins import connector_plugins, source_plugins
from gateway.settings import PREFIX, Settings
from storage.records import EVERYWHERE


async def show(visit: Visit) -> web.StreamResponse:
    """Show how the gateway is set, and how it is."""
    return await visit.page(
        "settings.html", settings=settings_view(visit.console.settings), python=platform.python_version(),
        plugins=[*connector_plugins().found(), *source_plugins().found()], worker=_worker(visit), findings=None,
    )  # fmt: skip


async def check_up(visit: Visit) -> web.StreamResponse:
    """Look at the whole installation, as `ledgergate doctor` does; platforms are asked too."""
    findings = await _findings(visit, offline=False)
    return await visit.page(
        "settings.html", settings=settings_view(visit.console.settings), python=platform.python_version(),
        plugins=[*connector_plugins().found(), *source_plugins().found()], worker=_worker(visit),
        findings=sorted(findings, key=lambda finding: -_weight(finding)),
    )  # fmt: skip


async def diagnostics(visit: Visit) -> web.StreamResponse:
    """Return what a maintainer needs to understand an installation: no secret, no customer, no payload."""
    now, store = visit.console.now(), visit.console.store
    backlog = await store.backlog()
    bundle = {
        "made_at": stamp(now),
        "version": installed_version(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "settings": settings_view(visit.console.settings),
        "plugins": [
            {"name": each.name, "value": each.value, "distribution": each.distribution, "version": each.version}
            for each in (*connector_plugins().found(), *source_plugins().found())
        ],
        "backlog": {
            "deliveries": backlog.deliveries, "jobs": dict(backlog.jobs), "reviews": backlog.reviews,
            "oldest_due_at": stamp(backlog.oldest_due_at),
        },
        "sources": [_source(each) for each in await visit.operations.sources.list(EVERYWHERE)],
        "connections": [_connection(each) for each in await visit.operations.connections.list(EVERYWHERE)],
        "findings": [finding_view(finding) for finding in await _findings(visit, offline=True)],
    }  # fmt: skip
    name = f"ledgergate-diagnostics-{now:%Y%m%dT%H%M%SZ}.json"
    return web.Response(
        body=orjson.dumps(bundle, option=orjson.OPT_INDENT_2, default=str), content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def settings_view(settings: Settings) -> list[dict[str, Any]]:
    """Return every setting with its value, secrets and passwords hidden."""
    return [
        {
            "name": PREFIX + name.upper(), "value": _plain(getattr(settings, name)),
            "is_default": getattr(settings, name) == info.default, "description": info.description or "",
        }
        for name, info in Settings.model_fields.items()
    ]  # fmt: skip


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "set, never shown"
    if isinstance(value, tuple):
        return ", ".join(_plain(each) for each in value)
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "://" in text and "@" in text:
        try:
            return str(URL(text).with_password("hidden"))
        except ValueError:
            return "set, not readable"
    return text


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("name", "platform", "tenant_id", "environment_id", "verification", "status", "problem", "secrets",
            "has_api_key", "last_accepted_at", "last_rejected", "rejected")  # fmt: skip
    return {name: source[name] for name in kept}


def _connection(connection: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("name", "connector", "tenant_id", "environment_id", "status", "pause_reason", "settings", "secrets")
    return {name: connection[name] for name in kept}


async def _findings(visit: Visit, *, offline: bool) -> list[Finding]:
    console = visit.console
    return await doctor.examine_store(console.store, console.vault, console.settings, now=console.now, offline=offline)


def _weight(finding: Finding) -> int:
    return list(type(finding.level)).index(finding.level)


def _worker(visit: Visit) -> str:
    worker = visit.request.app.get(WORKER)
    return "runs elsewhere" if worker is None else ("alive" if worker.alive else "stopped")
