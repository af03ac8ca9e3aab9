"""The gateway as a process that dies by its own hand: as `serve`, with a store that kills it where an order says so."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

import uvloop

from gateway import logs, settings
from gateway.app import Gateway
from storage import Store, store_for
from tests.crash.killing import KillingStore

ORDERS = "CRASH_TEST_ORDERS"
"""Names the file where orders lie: one at the start, and one more with each SIGUSR1."""
SOON = "CRASH_TEST_SOON"
"""Set for a process that looks every moment for what needs a person, and not every few seconds."""


def main() -> None:
    """Run until SIGTERM, or until the step at which to die."""
    uvloop.run(_main())


async def _main() -> None:
    loaded = settings.load()
    logs.configure(loaded.log_format, loaded.log_level)
    store: Any = KillingStore(store_for(loaded.database_url), Path(os.environ[ORDERS]))
    store.obey()
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGUSR1, store.obey)
    async with Gateway(loaded, store=cast("Store", store)):
        await stopping.wait()
