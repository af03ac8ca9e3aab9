"""Leases that end under a worker: what it runs by a later claim goes on, and no place is lost."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

from connectors.testing.simulator import Call, Moment
from gateway import keys
from gateway.app import Gateway
from storage import Store
from storage.records import JobStatus
from storage.sqlite.store import SqliteStore
from tests.harness import Rig


class SlowStore(SqliteStore):
    """A store whose answer to a sign of life is held back on its way."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked, self.let_through = asyncio.Event(), asyncio.Event()

    async def extend_leases(self, held: Mapping[str, int], *, owner: str, until: datetime) -> set[str]:
        lost = await super().extend_leases(held, owner=owner, until=until)
        self.asked.set()
        await self.let_through.wait()
        return lost


async def test_an_answer_about_a_lease_that_has_ended_stops_only_what_ran_under_it(tmp_path: Path) -> None:
    """The job was claimed again here while the answer was on its way: that attempt runs on, and ends the job."""
    store = SlowStore(tmp_path / "rig.db")
    rig = Rig(tmp_path)
    rig.kind = partial(Gateway, store=cast("Store", store))
    begun: list[Call] = []
    gate = asyncio.Event()

    async def hold(call: Call, moment: Moment) -> None:
        if moment is Moment.BEFORE and call.route.startswith("GET /v1/invoices"):
            begun.append(call)
            await gate.wait()

    try:
        await rig.start()
        worker = rig.gateway.app[keys.WORKER]
        await rig.add_flexprice()
        await rig.add_nomod()
        rig.flexprice.hook = hold
        await rig.finalize(rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"])
        await rig.until(lambda: len(begun) == 1)
        rig.clock.advance(rig.settings.lease_seconds + 1)
        await taken_by_another_and_handed_back(store, rig)
        saying = asyncio.create_task(worker.keep_leases())
        await asyncio.wait_for(store.asked.wait(), 20)
        worker.wake()
        await rig.until(lambda: len(begun) == 2)
        store.let_through.set()
        await saying
        gate.set()
        await rig.until(lambda: not worker.busy)
        assert (await rig.job(kind="ensure_customer")).status is JobStatus.SUCCEEDED
        assert len(begun) == 2
        await rig.finish()
        await rig.check(all_linked=True)
    finally:
        store.let_through.set()
        gate.set()
        await rig.stop()


async def taken_by_another_and_handed_back(store: SqliteStore, rig: Rig) -> None:
    """Another worker takes the job over, and stops in good order: it is free again, under a later fence."""
    (claimed,) = await store.claim_jobs({"nomod-prod": 1}, owner="another", now=rig.now(), lease=timedelta(minutes=1))
    await store.release_jobs({claimed.job.job_id: claimed.job.fence}, owner="another", now=rig.now())
