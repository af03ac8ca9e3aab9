"""Restate, a server of durable invocations, with its handler in Node: started together, stopped together.

`/hooks/receive/send` answers once the invocation is safe, before its signature is looked at; it knows a repeat by an
`idempotency-key` header only, which senders of webhooks do not set: https://docs.restate.dev/services/invocation/http
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SERVICE = Path(__file__).with_name("restate.mjs")
START_SECONDS = 30.0
_CONFIG = """
roles = ["http-ingress", "admin", "worker", "log-server", "metadata-server"]
auto-provision = true
default-num-partitions = 4
rocksdb-total-memory-size = "512MB"
disable-telemetry = true
bind-address = "127.0.0.1:{node}"
advertised-address = "http://127.0.0.1:{node}"
[ingress]
bind-address = "127.0.0.1:{ingress}"
[admin]
bind-address = "127.0.0.1:{admin}"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start both, introduce them to each other, write `ready`, and wait until asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("ingress", "admin", "node", "service", "done"):
        parser.add_argument(f"--{name}", type=int, required=True, help="a port")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--modules", type=Path, required=True)
    asked = parser.parse_args(arguments)
    config = asked.folder / "restate.toml"
    config.write_text(_CONFIG.format(ingress=asked.ingress, admin=asked.admin, node=asked.node), "utf-8")
    programs = asked.modules / "node_modules" / ".bin"
    env = {
        **os.environ, "BENCH_MODULES": str(asked.modules), "BENCH_SERVICE_PORT": str(asked.service),
        "BENCH_DONE_PORT": str(asked.done), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = [str(programs / "restate-server"), "--config-file", str(config)]
    commands = ([*server, "--base-dir", str(asked.folder / "restate")], ["node", str(SERVICE)])
    children = [subprocess.Popen(command, env=env, cwd=asked.folder) for command in commands]
    try:
        _introduce(asked.admin, asked.service)
        (asked.folder / "ready").touch()
        return children[0].wait()
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait()


def _introduce(admin: int, service: int) -> None:
    """Tell the server where the handler is. Raises TimeoutError when they never came up."""
    body = json.dumps({"uri": f"http://127.0.0.1:{service}"})
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        asked = http.client.HTTPConnection("127.0.0.1", admin, timeout=10)
        try:
            asked.request("POST", "/deployments", body, {"Content-Type": "application/json"})
            if asked.getresponse().status < 300:
                return
        except OSError:
            pass  # not there yet
        finally:
            asked.close()
        time.sleep(0.1)
    raise TimeoutError("Restate and its handler did not come up")


if __name__ == "__main__":
    raise SystemExit(main())
