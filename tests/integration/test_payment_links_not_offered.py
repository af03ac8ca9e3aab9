"""Payment links of a connector that makes none: the request says so, and the connection goes on for all else."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from gateway.app import Gateway
from gateway.pipeline.dispatch import link_job
from storage import Store
from storage.records import EVERYWHERE, EntityMapping, JobStatus, MappingKey, Scope
from storage.sqlite.store import SqliteStore
from tests.harness import QUICKBOOKS, Rig
from tests.integration.api_setup import Callers, callers
from tests.integration.payment_setup import an_invoice, ask


@pytest.fixture
async def who(rig: Rig) -> AsyncIterator[Callers]:
    await rig.add_flexprice()
    async with callers(rig) as made:
        yield made


async def test_a_connector_without_payment_links_brings_the_customer_and_says_so(rig: Rig, who: Callers) -> None:
    await rig.add_quickbooks(outbound=False)
    customer, invoice = an_invoice(rig)
    answer = await ask(who, invoice, connection=QUICKBOOKS)
    assert answer.status == 202
    await rig.finish()
    again = await ask(who, invoice, connection=QUICKBOOKS)
    assert (again.status, again.code) == (409, "capability_missing")
    assert str(await rig.linked(customer, QUICKBOOKS)) in again.json["detail"]


class LateStore(SqliteStore):
    """A store whose first answer about a customer's mapping is held back on its way, when that is wished."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.holds, self.read, self.let_through = False, asyncio.Event(), asyncio.Event()

    async def get_mapping(self, key: MappingKey, scope: Scope = EVERYWHERE) -> EntityMapping | None:
        found = await super().get_mapping(key, scope)
        if self.holds and key.entity_type == "customer":
            self.holds = False
            self.read.set()
            await self.let_through.wait()
        return found


async def test_a_customer_who_is_linked_while_the_request_is_read_leads_to_no_job_that_the_connector_cannot_do(
    tmp_path: Path,
) -> None:
    """Such a job paused the connection, again and again."""
    store = LateStore(tmp_path / "rig.db")
    rig = Rig(tmp_path)
    rig.kind = partial(Gateway, store=cast("Store", store))
    try:
        await rig.start()
        await rig.add_flexprice()
        await rig.add_quickbooks()
        async with callers(rig) as who:
            customer, invoice = an_invoice(rig)
            store.holds = True
            asking = asyncio.create_task(ask(who, invoice, connection=QUICKBOOKS))
            await asyncio.wait_for(store.read.wait(), 20)
            await rig.announce(invoice)
            await rig.finish()
            assert await rig.linked(customer, QUICKBOOKS)
            store.let_through.set()
            assert (await asking).status == 202
            await rig.finish()
            again = await ask(who, invoice, connection=QUICKBOOKS)
        assert (again.status, again.code) == (409, "capability_missing")
        assert [job.kind for job in await rig.jobs(status="failed")] == []
        assert {row.status for row in await rig.store.list_connections()} == {"active"}
        await rig.check(all_linked=True)
    finally:
        store.let_through.set()
        await rig.stop()


async def test_a_link_job_of_a_connector_that_makes_none_fails_alone(rig: Rig, who: Callers) -> None:
    """As after a connection has got another connector: the connection goes on for all else."""
    await rig.add_quickbooks(outbound=False)
    _, invoice = an_invoice(rig)
    await ask(who, invoice, connection=QUICKBOOKS)
    await rig.finish()
    home = next(iter(await rig.store.list_sources()))
    job = link_job(home, invoice, connection=QUICKBOOKS, delivery_id=None, now=rig.now())
    await rig.store.add_job(job, now=rig.now())
    await rig.finish()
    ended = await rig.job(kind="ensure_payment_link")
    assert (ended.status, ended.error["code"]) == (JobStatus.FAILED, "capability_missing")
    assert {row.status for row in await rig.store.list_connections()} == {"active"}
