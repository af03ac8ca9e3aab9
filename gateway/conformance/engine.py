"""The engine behind the conformance kit: real gateways on databases of their own, and a second process."""

import asyncio
import importlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from connectors.base import Connector, Limiter
from connectors.invoices import Invoice
from connectors.links import PaymentLinkRequest
from connectors.models import Customer
from connectors.testing.clock import Clock
from connectors.testing.engine import End, Engine, Ensuring, Outcome
from gateway.conformance.driving import drive
from gateway.conformance.node import Node, Setup, open_node
from gateway.pipeline.snapshots import to_snapshot
from gateway.secrets import new_key

PROCESS_SECONDS = 60.0
NOT_IMPORTABLE = 4
"""Exit code of the second process when it cannot import the connector."""


class Ensurer:
    """A gateway with one connection. See connectors.testing.engine.Ensuring."""

    def __init__(
        self, setup: Setup, *, session: aiohttp.ClientSession, limiter: Limiter, stack: AsyncExitStack
    ) -> None:
        self._setup, self._session, self._limiter, self._stack = setup, session, limiter, stack
        self._nodes: list[Node] = []
        self._count = 0

    async def ensure(self, customers: Sequence[Customer], *, nodes: int = 1, outage: float = 0.0) -> list[Outcome]:
        """Make customers exist, all at once."""
        working = [await self._node(number) for number in range(nodes)]
        for node in working:
            for customer in customers:
                node.know(customer)
        jobs = await self._submit(customers)
        await drive(working, jobs, outage=outage)
        return [await working[0].outcome(job) for job in jobs]

    async def bill(
        self, invoices: Sequence[Invoice], *, customer_record: str, nodes: int = 1, outage: float = 0.0
    ) -> list[Outcome]:
        """Make invoices exist, all at once."""
        working = [await self._node(number) for number in range(nodes)]
        for node in working:
            for invoice in invoices:
                node.know_invoice(invoice)
        jobs = [await working[0].submit_invoice(invoice, customer_record) for invoice in invoices]
        await drive(working, jobs, outage=outage)
        return [await working[0].outcome(job) for job in jobs]

    async def link(
        self, requests: Sequence[PaymentLinkRequest], *, nodes: int = 1, outage: float = 0.0
    ) -> list[Outcome]:
        """Make payment links exist, all at once."""
        working = [await self._node(number) for number in range(nodes)]
        for node in working:
            for request in requests:
                node.know_invoice(request.invoice)
        jobs = [await working[0].submit_link(request) for request in requests]
        await drive(working, jobs, outage=outage)
        return [await working[0].outcome(job) for job in jobs]

    async def receive(self, payments: Sequence[str], *, nodes: int = 1) -> list[Outcome]:
        """Look at payments, all at once."""
        working = [await self._node(number) for number in range(nodes)]
        jobs = [await working[0].submit_payment(payment) for payment in payments]
        await drive(working, jobs)
        return [await working[0].outcome(job) for job in jobs]

    def paid(self, invoice_id: str) -> list[Decimal]:
        """Return what the platform was told."""
        return [amount for told_of, amount in self._setup.told.values() if told_of == invoice_id]

    async def plan(self, customer: Customer) -> Outcome:
        """Decide, without a write."""
        return await (await self._node(0)).plan(customer)

    async def ensure_with_process(
        self, customers: Sequence[Customer], *, new_config: Mapping[str, Any]
    ) -> list[Outcome]:
        """Share the work with a second process, which then does it all again from an empty database."""
        kind = self._setup.connector
        if getattr(importlib.import_module(kind.__module__), kind.__qualname__, None) is not kind:
            msg = f"{kind.__module__}.{kind.__qualname__} is not the name under which the connector can be imported"
            raise ImportError(msg)
        node = await self._node(0)
        jobs = await self._submit(customers)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.conformance.process", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_environment(),
        )  # fmt: skip
        try:
            async with asyncio.timeout(PROCESS_SECONDS):
                answer = await self._with(process, node, jobs, customers, new_config)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        again = [Outcome(**{**one, "end": End(one["end"]), "attempts": tuple(one["attempts"])}) for one in answer]
        return [await node.outcome(job) for job in jobs] + again

    async def _with(
        self,
        process: asyncio.subprocess.Process,
        node: Node,
        jobs: Sequence[str],
        customers: Sequence[Customer],
        new_config: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("the process was started with pipes")
        setup = self._setup
        told = {
            "database": str(setup.database), "key": setup.key, "module": setup.connector.__module__,
            "name": setup.connector.__qualname__, "config": dict(setup.config), "new_config": dict(new_config),
            "jobs": list(jobs), "now": setup.clock.now().isoformat(),
            "customers": [to_snapshot(customer) for customer in customers],
        }  # fmt: skip
        process.stdin.write(json.dumps(told).encode() + b"\n")
        await process.stdin.drain()
        ready = await process.stdout.readline()
        if ready.strip() == b"ready":
            process.stdin.close()
            await drive([node], jobs, shared=lambda: process.returncode is None)
        output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
        if code == NOT_IMPORTABLE:
            raise ImportError(errors.decode("utf-8", "replace").strip().splitlines()[-1])
        if code != 0:
            msg = f"the second process ended with {code}: {errors.decode('utf-8', 'replace')[-2000:]}"
            raise RuntimeError(msg)
        answer: list[dict[str, Any]] = json.loads(output)
        return answer

    async def _submit(self, customers: Sequence[Customer]) -> list[str]:
        jobs, node = [], await self._node(0)
        for customer in customers:
            self._count += 1
            jobs.append(await node.submit(customer, self._count))
        return jobs

    async def _node(self, number: int) -> Node:
        while len(self._nodes) <= number:
            node = await open_node(
                self._setup, session=self._session, limiter=self._limiter, owner=f"kit-{os.getpid()}-{len(self._nodes)}"
            )
            self._stack.push_async_callback(node.store.close)
            self._stack.push_async_callback(node.connector.close)
            self._nodes.append(node)
        return self._nodes[number]


class EnsureEngine:
    """Opens gateways for the kit. See connectors.testing.engine.Engine."""

    @asynccontextmanager
    async def open(
        self,
        *,
        connector: type[Connector[Any]],
        config: Mapping[str, Any],
        session: aiohttp.ClientSession,
        clock: Clock,
        limiter: Limiter,
    ) -> AsyncIterator[Ensuring]:
        """Open a gateway with an empty database in a directory that is gone afterwards."""
        async with AsyncExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ledgergate-kit-"))
            setup = Setup(
                connector=connector, config=config, database=Path(directory) / "kit.db", key=new_key(), clock=clock
            )
            yield Ensurer(setup, session=session, limiter=limiter, stack=stack)


ENGINE: Engine = EnsureEngine()


def told(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON."""
    return asdict(outcome)


def _environment() -> dict[str, str]:
    """Return the environment of the second process: it finds the same modules, and reads no settings of a gateway."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEDGERGATE_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
