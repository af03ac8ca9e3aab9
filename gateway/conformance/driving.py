"""Letting the kit's workers work until all is done, on a clock that jumps to whatever is due next."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from connectors.testing.clock import Clock
from gateway.conformance.node import Node
from storage.records import Job, JobStatus

TURNS = 500
POLL_SECONDS = 0.005


async def drive(
    nodes: Sequence[Node], job_ids: Sequence[str], *, outage: float = 0.0, shared: Callable[[], bool] = lambda: False
) -> None:
    """Let nodes work until every job has ended, jumping to whatever is due next.

    `shared` says whether another process may hold a job that this one waits for: the caller then limits the time.
    Raises TimeoutError when nothing ends.
    """
    first, turns, clock = True, 0, nodes[0].clock
    while turns < TURNS:
        claimed = [(node, one) for node in nodes for one in await node.claim()]
        if claimed:
            turns += 1
            await asyncio.gather(*(node.attempt(one) for node, one in claimed))
            if first:
                clock.advance(outage)
                first = False
            continue
        jobs = [await nodes[0].store.get_job(job_id) for job_id in job_ids]
        pending = [job for job in jobs if job.status in {JobStatus.PENDING, JobStatus.RUNNING}]
        if not pending or await _is_paused(nodes[0]):
            return
        if shared():
            await asyncio.sleep(POLL_SECONDS)
        else:
            turns += 1
        clock.advance_to(min(_due(job, clock) for job in pending))
    raise TimeoutError(f"{len(job_ids)} jobs did not end after {TURNS} turns")


def _due(job: Job, clock: Clock) -> datetime:
    return job.next_attempt_at if job.next_attempt_at is not None else clock.now()


async def _is_paused(node: Node) -> bool:
    return any(row.status == "paused" for row in await node.store.list_connections())
