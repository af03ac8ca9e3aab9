"""One load on one server: by wrk where it is installed, by our own generator else; on its own core."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.deliveries import Request, write
from bench.generator import MAX_SECONDS, Load
from bench.machine import cores, pinned
from bench.process import environment

_RESULT = re.compile(r"^BENCH (\d+) (\S+) (\S+) (\S+) (\S+) (\d+) (\S*)$", re.MULTILINE)
SPARE = 8
"""Requests beyond the count for each connection of wrk, which sends on until the last answer is there."""


def has_wrk() -> bool:
    """Whether wrk is installed (Debian has a package of that name)."""
    return shutil.which("wrk") is not None


def spare(connections: int) -> int:
    """Return how many requests more than are counted have to be made."""
    return SPARE * connections if has_wrk() else 0


def send(requests: Sequence[Request], *, count: int, port: int, connections: int, engine: str = "wrk") -> Load:
    """Send `count` of the requests over so many connections. Raises RuntimeError when the generator fails."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data, index = write(requests if engine == "wrk" and has_wrk() else requests[:count], Path(folder))
        if engine == "wrk" and has_wrk():
            return _by_wrk(data, index, count=count, port=port, connections=connections)
        command = [
            sys.executable, "-m", "bench.generator", str(data), str(index), "--port", str(port),
            "--connections", str(connections),
        ]  # fmt: skip
        return Load(**json.loads(_run(command, environment({}))))


def _by_wrk(data: Path, index: Path, *, count: int, port: int, connections: int) -> Load:
    command = [
        "wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{MAX_SECONDS:.0f}s", "--timeout",
        "20s", "--script", str(Path(__file__).with_name("wrk.lua")), f"http://127.0.0.1:{port}/",
    ]  # fmt: skip
    told = _run(command, {**os.environ, "BENCH_DATA": str(data), "BENCH_INDEX": str(index), "BENCH_COUNT": str(count)})
    found = _RESULT.search(told)
    if found is None:
        raise RuntimeError(f"wrk gave no result: {told[-300:]}")
    answered, seconds, p50, p99, most, lost, statuses = found.groups()
    return Load(
        requests=int(answered), seconds=float(seconds), p50_ms=float(p50) / 1000, p99_ms=float(p99) / 1000,
        max_ms=float(most) / 1000, statuses=_statuses(statuses), errors=int(lost), engine="wrk",
    )  # fmt: skip


def _statuses(text: str) -> dict[str, int]:
    pairs = (part.split(":") for part in text.split(";") if part)
    return {status: int(count) for status, count in pairs}


def _run(command: Sequence[str], env: dict[str, str]) -> str:
    with pinned(cores()[1]):
        done = subprocess.run(list(command), env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr)[-500:]}")
    return done.stdout
