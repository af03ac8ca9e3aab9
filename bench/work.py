"""The lanes of the work behind the door: jobs end to end, what one costs, and which stage takes which share."""

import asyncio
import json
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from bench import generator
from bench.deliveries import Request, request
from bench.door import metric
from bench.figures import Sample
from bench.machine import cores, pinned
from bench.ours import TENANTS, Installation, source_path
from bench.plan import Plan
from bench.process import Server
from bench.services import Seen, Services, UnfinishedError
from bench.subjects import OURS

NEW = "job, new customer"
MAPPED = "job, mapped customer"
END_TO_END = "end to end: {}"
STAGES = "stages: {}"
CONNECTIONS = 16
WARM = 24


def jobs(plan: Plan) -> None:
    """Jobs for new and for mapped customers: through the door while the worker runs, and drained from a backlog."""
    for turn in range(plan.rounds):
        folder = plan.place("jobs")
        with pinned(cores()[1]):
            uvloop.run(Round(plan, folder, turn).run())
        shutil.rmtree(folder)


class Round:
    """One round: one gateway, its simulated services, groups of customers for each measurement."""

    def __init__(self, plan: Plan, folder: Path, turn: int) -> None:
        self._plan, self._folder, self._turn = plan, folder, turn
        self._services = Services()
        self._backlog = Backlog(self._services, turn)

    async def run(self) -> None:
        """Measure."""
        async with self._services as services:
            installation = await asyncio.to_thread(Installation, self._folder, behind=services.behind())
            await self._end_to_end(installation)
            customers = services.add_customers(self._plan.customers if self._plan.drains else 0)
            for lane in (NEW, MAPPED) if customers else ():
                await self._backlog.fill(installation, customers)
                self._note(lane, await self._drain(installation, len(customers), ("run.py",)))
            if self._turn == 0:
                await self._stages(installation)

    async def _end_to_end(self, installation: Installation) -> None:
        services = self._services
        async with started(installation.server) as server:
            await self._through(server, services.add_customers(WARM))
            customers = services.add_customers(self._plan.customers)
            for lane in (NEW, MAPPED):
                cpu = server.cpu()
                seconds = await self._through(server, customers)
                figures = {
                    "per_second": len(customers) / seconds, "cpu_ms": (server.cpu() - cpu) / len(customers) * 1000,
                }  # fmt: skip
                self._note(END_TO_END.format(lane), figures)

    async def _through(self, server: Server, customers: Sequence[str]) -> float:
        """Send webhooks while the worker runs; return the seconds until the last request of the last job."""
        requests = self._backlog.requests(server, customers)
        began = time.perf_counter()
        await _send(server, requests)
        return await self._services.until(self._backlog.is_done) - began

    async def _drain(self, installation: Installation, count: int, program: Sequence[str]) -> dict[str, float]:
        """Start the gateway on a backlog; return jobs a second and what each costs, without the start."""
        services, before = self._services, self._services.seen().confirmed
        async with started(lambda: installation.server(program=program)) as server:
            if program != ("run.py",):
                server.send_signal(signal.SIGUSR2)
            began, cpu, early = time.perf_counter(), server.cpu(), services.seen().confirmed - before
            last = await services.until(self._backlog.is_done)
            left = max(1, count - early)
            figures = {"per_second": left / (last - began), "cpu_ms": (server.cpu() - cpu) / left * 1000}
            if metric(server, "ledgergate_deliveries_undispatched"):
                raise UnfinishedError("deliveries were left")
        return figures

    async def _stages(self, installation: Installation) -> None:
        target = self._folder / "stages.json"
        customers = self._services.add_customers(self._plan.customers)
        for lane in (NEW, MAPPED):
            await self._backlog.fill(installation, customers)
            await self._drain(installation, len(customers), ("-m", "bench.stages", str(target)))
            taken = json.loads(target.read_text("utf-8"))
            self._note(STAGES.format(lane), {name: used / len(customers) for name, used in taken.items()})

    def _note(self, lane: str, figures: dict[str, float]) -> None:
        self._plan.note(Sample(lane=lane, subject=OURS, round=self._turn, figures=figures))


class Backlog:
    """Webhooks that wait for a worker, and whether all that they ask for was done. `turn` keeps their ids apart."""

    def __init__(self, services: Services, turn: int = 0) -> None:
        self._services, self._turn = services, turn
        self._asked = 0
        self._known: set[str] = set()

    @property
    def customers(self) -> int:
        """Return how many customers they are about."""
        return len(self._known)

    async def fill(self, installation: Installation, customers: Sequence[str]) -> None:
        """Take in a webhook for each customer, with no worker running."""
        async with started(lambda: installation.server(work=False)) as server:
            await _send(server, self.requests(server, customers))

    def requests(self, server: Server, customers: Sequence[str]) -> list[Request]:
        """Return a signed webhook for a new invoice of each customer; a customer keeps to one tenant."""
        made = []
        for n, body in enumerate(self._services.finalize(customers)):
            message_id = f"msg_{self._turn}_{self._asked + n}"
            raw = request(body, path=source_path(n % TENANTS), port=server.port, message_id=message_id)
            made.append(Request(raw))
        self._asked += len(made)
        self._known.update(customers)
        return made

    def is_done(self, seen: Seen) -> bool:
        """Whether each webhook's invoice was looked at, and each customer made and written back."""
        return seen.confirmed >= self._asked and min(seen.created, seen.written_back) >= len(self._known)


@asynccontextmanager
async def started(start: Callable[[], Server]) -> AsyncIterator[Server]:
    """Start and stop a server in a thread: the simulated services must answer it meanwhile."""
    server = await asyncio.to_thread(start)
    try:
        await asyncio.to_thread(server.__enter__)
        yield server
    finally:
        await asyncio.to_thread(server.stop)


async def _send(server: Server, requests: Sequence[Request]) -> None:
    load = await generator.send(requests, port=server.port, connections=CONNECTIONS)
    if load.unexpected():
        raise UnfinishedError(f"the door did not take everything: {load.statuses}")
