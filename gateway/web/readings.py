"""What is true of the gateway at the moment of a scrape: what waits, how each connection and source is."""

from datetime import datetime

from aiohttp import web

from connectors.models import Limits
from gateway import keys
from gateway.breaker import Circuit
from gateway.egress import VERSION
from gateway.errors import GatewayError
from gateway.metrics import BacklogReading, ConnectionReading, Reading
from gateway.registry import LiveConnection
from storage import sqlite_path
from storage.errors import StorageError

STATES = ("pending", "running", "failed", "needs_review")


async def read(app: web.Application) -> Reading:
    """Return what is true now. A store that does not answer leaves out what only it knows."""
    store, registry, now = app[keys.STORE], app[keys.REGISTRY], app[keys.CLOCK]()
    worker = app.get(keys.WORKER)
    kind = "postgresql" if sqlite_path(app[keys.SETTINGS].database_url) is None else "sqlite"
    return Reading(
        waiting=store.deliveries_waiting, backlog=await _backlog(app, now),
        worker_running=worker.alive if worker is not None else None,
        connections=tuple([await _connection(live) for live in registry.connections.values()]),
        sources={
            name: live.verifier is not None and live.row.status == "active" for name, live in registry.sources.items()
        },
        build=(VERSION, kind),
    )  # fmt: skip


async def _backlog(app: web.Application, now: datetime) -> BacklogReading | None:
    try:
        found = await app[keys.STORE].backlog()
    except StorageError:
        return None
    waited = (now - found.oldest_due_at).total_seconds() if found.oldest_due_at is not None else 0.0
    return BacklogReading(
        undispatched=found.deliveries, jobs={state: found.jobs.get(state, 0) for state in STATES},
        reviews=found.reviews, age_seconds=max(0.0, waited),
    )  # fmt: skip


async def _connection(live: LiveConnection) -> ConnectionReading:
    budget, row, connector = live.budget, live.row, live.connector
    return ConnectionReading(
        name=row.name, pause_reason=None if row.status == "active" else row.pause_reason or "",
        circuit_open=live.breaker.state is not Circuit.CLOSED,
        rate_limit=_per_second(connector.limits()) if connector is not None else 0.0,
        in_flight=budget.under_way if budget is not None else 0, queued=budget.queued if budget is not None else 0,
        held_seconds=live.breaker.held_for, expiries=await _expiries(live),
    )  # fmt: skip


def _per_second(limits: Limits) -> float:
    return min(limits.per_second, limits.per_minute / 60 if limits.per_minute else limits.per_second)


async def _expiries(live: LiveConnection) -> dict[str, float]:
    tokens = live.connector.host.tokens if live.connector is not None else None
    try:
        found = await tokens.load() if tokens is not None else None
    except (StorageError, GatewayError):
        return {}
    if found is None:
        return {}
    ends = {
        "access": found.access_expires_at, "refresh": found.refresh_expires_at, "consent": found.hard_expires_at,
    }  # fmt: skip
    return {token: moment.timestamp() for token, moment in ends.items() if moment is not None}
