"""The lane of durable peers: webhooks taken in and worked off, each as an empty job, until nothing is left."""

import http.client
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench.deliveries import SECRETS
from bench.door import estimate, measure, undispatched, unexpected
from bench.figures import Sample
from bench.plan import Plan
from bench.postgres import Databases, has_postgres, postgres
from bench.process import DRAIN_SECONDS, Server, free_port
from bench.subjects import DBOS, PROCRASTINATE, RESTATE, Subject, importable, ours, uvicorn

CONNECTIONS = 64
LANE = "worked off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """A subject that works off what it has taken in, and how many it still has to."""

    subject: Subject
    left: Callable[[Server, int], float]
    """The server, and how many it was given in all → how many are not done."""


def durable(plan: Plan) -> None:
    """Measure whoever is installed, interleaved."""
    on_postgres = [
        (name, factory)
        for name, factory, package in (
            (DBOS, "bench.peers.dbos_flow:create", "dbos"),
            (PROCRASTINATE, "bench.peers.procrastinate_queue:create", "procrastinate"),
        )
        if has_postgres() and importable(plan.peer_python, "psycopg", package)
    ]
    with postgres() if on_postgres else nullcontext(None) as databases:
        subjects = [Durable(subject=ours(), left=lambda server, _: undispatched(server))]
        if databases is not None:
            subjects += [_on_postgres(plan.peer_python, databases, *peer) for peer in on_postgres]
        if (plan.peer_modules / "node_modules" / ".bin" / "restate-server").exists():
            subjects.append(_restate(plan.peer_modules))
        for turn in range(plan.rounds):
            for one in subjects:
                folder = plan.place("durable")
                with one.subject.start(folder, {}) as server:
                    _one(plan, one, server, turn)
                shutil.rmtree(folder, ignore_errors=True)


def _one(plan: Plan, one: Durable, server: Server, turn: int) -> None:
    count = estimate(plan, server, CONNECTIONS)
    given = plan.warm_up
    server.wait_for(lambda: one.left(server, given) <= 0, every=0.05, patience=DRAIN_SECONDS)
    got = measure(server, count, connections=CONNECTIONS)
    accepted = perf_counter()
    given += got.requests
    server.wait_for(lambda: one.left(server, given) <= 0, every=0.02, patience=DRAIN_SECONDS)
    after = perf_counter() - accepted
    figures = {
        "per_second": got.per_second, "p99_ms": got.p99_ms, "drained_per_second": got.requests / (got.seconds + after),
    }  # fmt: skip
    plan.note(Sample(lane=LANE, subject=one.subject.name, round=turn, figures=figures, notes=unexpected(got)))


def _on_postgres(python: str, databases: Databases, name: str, factory: str) -> Durable:
    def start(folder: Path, env: Mapping[str, str]) -> Server:
        peer = {**env, "BENCH_POSTGRES": databases("peer"), "BENCH_SECRET": SECRETS[1]}
        return uvicorn(python, factory, folder=folder, env=peer)

    return Durable(subject=Subject(name=name, start=start), left=lambda server, given: given - _done(server.port))


def _restate(modules: Path) -> Durable:
    counter = 0

    def start(folder: Path, env: Mapping[str, str]) -> Server:
        nonlocal counter
        ports = {name: free_port() for name in ("ingress", "admin", "node", "service", "done")}
        counter = ports["done"]
        command = [sys.executable, "-m", "bench.peers.restate", "--folder", str(folder), "--modules", str(modules)]
        command += [part for name, port in ports.items() for part in (f"--{name}", str(port))]
        server = Server(
            command, port=ports["ingress"], log=folder / "server.log", env={**env, "BENCH_SECRET": SECRETS[1]},
            path="/hooks/receive/send",
        )  # fmt: skip
        try:
            server.wait_for((folder / "ready").exists, every=0.05)
        except BaseException:
            server.stop()
            raise
        return server

    return Durable(subject=Subject(name=RESTATE, start=start), left=lambda _, given: given - _done(counter))


def _done(port: int) -> int:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        asked.request("GET", "/done")
        return int(json.loads(asked.getresponse().read())["done"])
    finally:
        asked.close()
