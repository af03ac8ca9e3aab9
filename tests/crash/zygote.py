"""Processes of the gateway, forked after their imports: `python -m tests.crash.zygote`, steered by lines of JSON.

    {"start": {"env": {…}, "driven": true, "stderr": "…"}}  → {"pid": 123}
    {"poll": 123}                                           → {"status": null | -9 | 0 | …}

A child is the whole program from `main` on, with its own loop, threads and files; only the second that its imports take
is saved, of which a matrix of kills needs hundreds.
"""

import json
import os
import sys
import traceback
from typing import Any

import uvloop

import gateway.app
import gateway.cli.serving
import tests.crash.driver
from gateway.budget import Budget
from gateway.cli import main
from gateway.plugins import connector_plugins, source_plugins

__all__ = ["gateway", "uvloop"]


def _quicken() -> None:
    """Let no provider's rate per second slow the kills down; what happens is the same, only sooner."""
    made = Budget.__init__

    def quick(self: Budget, *args: Any, **named: Any) -> None:
        made(self, *args, **named)
        self.windows = ()

    Budget.__init__ = quick  # type: ignore[method-assign]


def _child(order: dict[str, Any]) -> None:
    """Become a process of the gateway. Never returns."""
    code = 70
    try:
        log = os.open(order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        os.dup2(log, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(order["env"])
        code = tests.crash.driver.main() if order.get("driven") else main(["serve"])
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
