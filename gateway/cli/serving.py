"""`serve` and `worker`: the gateway as a process, until it is told to stop."""

import asyncio
import contextlib
import signal
import sys

import structlog

from gateway import logs
from gateway.app import Gateway
from gateway.settings import Settings

try:
    import uvloop
except ImportError:  # not on every platform; asyncio's own loop is slower and as good
    uvloop = None  # type: ignore[assignment]

log = structlog.get_logger("ledgergate")


def run_gateway(settings: Settings, *, serve: bool, work: bool) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. Raises GatewayError, StorageError, OSError at the start."""
    logs.configure(settings.log_format, settings.log_level)
    runner = uvloop.run if uvloop is not None else asyncio.run
    runner(_main(settings, serve=serve, work=work))
    return 0


async def _main(settings: Settings, *, serve: bool, work: bool) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopping.set)
    async with Gateway(settings, serve=serve, work=work) as gateway:
        if gateway.new_admin_key is not None:
            sys.stderr.write(f"Admin API key, shown this once: {gateway.new_admin_key}\n")
        if serve:
            sys.stderr.write(f"Listening on {gateway.url}; console at {gateway.url}/console\n")
        sys.stderr.flush()
        log.info("started", url=gateway.url if serve else None, worker=work)
        await stopping.wait()
        log.info("stopping")
    log.info("stopped")
