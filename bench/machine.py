"""The machine as it is measured: cores, other load, what a flush costs, a process's CPU time and memory."""

import datetime as dt
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.figures import percentile

_CPU_CLOCK = 2
"""The kernel's name of a process's CPU time inside a clock id: clock_getcpuclockid(3), include/linux/posix-timers.h."""
PACKAGES = ("aiohttp", "uvloop", "orjson", "prometheus-client", "structlog")


def cores() -> tuple[int, int]:
    """Return the core for servers and the core for whoever asks them; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Let what is started in the context run on one core; a child inherits it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all its threads, to the nanosecond. Raises OSError when it has gone."""
    return time.clock_gettime_ns((~pid << 3) | _CPU_CLOCK) / 1e9


def memory_mib(pid: int) -> float:
    """Return a process's proportional set size in MiB: its own pages, and its share of those it has in common."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"process {pid} tells no memory")


def idle_share(seconds: float = 0.5) -> float:
    """Return which share of all cores nobody used during the next `seconds`."""
    first = _ticks()
    time.sleep(seconds)
    second = _ticks()
    total = sum(second) - sum(first)
    return (second[3] + second[4] - first[3] - first[4]) / total if total else 1.0


def wait_until_quiet(most_seconds: float) -> bool:
    """Wait until others leave nine tenths of the machine alone; return whether they did."""
    deadline = time.monotonic() + most_seconds
    while idle_share() < 0.9:
        if time.monotonic() >= deadline:
            return False
    return True


def flush_ms(count: int = 300) -> tuple[float, float]:
    """Return p50 and p99 of appending 4 KiB to a file and syncing it, in milliseconds."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(count):
            begun = time.perf_counter()
            os.write(file.fileno(), b"x" * 4096)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1000)
    taken.sort()
    return percentile(taken, 0.5), percentile(taken, 0.99)


def loop_ms(times: int = 5) -> float:
    """Return what a million additions in Python take, in milliseconds: to compare CPU times of two machines."""
    taken = []
    for _ in range(times):
        begun, total = time.thread_time(), 0
        for number in range(1_000_000):
            total += number
        taken.append((time.thread_time() - begun) * 1000)
    return percentile(sorted(taken), 0.5)


def facts() -> dict[str, Any]:
    """Return what a figure means nothing without."""
    p50, p99 = flush_ms()
    return {
        "at": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "pinned": {"server": cores()[0], "generator": cores()[1]},
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "flush_ms": {"p50": round(p50, 3), "p99": round(p99, 3)},
        "loop_ms": round(loop_ms(), 1),
        "load_before": os.getloadavg()[0],
        "idle_before": round(idle_share(), 2),
    }


def _ticks() -> list[int]:
    first = Path("/proc/stat").read_text("ascii").splitlines()[0]
    return [int(part) for part in first.split()[1:9]]


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
