"""The application put together: what lives how long, in which order, and on which routes."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Self

import structlog
from aiohttp import web

from gateway import keys
from gateway.access import Access
from gateway.alerts.sending import Carrier, Sending
from gateway.alerts.watching import Watch
from gateway.configuration.service import Configuration
from gateway.console import routes as console
from gateway.egress import new_session
from gateway.metrics import Metrics
from gateway.operations.acting import nobody
from gateway.operations.gathered import gather
from gateway.pipeline.dispatch import (
    CHECK,
    ENSURE,
    ENSURE_INVOICE,
    ENSURE_LINK,
    RECORD_PAYMENT,
    VOID_INVOICE,
    WRITE_BACK,
)
from gateway.pipeline.drift import CheckMapping
from gateway.pipeline.ensure import EnsureCustomer
from gateway.pipeline.ensure_invoices import EnsureInvoice
from gateway.pipeline.ensure_links import EnsurePaymentLink
from gateway.pipeline.payments import RecordPayment
from gateway.pipeline.polling import Poller
from gateway.pipeline.voiding import VoidInvoice
from gateway.pipeline.work import Stage
from gateway.pipeline.worker import Worker
from gateway.pipeline.writeback import WriteBack
from gateway.quarantine import Quarantine
from gateway.registry import Registry
from gateway.secrets import load_vault
from gateway.settings import Settings
from gateway.tracing import Tracing, from_environment
from gateway.upkeep import TURN, Upkeep
from gateway.web import health, oauth
from gateway.web.api import routes
from gateway.web.middleware import answer_in_words
from gateway.web.server import Runner
from gateway.web.webhooks import Door
from storage import Store, store_for

log = structlog.get_logger("ledgergate")

STAGES: Mapping[str, type[Stage]] = {
    ENSURE: EnsureCustomer,
    ENSURE_INVOICE: EnsureInvoice,
    ENSURE_LINK: EnsurePaymentLink,
    RECORD_PAYMENT: RecordPayment,
    VOID_INVOICE: VoidInvoice,
    CHECK: CheckMapping,
    WRITE_BACK: WriteBack,
}
"""Kind of job → what does it."""
HOUSEKEEPING_SECONDS = 1.0
SOON_SECONDS = 60.0
"""After a start, until what is due hourly is looked at: a process that is restarted often prunes as well."""
LONGEST_UNREAD = 30.0
"""Seconds after which the configuration is looked at, though nobody has told of a change."""


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


class Gateway:
    """One running gateway: `async with Gateway(settings) as gateway: …`. Everything it needs is passed in.

    `now` is the time of day; `steady` gives the seconds of a clock that nobody can set; `sleep` waits out the pauses
    before requests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        serve: bool = True,
        work: bool = True,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        steady: Callable[[], float] = time.monotonic,
        store: Store | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.settings = settings
        self.app = web.Application(client_max_size=settings.max_body_bytes, middlewares=[answer_in_words])
        self.new_admin_key: str | None = None
        self._serve, self._work, self._now = serve, work, now
        self._sleep, self._steady, self._tracing = sleep, steady, tracing
        self._store = store
        self._stack = AsyncExitStack()
        self._runner: web.AppRunner | None = None
        self._door: Door | None = None
        self._read: tuple[int, float] = (-1, 0.0)

    async def __aenter__(self) -> Self:
        """Start in order: store, secrets, session, registry, worker, then the port."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop in reverse order: the port first, then the worker drains, the store closes last."""
        await self._stack.aclose()

    @property
    def port(self) -> int:
        """Return the port listened on."""
        return int(self._runner.addresses[0][1]) if self._runner is not None and self._runner.addresses else 0

    @property
    def url(self) -> str:
        """Return the address listened on."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.port}"

    async def _start(self) -> None:
        app, settings, now, stack = self.app, self.settings, self._now, self._stack
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        if self._tracing is None:
            self._tracing = from_environment(owner)
        if self._tracing is not None:
            stack.push_async_callback(self._tracing.close)
        vault = load_vault(settings)
        store = self._store or store_for(settings.database_url)
        await store.open()
        stack.push_async_callback(store.close)
        await vault.prove(store)
        admin = settings.admin_key.get_secret_value() if settings.admin_key is not None else None
        access = Access(store, admin_key=admin, now=now)
        self.new_admin_key = await access.prepare()
        session = new_session(allow_private=settings.allow_private_addresses)
        stack.push_async_callback(session.close)
        metrics, quarantine = Metrics(), Quarantine()
        registry = Registry(
            store=store, vault=vault, session=session, now=now, owner=owner,
            lease=timedelta(seconds=settings.lease_seconds), sleep=self._sleep,
        )  # fmt: skip
        await registry.refresh()
        stack.push_async_callback(registry.close)
        app[keys.SETTINGS], app[keys.STORE], app[keys.VAULT], app[keys.SESSION] = settings, store, vault, session
        app[keys.REGISTRY], app[keys.METRICS], app[keys.QUARANTINE] = registry, metrics, quarantine
        app[keys.ACCESS], app[keys.CLOCK] = access, now
        configuration = app[keys.CONFIGURATION] = Configuration(store, vault, now=now)
        carrier = Carrier(vault=vault, session=session, settings=settings, now=now)
        worker = await self._start_worker(store, registry, metrics, owner) if self._work else None
        if self._work:
            self._start_watch(store, registry, metrics, owner, carrier)
        await stack.enter_async_context(
            _every(HOUSEKEEPING_SECONDS, lambda: self._housekeep(registry, access, quarantine))
        )
        if self._serve:
            wake = worker.wake if worker is not None else nobody
            app[keys.OPERATIONS] = gather(
                store=store, vault=vault, registry=registry, configuration=configuration, access=access, now=now,
                carrier=carrier, wake=wake, public_url=settings.public_url,
            )  # fmt: skip
            self._door = Door(
                registry=registry, store=store, quarantine=quarantine, metrics=metrics, tracing=self._tracing, now=now,
                max_body_bytes=settings.max_body_bytes, wake=worker.arrived if worker is not None else nobody,
            )  # fmt: skip
            await self._listen(self._door)
        elif settings.worker_port is not None:
            await self._show_health(settings.worker_port)

    async def _start_worker(self, store: Store, registry: Registry, metrics: Metrics, owner: str) -> Worker:
        settings, now = self.settings, self._now
        schedule = settings.retry_schedule
        worker = Worker(
            store=store, registry=registry, schedule=schedule, lease=timedelta(seconds=settings.lease_seconds),
            places=settings.workers, now=now, owner=owner, metrics=metrics, tracing=self._tracing,
            stages={
                kind: stage(store=store, registry=registry, now=now, schedule=schedule, steady=self._steady)
                for kind, stage in STAGES.items()
            },
        )  # fmt: skip
        worker.start()
        self._stack.push_async_callback(worker.stop)
        poller = Poller(store=store, registry=registry, now=now, owner=owner, wake=worker.wake, metrics=metrics)
        poller.start()
        self._stack.push_async_callback(poller.stop)
        self.app[keys.POLLER] = poller
        upkeep = Upkeep(
            store=store, registry=registry, now=now, owner=owner, retention=timedelta(days=settings.retention_days)
        )
        await self._stack.enter_async_context(_every(TURN.total_seconds(), upkeep.turn, first=SOON_SECONDS))
        await self._stack.enter_async_context(_meanwhile(upkeep.look_at_sources()))
        self.app[keys.WORKER] = worker
        return worker

    def _start_watch(self, store: Store, registry: Registry, metrics: Metrics, owner: str, carrier: Carrier) -> None:
        settings, now = self.settings, self._now
        sending = Sending(store=store, carrier=carrier, schedule=settings.retry_schedule, metrics=metrics, now=now)
        watch = self.app[keys.ALERTS] = Watch(
            store=store, registry=registry, sending=sending, settings=settings, metrics=metrics, now=now, owner=owner
        )
        watch.start()
        self._stack.push_async_callback(watch.stop)

    async def _listen(self, door: Door) -> None:
        health.register(self.app)
        self.app.router.add_route("*", "/webhooks/{source}", door.receive_routed)
        routes.register(self.app)
        oauth.register(self.app)
        console.register(self.app)
        await self._open(Runner(self.app, door), self.settings.port)

    async def _show_health(self, port: int) -> None:
        """Listen for those who watch a process that only works."""
        health.register(self.app)
        await self._open(web.AppRunner(self.app, access_log=None), port)

    async def _open(self, runner: web.AppRunner, port: int) -> None:
        self._runner = runner
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, self.settings.host, port, backlog=1024, reuse_address=True).start()

    async def _housekeep(self, registry: Registry, access: Access, quarantine: Quarantine) -> None:
        store, moment = self.app[keys.STORE], asyncio.get_running_loop().time()
        token = await store.change_token()
        if token != self._read[0] or moment - self._read[1] >= LONGEST_UNREAD:
            await registry.refresh()
            await access.refresh()
            self._read = (token, moment)
        await access.flush()
        await quarantine.flush(store)


@asynccontextmanager
async def _every(
    seconds: float, act: Callable[[], Awaitable[None]], *, first: float | None = None
) -> AsyncIterator[None]:
    """Run something now and then while the context lasts; a failure is logged once, until it goes well again."""

    async def loop() -> None:
        failing, wait = False, seconds if first is None else first
        while True:
            await asyncio.sleep(wait)
            wait = seconds
            try:
                await act()
                failing = False
            except Exception as error:  # noqa: BLE001 - tried again at the next turn
                if not failing:
                    log.warning("housekeeping_failed", error=type(error).__name__)
                failing = True

    async with _meanwhile(loop()):
        yield


@asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run something beside the context, for as long as the context lasts at most."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
