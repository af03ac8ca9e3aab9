"""The watch: one process of all looks at what needs a person, writes down what is to be told, and sends it."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from connectors.oauth import OAuthConsent
from gateway.alerts import wording
from gateway.alerts.conditions import REFUSED_WINDOW, Limits, Seen, conditions
from gateway.alerts.deciding import Decider, Told
from gateway.alerts.sending import Sending
from gateway.metrics import Metrics
from gateway.registry import Registry
from gateway.settings import Settings
from storage import Store
from storage.errors import StorageError
from storage.records import Alert, AlertChange, AlertStatus, ChannelRow

log = structlog.get_logger("ledgergate.alerts")

TURN_SECONDS = 5.0
LEASE = timedelta(seconds=90)
"""Longer than any turn: a channel costs one deadline at most."""
KEPT = timedelta(days=30)
"""How long alerts that are over and messages that have ended are kept."""
_PAGE = 1000


class Watch:
    """Looks, decides and sends. What it remembers lies in the store, so that any process may go on."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        sending: Sending,
        settings: Settings,
        metrics: Metrics,
        now: Callable[[], datetime],
        owner: str,
    ) -> None:
        self._store, self._registry, self._sending = store, registry, sending
        self._metrics, self._now, self._owner = metrics, now, owner
        self._repeat = timedelta(seconds=settings.alert_repeat_seconds)
        self._public_url = settings.public_url
        self._limits = Limits(
            backlog=timedelta(seconds=settings.alert_backlog_seconds),
            circuit=timedelta(seconds=settings.alert_circuit_seconds), token=timedelta(days=settings.alert_token_days),
            refused=settings.alert_signature_failures,
        )  # fmt: skip
        self._turning = asyncio.Lock()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self._loop = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop, and let another process go on at once; a message on its way is sent again."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
            self._loop = None
        with contextlib.suppress(StorageError):
            await self._store.drop_lease("alerts", owner=self._owner)

    async def _watch(self) -> None:
        troubled = False
        while True:
            await asyncio.sleep(TURN_SECONDS)
            try:
                await self.turn()
                troubled = False
            except StorageError:
                continue  # the worker, which waits for the store too, has said so
            except Exception:  # a bug here must not end the watch
                if not troubled:
                    log.exception("watch_failed")
                troubled = True

    async def turn(self) -> None:
        """Look once and send what is due, unless another process does. Raises StorageError kinds."""
        async with self._turning:
            if await self._store.take_lease("alerts", owner=self._owner, now=self._now(), lease=LEASE):
                channels = {row.name: row for row in await self._store.list_channels()}
                await self._look(channels)
                await self._sending.turn(channels)

    async def _look(self, channels: dict[str, ChannelRow]) -> None:
        now = self._now()
        seen = Seen(
            attention=await self._store.attention(now=now, refused_since=now - REFUSED_WINDOW),
            connections=await self._store.list_connections(), sources=await self._store.list_sources(),
            circuits=await self._store.list_circuits(), consents=await self._consents(),
        )  # fmt: skip
        decider = Decider(
            channels=list(channels.values()), repeat=self._repeat, wording=self._wording, now=now,
        )  # fmt: skip
        known = await self._known()
        changes = decider.changes(conditions(seen, now=now, limits=self._limits), known)
        if changes:
            await self._store.write_alerts(changes, now=now, forget_before=now - KEPT)
        self._tell(changes, {alert.alert_id for alert in known if alert.status is AlertStatus.OPEN})
        self._measure(known, changes)

    async def _known(self) -> list[Alert]:
        """Return every alert: there is one for each kind and configured thing at most."""
        found: list[Alert] = []
        cursor: str | None = None
        while True:
            page = await self._store.list_alerts(limit=_PAGE, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def _consents(self) -> dict[str, datetime]:
        """Return when each connection's consent ends: the nearest end there is."""
        ends: dict[str, datetime] = {}
        for name, live in list(self._registry.connections.items()):
            tokens = live.connector.host.tokens if live.connector is not None else None
            if tokens is None or not isinstance(live.connector, OAuthConsent):
                continue
            held = await tokens.load()
            moments = [held.refresh_expires_at, held.hard_expires_at] if held is not None else []
            ends.update({name: min(moment for moment in moments if moment)} if any(moments) else {})
        return ends

    def _wording(self, alert: Alert, told: Told) -> dict[str, object]:
        return wording.content(alert, told, now=self._now(), public_url=self._public_url)

    @staticmethod
    def _tell(changes: list[AlertChange], open_before: set[str]) -> None:
        """Write one line when an alert opens and one when it closes, whoever else is told."""
        for change in changes:
            alert = change.alert
            told = {
                "kind": alert.kind, "tenant_id": alert.tenant_id, "environment_id": alert.environment_id,
                "subject": alert.subject or None, "alert_id": alert.alert_id,
            }  # fmt: skip
            if alert.status is AlertStatus.CLOSED:
                log.info("alert_closed", **told)
            elif alert.alert_id not in open_before:
                log.warning("alert_opened", **told, count=alert.count, facts=alert.facts)

    def _measure(self, known: list[Alert], changes: list[AlertChange]) -> None:
        now = {alert.key: alert for alert in (*known, *(change.alert for change in changes))}
        counts: dict[str, int] = dict.fromkeys({each.kind for each in now.values()}, 0)
        for alert in now.values():
            counts[alert.kind] += alert.status is AlertStatus.OPEN
        for kind, count in counts.items():
            self._metrics.alerts_open.labels(kind).set(count)
