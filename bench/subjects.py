"""Who is measured at the door, each started afresh in a folder of its own."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.deliveries import SECRETS
from bench.ours import Installation
from bench.postgres import Databases
from bench.process import Server, free_port

OURS = "ledgergate"
DOOR_ALONE = "ledgergate, no worker"
LIMIT = "limit b: verify only"
FLOOR = "limit f: verify, bare group commit"
EACH = "limit e: verify, commit each"
AIOSQLITE = "FastAPI + aiosqlite"
THREADS = "FastAPI + sqlite3 in threads"
DBOS = "DBOS on PostgreSQL"
PROCRASTINATE = "FastAPI + procrastinate on PostgreSQL"
RESTATE = "Restate, /send"

Start = Callable[[Path, Mapping[str, str]], Server]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A server that can be started."""

    name: str
    start: Start
    database: Databases | None = None
    """The server that it stores with, whose CPU is told too."""


def ours() -> Subject:
    """Return the gateway."""
    return Subject(name=OURS, start=lambda folder, env: Installation(folder).server(env=env))


def door_alone() -> Subject:
    """Return the gateway as `serve --no-worker`: what the door takes by itself."""
    return Subject(name=DOOR_ALONE, start=lambda folder, env: Installation(folder).server(env=env, work=False))


def limit(kind: str, name: str) -> Subject:
    """Return one of the bare servers."""

    def start(folder: Path, env: Mapping[str, str]) -> Server:
        port = free_port()
        command = [
            sys.executable, "-m", "bench.limits", kind, "--port", str(port), "--secret", SECRETS[1],
            "--path", str(folder / "limit.db"),
        ]  # fmt: skip
        return Server(command, port=port, log=folder / "server.log", env=env, path="/webhook")

    return Subject(name=name, start=start)


def limits() -> list[Subject]:
    """Return the bare servers of the door."""
    return [limit("b", LIMIT), limit("f", FLOOR)]


def fastapi(python: str) -> list[Subject]:
    """Return what many would write first, run by an interpreter that has FastAPI and uvicorn; none where it has not."""
    peers = [("aiosqlite", AIOSQLITE, ("aiosqlite",)), ("threads", THREADS, ())]
    return [_fastapi(python, store, name) for store, name, needs in peers if importable(python, *needs)]


def _fastapi(python: str, store: str, name: str) -> Subject:
    def start(folder: Path, env: Mapping[str, str]) -> Server:
        peer = {"BENCH_STORE": store, "BENCH_PATH": str(folder / "peer.db"), "BENCH_SECRET": SECRETS[1]}
        return uvicorn(python, "bench.peers.fastapi_inbox:create", folder=folder, env={**env, **peer})

    return Subject(name=name, start=start)


def uvicorn(python: str, factory: str, *, folder: Path, env: Mapping[str, str]) -> Server:
    """Start a Python peer."""
    port = free_port()
    command = [
        python, "-m", "uvicorn", factory, "--factory", "--port", str(port), "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    return Server(command, port=port, log=folder / "server.log", env=env, path="/webhook")


def importable(python: str, *packages: str) -> bool:
    """Whether an interpreter has what every Python peer needs, and these packages."""
    wanted = f"import {', '.join(('fastapi', 'uvicorn', 'standardwebhooks', *packages))}"
    return subprocess.run([python, "-c", wanted], capture_output=True, check=False).returncode == 0
