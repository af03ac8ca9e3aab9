"""The network fails for hours, by names that resolve no more and services that hang: work goes on when it is back."""

import socket
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from connectors.testing.simulator import Fault, FaultKind
from gateway import keys
from storage.records import JobStatus
from tests.harness import Rig

HOUR = 3600.0


class Names(AbstractResolver):
    """A resolver that knows every name as this machine, until it is down."""

    def __init__(self) -> None:
        self.down = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self.down:
            raise OSError(None, "Temporary failure in name resolution")
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is held."""


def named(url: str) -> str:
    """Return the address of a simulator with a name instead of a number."""
    return url.replace("127.0.0.1", "service.example")


async def test_without_dns_webhooks_are_taken_and_nothing_fails_for_good(rig: Rig) -> None:
    names = Names()
    connector: Any = rig.gateway.app[keys.SESSION].connector
    connector._resolver, connector._use_dns_cache = names, False
    await rig.add_flexprice(api_url=named(rig.flexprice.api_url))
    await rig.add_nomod(base_url=named(rig.nomod.url))
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.finish()
    names.down = True
    for service in (rig.flexprice, rig.nomod):  # no connection outlives it
        await service.stop()
        await service.start()
    people = [rig.flexprice.add_customer(name=f"Guest {n}", email=f"guest{n}@example.com") for n in range(3)]
    for one in people:
        await rig.finalize(one["id"])
    await rig.live(12 * HOUR)
    waiting = await rig.jobs(status=JobStatus.PENDING)
    assert len(waiting) == len(people)
    assert {job.error["code"] for job in waiting if job.error} <= {"unreachable", "source_unavailable"}
    names.down = False
    await rig.finish()
    assert len(rig.nomod.creations) == 1 + len(people)
    await rig.check(all_linked=True)


async def test_a_provider_that_hangs_for_hours_keeps_nobody_else_waiting_and_is_tried_until_it_answers(
    rig: Rig,
) -> None:
    """Each request is given up after its deadline, before it was done or after; the other provider's work goes on."""
    await rig.add_flexprice()
    await rig.add_nomod(timeout_seconds=1)
    await rig.add_quickbooks()
    for kind in (FaultKind.HANG_AFTER, FaultKind.HANG_BEFORE):
        rig.nomod.faults.add(Fault(kind=kind, route="POST /v1/customers", seconds=6 * HOUR))
    rig.nomod.faults.add(
        Fault(kind=FaultKind.HANG_BEFORE, route="GET /v1/customers", seconds=6 * HOUR, times=3, skip=1)
    )
    ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
    await rig.finalize(ada["id"])
    await rig.until(lambda: len(rig.intuit.customers) == 1)
    await rig.finish()
    assert len(rig.nomod.creations) == 1
    assert not rig.nomod.faults.faults or rig.nomod.faults.faults[0].kind is FaultKind.HANG_BEFORE
    await rig.check(all_linked=True)
