"""DBOS, a library of durable workflows on PostgreSQL: one workflow for each webhook, run in the same process.

The workflow's id is the message's, so that a repeat is no second one: https://docs.dbos.dev/python/tutorials/workflow-tutorial
"""

import importlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bench.peers.endpoint import application


def create() -> Any:
    """Return the application that `uvicorn --factory` runs; the environment names database and secret."""
    dbos: Any = importlib.import_module("dbos")
    quiet = {"log_level": "WARNING", "console_log_level": "WARNING"}
    dbos.DBOS(config={"name": "peer", "system_database_url": os.environ["BENCH_POSTGRES"], **quiet})
    finished = 0

    async def handle(message: str, event: Any) -> None:
        del message, event  # the job is empty
        nonlocal finished
        finished += 1

    flow = dbos.DBOS.workflow()(handle)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        dbos.DBOS.launch()
        yield
        dbos.DBOS.destroy()

    async def keep(headers: Mapping[str, str], _: bytes, event: Any) -> None:
        message = headers["webhook-id"]
        with dbos.SetWorkflowID(message):
            await dbos.DBOS.start_workflow_async(flow, message, event)

    return application(lifespan, keep, done=lambda: finished)
