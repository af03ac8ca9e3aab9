"""The time of tests: a clock that they move on, and waiting for gateways until nothing is left to do.

The gateways and all simulators live by the clock, which runs, and which `finish` moves on to the next due job when
nothing can be done at the moment. So the default schedules (look-ups over ten minutes, retries over three days) pass in
no time. What is measured by the machine's own clock stays as it is: HTTP deadlines.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from gateway import keys
from gateway.app import Gateway
from storage.records import Delivery, DeliveryStatus, Job, JobStatus
from tests.invariants import every
from tests.looking import Looking

PATIENCE = 30.0
"""Seconds after which waiting for the gateway is given up."""
LOOK = 0.001
"""Real seconds between two looks at whether a gateway is at work."""
STALLED = 0.2
"""Seconds slept without any change after which time is let pass: what a dead gateway held is held for a while."""


class Clock:
    """The time of the gateway and of the simulators: it runs, and tests move it on."""

    def __init__(self, *, start: datetime | None = None) -> None:
        self.ahead = start - datetime.now(UTC) if start is not None else timedelta()

    def now(self) -> datetime:
        """Return the time, aware."""
        return datetime.now(UTC) + self.ahead

    def unix(self) -> float:
        """Return the time in seconds since 1970."""
        return self.now().timestamp()

    def advance(self, seconds: float) -> None:
        """Move it on, or back."""
        self.ahead += timedelta(seconds=seconds)


class Waiting(Looking):
    """Waits for gateways that share a store and live by a clock."""

    clock: Clock
    nodes: list[Gateway]

    async def finish(self, *, patience: float = PATIENCE, horizon: float = 100 * 3600) -> None:
        """Wait until no delivery and no job has anything left to do, moving the clock on where all only wait.

        Jobs of paused connections may wait on. `horizon` bounds by how many seconds the clock is moved, `patience` for
        how many seconds of waiting it may stand still.
        """
        waiting = await self._live(horizon, patience)
        assert not waiting, f"still waiting after {horizon:.0f} s: {waiting}"

    async def live(self, seconds: float, *, patience: float = PATIENCE) -> None:
        """Let so much time pass, at most: less when nothing is left to do."""
        await self._live(seconds, patience)

    async def _live(self, horizon: float, patience: float) -> list[Job | Delivery]:
        """Let time pass. Waiting is measured by what was slept, not by a clock: a busy machine is given its time."""
        moved, spent, still, seen, step = 0.0, 0.0, 0.0, list[Job | Delivery](), 1.0
        while True:
            while self._busy():
                assert spent < patience, f"not finished within {patience} s: {await self.unfinished()}"
                await asyncio.sleep(LOOK)
                spent, still = spent + LOOK, still + LOOK
            waiting = await self.unfinished()
            if not waiting:
                break
            ahead = self._idle_for(waiting)
            if waiting != seen:
                seen, still, step = waiting, 0.0, 1.0
            elif ahead <= 0 and still > STALLED:
                ahead, still, step = step, 0.0, step * 4
            if ahead > horizon - moved:
                break
            if ahead > 0:
                moved, spent = moved + ahead, 0.0
                self.clock.advance(ahead + 0.001)
                for node in self.nodes:
                    node.app[keys.WORKER].wake()
            assert spent < patience, f"not finished within {patience} s: {waiting}"
            await asyncio.sleep(3 * LOOK)
            spent, still = spent + 3 * LOOK, still + 3 * LOOK
        return waiting

    def _busy(self) -> bool:
        """Whether a gateway is at work on a job, so that its store need not be asked."""
        return any(node.app[keys.WORKER].busy for node in self.nodes)

    def _idle_for(self, waiting: Sequence[Job | Delivery]) -> float:
        """Return for how many seconds nothing can happen: all that is left are jobs that are not due, or held back."""
        now, times = self.now(), []
        for item in waiting:
            if not isinstance(item, Job) or item.status is not JobStatus.PENDING or item.next_attempt_at is None:
                return 0.0
            waits = [node.app[keys.REGISTRY].breaker(item.gate).waits_until or now for node in self.nodes]
            times.append(max(item.next_attempt_at, min(waits)))
        return (min(times) - now).total_seconds()

    async def unfinished(self) -> list[Job | Delivery]:
        """Return the jobs that run or may run, and the deliveries that were not dispatched yet."""
        open_gates = {row.name for row in await self.store.list_connections() if row.status == "active"}
        left = await self.store.backlog()
        if not left.deliveries and not left.jobs:
            return []
        # Asked for on both sides of those that run: a job that is taken up between two questions would be in neither.
        waiting = await every(self.store.list_jobs, status=JobStatus.PENDING)
        running = await every(self.store.list_jobs, status=JobStatus.RUNNING)
        again = await every(self.store.list_jobs, status=JobStatus.PENDING)
        waiting = list({job.job_id: job for job in (*waiting, *again)}.values())
        pending = [job for job in waiting if job.gate in open_gates or job.gate.startswith("source:")]
        dispatched = {job.delivery_id for job in (*running, *waiting)}
        deliveries = await every(self.store.list_deliveries, status=DeliveryStatus.PENDING)
        fresh = [delivery for delivery in deliveries if delivery.delivery_id not in dispatched]
        return [*running, *pending, *fresh]

    async def until(self, condition: Callable[[], object], *, patience: float = PATIENCE) -> None:
        """Wait, in real time, until something holds."""
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, "it did not come about"
            await asyncio.sleep(0.004)
