"""Whole gateways on one PostgreSQL: a door here and a worker there, and a server that goes away and comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.testing.simulator import Fault, FaultKind
from gateway import keys
from gateway.app import Gateway
from gateway.breaker import OPENS_AFTER, Circuit
from storage.records import JobStatus
from tests.harness import NOMOD, Rig, open_rig
from tests.invariants import every
from tests.postgres_setup import Server

pytestmark = pytest.mark.postgres
PROMPT = 10.0
"""Seconds in which what is woken must be done: a worker that only looked now and then would take up to thirty."""


@pytest.fixture
async def rig(tmp_path: Path, postgres_url: str) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path, database_url=postgres_url, secret_key_file=tmp_path / "secret.key") as opened:
        yield opened


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.remove()


async def finished(rig: Rig) -> None:
    """Wait until nothing is left to do, without waking anybody."""
    async with asyncio.timeout(PROMPT):
        while True:
            if not await rig.unfinished():
                return
            await asyncio.sleep(0.01)


async def test_a_worker_is_woken_by_a_door_in_another_process(rig: Rig) -> None:
    await rig.add_flexprice()
    await rig.add_nomod()
    await rig.stop_nodes()
    door, worker = Gateway(rig.settings, now=rig.now, work=False), Gateway(rig.settings, now=rig.now, serve=False)
    for node in (door, worker):
        await node.__aenter__()
        rig.nodes.append(node)
    assert keys.WORKER not in door.app
    assert worker.port == 0
    await asyncio.sleep(1.1)  # the worker has nothing to do and is asleep
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await finished(rig)
    await rig.check()


async def test_what_is_configured_at_one_node_is_taken_up_by_the_others(rig: Rig) -> None:
    other = await rig.start_node()
    await rig.add_flexprice()
    await rig.add_nomod()
    await rig.until(lambda: NOMOD in other.app[keys.REGISTRY].connections, patience=PROMPT)


async def test_a_circuit_that_one_node_opens_is_open_for_all_and_one_probe_closes_it(rig: Rig) -> None:
    await rig.start_node()
    await rig.add_flexprice()
    await rig.add_nomod()
    await rig.refresh()
    rig.nomod.faults.add(Fault(kind=FaultKind.FAIL_BEFORE, route="GET /v1/customers", times=1000))
    for n in range(OPENS_AFTER + 3):
        customer = rig.flexprice.add_customer(name=f"Ada {n}", email=f"ada{n}@example.com")
        await rig.finalize(customer["id"], node=n % 2)
    breakers = [node.app[keys.REGISTRY].breaker(NOMOD) for node in rig.nodes]
    await rig.until(lambda: all(breaker.state is not Circuit.CLOSED for breaker in breakers))
    rig.nomod.faults.clear()
    await rig.finish()
    await rig.check()
    await rig.refresh()
    assert {breaker.state for breaker in breakers} == {Circuit.CLOSED}


async def test_a_server_that_is_away_costs_503_and_nothing_else(tmp_path: Path, server: Server) -> None:
    """Stopped as by a power cut, with two nodes at work; nothing is started again, and nothing is lost or doubled."""
    settings: dict[str, Any] = {
        "database_url": server.url, "secret_key_file": tmp_path / "secret.key", "lease_seconds": 1,
    }  # fmt: skip
    async with open_rig(tmp_path, **settings) as rig, aiohttp.ClientSession() as session:
        await rig.start_node()
        await rig.add_flexprice()
        await rig.add_nomod()
        await rig.refresh()
        people = [rig.flexprice.add_customer(name=f"Ada {n}", email=f"ada{n}@example.com") for n in range(6)]
        for n, person in enumerate(people[:3]):
            await rig.finalize(person["id"], node=n % 2)
        await asyncio.to_thread(server.stop)
        try:
            for node in rig.nodes:
                target = rig.target(node=rig.nodes.index(node))
                refused = await rig.post({"type": "invoice.update.finalized"}, node=rig.nodes.index(node))
                assert refused.status == 503
                async with session.post(target.url, data=b"{}") as answer:
                    assert answer.status == 401  # a stranger is told nothing of it
                async with session.get(f"{node.url}/readyz") as answer:
                    assert answer.status == 503
                async with session.get(f"{node.url}/healthz") as answer:
                    assert answer.status == 200
        finally:
            await asyncio.to_thread(server.start)
        for n, person in enumerate(people[3:]):
            await again_until_taken(rig, person["id"], node=n % 2)
        await rig.finish()
        await rig.check()
        jobs = await every(rig.store.list_jobs)
        assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}


async def again_until_taken(rig: Rig, customer_id: str, *, node: int) -> None:
    """Send a webhook as a platform does: again, until it is acknowledged."""
    invoice = rig.flexprice.add_invoice(customer_id)["id"]
    async with asyncio.timeout(PROMPT):
        while True:
            try:
                await rig.announce(invoice, node=node, message_id=f"msg_{invoice}")
            except AssertionError:
                await asyncio.sleep(0.05)
            else:
                return
