"""Procrastinate, a job queue in PostgreSQL: one job for each webhook, worked off in the same process.

It knows no repeat of a job that has ended; an inbox with a unique key would have to be written beside it.
"""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bench.peers.endpoint import application

CONCURRENCY = 10


def create() -> Any:
    """Return the application that `uvicorn --factory` runs; the environment names database and secret."""
    procrastinate: Any = importlib.import_module("procrastinate")
    connector = procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_POSTGRES"], min_size=4, max_size=10)
    jobs = procrastinate.App(connector=connector)
    finished = 0

    @jobs.task(queue="webhooks")  # type: ignore[untyped-decorator]
    async def handle(message: str, event: Any) -> None:
        del message, event  # the job is empty
        nonlocal finished
        finished += 1

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with jobs.open_async():
            await jobs.schema_manager.apply_schema_async()
            working = asyncio.create_task(
                jobs.run_worker_async(
                    concurrency=CONCURRENCY, install_signal_handlers=False, delete_jobs="successful"
                )
            )  # fmt: skip
            yield
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def keep(headers: Mapping[str, str], _: bytes, event: Any) -> None:
        await handle.defer_async(message=headers["webhook-id"], event=event)

    return application(lifespan, keep, done=lambda: finished)
