"""The worker: dispatches deliveries, claims jobs under lease, runs their stages, settles, and stops gracefully."""

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter

import structlog

from connectors.http import EXCHANGES, Exchange
from connectors.sending import IN_TIME
from gateway.metrics import Metrics
from gateway.pipeline.creating import RefusedError
from gateway.pipeline.ending import Ending
from gateway.pipeline.failing import failed
from gateway.pipeline.intake import Intake
from gateway.pipeline.leases import Leases
from gateway.pipeline.pacing import Pace
from gateway.pipeline.settling import Result
from gateway.pipeline.telling import Telling
from gateway.pipeline.work import Stage, Work
from gateway.registry import Registry
from gateway.tracing import Tracing
from storage import Store
from storage.errors import LeaseLostError, StorageError
from storage.records import Claimed

log = structlog.get_logger("ledgergate.worker")

IDLE_SECONDS = 30.0
"""An idle worker is woken, by commits and by what falls due; this is for what nobody has thought of."""
REFRESH_SECONDS = 0.5
STOP_SECONDS = 10.0
TROUBLE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1
"""Seconds between two wakes by commits: longer while they bring no work here, since others are doing it."""


class Worker:
    """One process's share of the work. Several may run on one database: leases and lock keys keep them apart."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        stages: Mapping[str, Stage],
        schedule: tuple[float, ...],
        lease: timedelta,
        places: int,
        now: Callable[[], datetime],
        owner: str,
        metrics: Metrics,
        tracing: Tracing | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._store, self._registry, self._stages = store, registry, stages
        self._schedule, self._lease, self._places = schedule, lease, places
        self._now, self._owner, self._metrics = now, owner, metrics
        self._chance = chance or random.Random()  # noqa: S311 - jitter
        self._intake = Intake(store, registry, now=now, lease=lease, tracing=tracing)
        self._ending = Ending(store, owner=owner, now=now, lease=lease, failed=self._failed)
        self._leases = Leases(store, owner=owner, now=now, lease=lease)
        self._telling = Telling(registry, metrics, tracing)
        self._pace = Pace()
        self._wake, self._hungry = asyncio.Event(), asyncio.Event()
        self._stopping = False
        self._ready: deque[Claimed] = deque()
        self._running: dict[str, tuple[Claimed, asyncio.Task[None]]] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._troubled = False
        self._refreshed = float("-inf")
        self._useful = 0

    # Lifetime --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        loops = (self._work(), self._keep_leases(), self._hear())
        self._loops = [asyncio.create_task(loop) for loop in loops]

    def wake(self) -> None:
        """Say that there may be something to do."""
        self._wake.set()

    def arrived(self) -> None:
        """Say that a webhook was stored."""
        self._pace.arrived()
        self._wake.set()

    @property
    def alive(self) -> bool:
        """Whether the worker's loops run."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    @property
    def busy(self) -> bool:
        """Whether it is at work on a job."""
        return bool(self._running or self._ready)

    async def stop(self, grace: float = STOP_SECONDS) -> None:
        """Take nothing more, let what runs end within `grace` seconds, and hand back the rest."""
        self._stopping = True
        self._wake.set()
        self._hungry.set()
        if self._loops:
            await asyncio.wait(self._loops[:1], timeout=grace)  # whatever its last turn claims is handed back below
        unfinished = {claimed.job.job_id: claimed.job.fence for claimed in self._ready}
        self._ready.clear()
        tasks = [task for _, task in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        unfinished |= {job_id: claimed.job.fence for job_id, (claimed, _) in self._running.items()}
        for loop in self._loops:
            loop.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*self._loops, *tasks, return_exceptions=True)
        if unfinished:
            try:
                await self._store.release_jobs(unfinished, owner=self._owner, now=self._now())
            except StorageError:
                log.warning("jobs_not_handed_back", count=len(unfinished))

    # The loop --------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            began = perf_counter()
            try:
                busy = await self._turn()
                self._useful += busy
                if self._troubled:
                    self._troubled = False
                    log.info("worker_back")
                pause = self._pace.rest_after(perf_counter() - began)
                if pause:
                    await self._give_way(pause)
                elif not busy:
                    await self._rest()
            except StorageError as error:
                await self._trouble(error)
            except Exception:  # a bug must not stop the work of everybody else
                log.exception("worker_turn_failed")
                await asyncio.sleep(TROUBLE_SECONDS)

    async def _turn(self) -> bool:
        """Do one round; return whether there may be more to do at once."""
        moment = asyncio.get_running_loop().time()
        if moment - self._refreshed >= REFRESH_SECONDS:
            await self._registry.refresh()
            self._refreshed = moment
        dispatched = await self._intake.turn(self._pace.batch)
        claimed = await self._claim()
        return dispatched or claimed > 0

    async def _claim(self) -> int:
        """Claim jobs where few are ready, and begin what there are places for; return how many were claimed."""
        claimed = 0
        if len(self._ready) <= self._pace.places(self._places) // 2:
            now = self._now()
            found = await self._store.claim_jobs(self._room(), owner=self._owner, now=now, lease=self._lease)
            self._leases.take(found, at=now)
            self._ready.extend(found)
            claimed = len(found)
        self._fill()
        return claimed

    async def _give_way(self, seconds: float) -> None:
        """Take no deliveries for so long; jobs go on, and are claimed when few are left."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not self._stopping:
            self._hungry.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._hungry.wait()
            except TimeoutError:
                return
            if not await self._claim():
                await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))
                return

    def _room(self) -> dict[str, int]:
        """Return how many more jobs of each gate there are places for; the store knows whether they may begin."""
        held = Counter(claimed.job.gate for claimed in self._ready)
        held.update(claimed.job.gate for claimed, _ in self._running.values())
        free = self._places * 2 - held.total()
        room: dict[str, int] = {}
        for name, live in self._registry.connections.items():
            if live.row.status != "active":
                continue
            cap = max(4, live.connector.limits().concurrency * 2) if live.connector is not None else 1
            room[name] = max(0, min(free, cap - held[name]))
        for name in self._registry.sources:
            gate = f"source:{name}"
            room[gate] = max(0, min(free, self._places // 2 + 1 - held[gate]))
        return room

    def _fill(self) -> None:
        while self._ready and len(self._running) < self._pace.places(self._places) and not self._stopping:
            claimed = self._ready.popleft()
            task = asyncio.create_task(self._attempt(claimed))
            self._running[claimed.job.job_id] = (claimed, task)
            task.add_done_callback(partial(self._ended, claimed))  # a task cancelled before its first step runs nothing

    async def _rest(self) -> None:
        """Sleep until somebody wakes us, the next job falls due, or half a minute has passed."""
        timeout = IDLE_SECONDS
        if len(self._ready) == 0 and len(self._running) < self._places:
            now = self._now()
            due = await self._store.next_due([gate for gate, free in self._room().items() if free > 0], after=now)
            if due is not None:
                timeout = min(timeout, max(0.0, (due - now).total_seconds()) + 0.001)
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _hear(self) -> None:
        """Wake at the commits of all processes."""
        loop = asyncio.get_running_loop()
        pause, heard = FIRST_PAUSE, -1
        while True:
            began, before = loop.time(), self._useful
            try:
                if not await self._store.wait_for_change(IDLE_SECONDS, since=heard):
                    continue
                heard = await self._store.change_token()  # before the wake: what comes later is heard the next time
            except StorageError:
                await asyncio.sleep(TROUBLE_SECONDS)
                continue
            if loop.time() - began > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            self._wake.set()
            await asyncio.sleep(pause)
            pause = FIRST_PAUSE if self._useful > before else min(pause * 2, LONGEST_PAUSE)

    async def _trouble(self, error: StorageError) -> None:
        if not self._troubled:
            self._troubled = True
            log.error("worker_waits_for_store", code=error.code, detail=error.detail)
        await asyncio.sleep(TROUBLE_SECONDS)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            with contextlib.suppress(StorageError):
                await self.keep_leases()

    async def keep_leases(self) -> None:
        """Say that the jobs held here are alive, and stop those that another worker has taken over.

        Done at every third of a lease. Raises StorageError kinds.
        """
        lost = await self._leases.keep([*(claimed for claimed, _ in self._running.values()), *self._ready])
        for claimed, task in self._running.values():
            if (claimed.job.job_id, claimed.job.fence) in lost:
                task.cancel()
        self._ready = deque(one for one in self._ready if (one.job.job_id, one.job.fence) not in lost)

    # One attempt -----------------------------------------------------------------------------------------------

    async def _attempt(self, claimed: Claimed) -> None:
        started, job = self._now(), claimed.job
        exchanges: list[Exchange] = []
        EXCHANGES.set(exchanges)
        IN_TIME.set(lambda: self._leases.holds(claimed))
        structlog.contextvars.bind_contextvars(job_id=job.job_id, delivery_id=job.delivery_id, attempt=job.attempts + 1)
        work = Work(claimed=claimed, registry=self._registry)
        try:
            result = await self._ending.write(work, await self._run(work), started=started, exchanges=exchanges)
            await self._telling.attempt(work, result, started=started, finished=self._now(), exchanges=exchanges)
            if result.pause is not None:
                self._refreshed = float("-inf")
        except LeaseLostError:
            log.warning("lease_lost")
        except StorageError as error:
            log.error("attempt_not_settled", code=error.code)  # noqa: TRY400 - a store in trouble is no bug of ours
        finally:
            work.end()

    def _ended(self, claimed: Claimed, task: asyncio.Task[None]) -> None:
        """Give the place of an attempt to the next."""
        self._leases.drop(claimed)
        if self._running.get(claimed.job.job_id, (None, None))[1] is task:
            del self._running[claimed.job.job_id]  # unless the job was lost and is being run here again
        self._fill()
        if len(self._ready) <= self._pace.places(self._places) // 2:
            self._wake.set()
            self._hungry.set()

    async def _run(self, work: Work) -> Result:
        stage = self._stages.get(work.claimed.job.kind)
        try:
            if stage is None:
                msg = f"no stage for {work.claimed.job.kind}"
                raise NotImplementedError(msg)  # noqa: TRY301 - settled like every other failure
            return await stage(work)
        except LeaseLostError:
            raise
        except RefusedError as refused:
            return self._failed(work, refused.error, refused=refused)
        except Exception as error:
            if not hasattr(error, "code"):
                log.exception("stage_failed", kind=work.claimed.job.kind)
            return self._failed(work, error)

    def _failed(self, work: Work, error: BaseException, *, refused: RefusedError | None = None) -> Result:
        return failed(
            work, error, schedule=self._schedule, now=self._now(), spread=self._chance.uniform(-1, 1),
            refused=refused.intent if refused is not None else None,
        )  # fmt: skip
