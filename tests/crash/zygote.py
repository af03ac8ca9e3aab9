"""Processes of the gateway, forked after their imports: `python -m tests.crash.zygote`, steered by lines of JSON.

    {"start": {"env": {…}, "driven": true, "stderr": "…"}}  → {"pid": 123}
    {"poll": 123}                                           → {"status": null | -9 | 0 | …}

A child is the whole program from `serve` on, with its own loop, threads and files; only the second that its imports
take is saved, and what a first webhook costs more than others, of which a matrix of kills needs hundreds.
"""

import asyncio
import gc
import json
import os
import sys
import tempfile
import threading
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

import gateway.alerts.watching
import gateway.app
import gateway.pipeline.polling
import tests.crash.driver
from gateway import logs
from gateway.budget import Budget
from gateway.cli.serving import serve as serve_gateway
from gateway.plugins import connector_plugins, source_plugins
from gateway.settings import LogFormat, LogLevel
from tests.crash.driver import SOON
from tests.harness import open_rig

__all__ = ["gateway", "uvloop"]

SOON_SECONDS = 0.2


def _quicken() -> None:
    """Let the kills wait neither for a provider's rate per second nor for minutes that a dead process holds a turn."""
    made = Budget.__init__

    def quick(self: Budget, *args: Any, **named: Any) -> None:
        made(self, *args, **named)
        self.share.windows = ()

    Budget.__init__ = quick  # type: ignore[method-assign]
    gateway.pipeline.polling.LEASE = gateway.alerts.watching.LEASE = timedelta(seconds=1)


async def _warm(folder: Path) -> None:
    """Take one invoice through a gateway: what is made at the first use is there in every child."""
    async with open_rig(folder) as rig:
        await rig.add_flexprice()
        await rig.add_nomod(invoices=True)
        await rig.add_quickbooks(invoices=True)
        await rig.finalize(rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")["id"])
        await rig.finish()


def _child(order: dict[str, Any]) -> None:
    """Become a process of the gateway. Never returns."""
    code = 70
    try:
        log = os.open(order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        os.dup2(log, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(order["env"])
        if SOON in os.environ:
            gateway.alerts.watching.TURN_SECONDS = SOON_SECONDS
        if order.get("driven"):
            tests.crash.driver.main()
        else:
            serve_gateway()
        code = 0
    except BaseException:  # noqa: BLE001 - the child ends here, whatever it was
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _poll(pid: int) -> int | None:
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def serve() -> None:
    """Answer orders until the input ends."""
    _quicken()
    for plugins in (connector_plugins(), source_plugins()):
        for name in plugins.names():
            plugins.load(name)
    logs.configure(LogFormat.JSON, LogLevel.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_warm(Path(folder)))
    assert threading.active_count() == 1, "a fork takes no other thread along"
    gc.collect()
    gc.freeze()  # so that no child copies all pages when it looks for garbage
    for line in sys.stdin:
        order = json.loads(line)
        if "start" in order:
            pid = os.fork()
            if pid == 0:
                _child(order["start"])
            answer: dict[str, Any] = {"pid": pid}
        else:
            answer = {"status": _poll(order["poll"])}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
