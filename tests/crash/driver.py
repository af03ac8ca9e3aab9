"""The gateway as a process that dies by its own hand: as `serve`, with a store that kills it at a step."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

from gateway import logs, settings
from gateway.app import Gateway
from storage import Store, store_for
from tests.crash.killing import KillingStore, Point

POINT, RECORD = "LEDGERGATE_TEST_KILL_AT", "LEDGERGATE_TEST_RECORD"


def main() -> int:
    """Run until SIGTERM, or until the step at which to die; return the exit code."""
    asyncio.run(_main())
    return 0


async def _main() -> None:
    point, record = os.environ.get(POINT), os.environ.get(RECORD)
    loaded = settings.load()
    logs.configure(loaded.log_format, loaded.log_level)
    store: Any = KillingStore(
        store_for(loaded.database_url), point=Point.load(point) if point else None,
        record=Path(record) if record else None,
    )  # fmt: skip
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with Gateway(loaded, store=cast("Store", store)):
        await stopping.wait()
