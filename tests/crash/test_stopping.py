"""SIGTERM: what runs is finished where that is soon, and handed back where it is not; nobody waits for a lease."""

import asyncio
import signal
from pathlib import Path

from connectors.testing.simulator import Call, Fault, FaultKind, Moment
from gateway import keys
from storage.records import JobStatus, MappingStatus
from tests.crash.nursery import Nursery
from tests.crash.scene import open_scene
from tests.harness import open_rig
from tests.invariants import every


async def test_a_stop_waits_for_the_creates_that_are_under_way(tmp_path: Path, nursery: Nursery) -> None:
    """The answer comes half a second after the signal; the link is written before the process ends."""
    async with open_scene(tmp_path, nursery) as scene:
        created = asyncio.Event()

        async def slow(call: Call, moment: Moment) -> None:
            if call.route == "POST /v1/customers" and moment is Moment.AFTER:
                created.set()
                await asyncio.sleep(0.5)

        scene.nomod.hook = slow
        child = await scene.start()
        scene.invoice(scene.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"])
        async with asyncio.timeout(20):
            await created.wait()
        child.kill(signal.SIGTERM)
        assert await child.ended(within=15) == 0
        linked = await every(scene.store.list_mappings, status=MappingStatus.LINKED, connection="nomod-prod")
        assert [mapping.provider_entity_id for mapping in linked] == list(scene.nomod.customers)
        assert await every(scene.store.list_jobs, status=JobStatus.RUNNING) == []
        scene.nomod.hook = None
        await scene.start()
        await scene.finish()
        await scene.check()


async def test_what_a_stop_cannot_wait_for_is_handed_back_and_begun_at_once_by_the_next_process(
    tmp_path: Path,
) -> None:
    """The create is cut off in the middle: its intent is open, and the next process looks for what it has made."""
    async with open_rig(tmp_path, lease_seconds=3600) as rig:
        await rig.add_flexprice()
        await rig.add_nomod(timeout_seconds=60)
        rig.nomod.faults.add(Fault(kind=FaultKind.HANG_AFTER, route="POST /v1/customers", seconds=60))
        people = [rig.flexprice.add_customer(name=f"Guest {n}", email=f"guest{n}@example.com")["id"] for n in range(4)]
        for one in people:
            await rig.finalize(one)
        await rig.until(lambda: len(rig.nomod.creations) == len(people))
        await rig.gateway.app[keys.WORKER].stop(grace=0.1)
        assert await rig.jobs(status=JobStatus.RUNNING) == []
        begun = rig.clock.now()
        await rig.restart()
        await rig.finish()
        await rig.check(all_linked=True)
        assert (rig.clock.now() - begun).total_seconds() < 60, "it waited for a lease"
