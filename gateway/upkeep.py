"""What is due now and then, by one process of all: pruning, connectors' own upkeep, the look for drift."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from connectors.errors import PauseError
from gateway.errors import GatewayError
from gateway.pipeline.drift import DriftScan
from gateway.registry import LiveConnection, Registry
from storage import Store

log = structlog.get_logger("ledgergate.upkeep")

TURN = timedelta(hours=1)
DRIFT_EVERY = timedelta(days=1)
LEASE = timedelta(minutes=30)
PRUNE_BATCH = 500
LAST_DRIFT = "drift_scanned_at"


class Upkeep:
    """One turn does all that is due; several processes share the turns through a lease in the store."""

    def __init__(
        self, *, store: Store, registry: Registry, now: Callable[[], datetime], owner: str, retention: timedelta
    ) -> None:
        self._store, self._registry, self._now = store, registry, now
        self._owner, self._retention = owner, retention

    async def turn(self) -> None:
        """Do what is due, unless another process does. One part that fails does not keep the others from it."""
        if not await self._hold():
            return
        await self.prune()
        for name, live in list(self._registry.connections.items()):
            if live.connector is None or live.row.status != "active":
                continue
            try:
                await live.connector.maintain()
                await self._drift(name, live)
            except PauseError as error:
                await self._registry.pause(name, error)
            except Exception as error:  # noqa: BLE001 - a connector's upkeep must not stop the gateway
                log.warning("upkeep_failed", connection=name, error=type(error).__name__)

    async def look_at_sources(self) -> None:
        """Warn, once at the start, where a platform's own sync creates customers in the same target."""
        for name, live in list(self._registry.sources.items()):
            if live.adapter is None or live.row.status != "active" or not live.adapter.writes_back:
                continue
            routes = self._registry.routes(live.row, outbound_only=live.adapter.needs_outbound)
            connectors = frozenset(route.row.connector for route in routes)
            if not connectors:
                continue
            try:
                for warning in await live.adapter.warnings(connectors):
                    log.warning("second_creator", source=name, warning=warning)
            except GatewayError as error:
                log.info("source_not_asked", source=name, code=error.code)

    async def prune(self) -> int:
        """Drop the bodies and headers of deliveries that are older than the retention; return how many."""
        total = 0
        while True:
            pruned = await self._store.prune_deliveries(before=self._now() - self._retention, limit=PRUNE_BATCH)
            total += pruned
            if pruned < PRUNE_BATCH:
                break
        if total:
            log.info("pruned", deliveries=total)
        return total

    async def _drift(self, name: str, live: LiveConnection) -> None:
        """Scan a connection once a day; a new connection has its first scan a day after it was made."""
        owner = f"connection:{name}"
        last = await self._store.get_fact(owner, LAST_DRIFT)
        since = datetime.fromisoformat(last) if last else live.row.created_at
        if self._now() - since < DRIFT_EVERY:
            return
        await self._store.put_fact(owner, LAST_DRIFT, self._now().isoformat(), now=self._now())
        await DriftScan(store=self._store, now=self._now).run(live, page_done=self._hold)

    async def _hold(self) -> bool:
        """Take or keep the turn, which a long scan holds for as long as it lasts; return whether it is ours."""
        return await self._store.take_lease("upkeep", owner=self._owner, now=self._now(), lease=LEASE)
