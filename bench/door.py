"""The lanes of the door: acknowledged webhooks beside the limits, on a slow disk, under a flood, in memory and time."""

import http.client
import random
import shutil
import time
from collections.abc import Mapping, Sequence

from bench import deliveries, flush, load
from bench.figures import Sample
from bench.generator import Load
from bench.ours import Installation, source_path
from bench.plan import Plan
from bench.process import DRAIN_SECONDS, Server
from bench.subjects import EACH, LIMIT, OURS, Subject, door_alone, fastapi, limit, limits, ours

SLOW_MS = 5.0
SLOW_CONNECTIONS = 64
FLOOD = 0.9
"""The share of forged requests in a flood."""
FLOOD_CONNECTIONS = 64
FILL_CONNECTIONS = 64
AT_ONCE = 20_000
"""Requests that are made before they are sent: all of them would not fit in memory."""
GOOD = "all good"
FORGED = "all forged"
FLOODED = "good among a flood"


def door(plan: Plan) -> None:
    """Acknowledged webhooks a second, for each number of connections."""
    subjects = [*limits(), ours(), door_alone(), *fastapi(plan.peer_python)]
    compare(plan, subjects, lane="door c={}", env={}, connections=plan.connections)


def slow_disk(plan: Plan) -> None:
    """The same where each flush takes 5 ms longer, beside a server that commits each request."""
    env = flush.slower(plan.folder, SLOW_MS)
    if env is None:
        plan.tell("  no C compiler: the lane with a slower disk is left out")
        return
    subjects = [limit("b", LIMIT), limit("e", EACH), ours()]
    compare(plan, subjects, lane=f"flush +{SLOW_MS:.0f} ms", env=env, connections=(SLOW_CONNECTIONS,))


def flood(plan: Plan) -> None:
    """Forged signatures: alone, and with good ones among them. By our generator, which tells them apart."""
    for turn in range(plan.rounds):
        folder = plan.place("flood")
        with Installation(folder).server() as server:
            most = estimate(plan, server, FLOOD_CONNECTIONS, engine="python")
            for name, share in ((GOOD, 0.0), (FORGED, 1.0), (FLOODED, FLOOD)):
                made = deliveries.invoices(most, path=server.path, port=server.port, forged=share)
                forged = sum(one.forged for one in made)
                got = load.send(
                    made, count=most, port=server.port, connections=FLOOD_CONNECTIONS, engine="python"
                )  # fmt: skip
                figures = {"per_second": got.per_second, "p50_ms": got.p50_ms, "p99_ms": got.p99_ms}
                if forged < most:
                    figures["good_p99_ms"] = got.good_p99_ms
                notes = unexpected(got, forged=forged)
                plan.note(Sample(lane="flood", subject=name, round=turn, figures=figures, notes=notes))
        shutil.rmtree(folder)


def memory(plan: Plan) -> None:
    """Memory after the start, after many deliveries, with many waiting, and while a worker takes those up."""
    folder = plan.place("memory")
    installation = Installation(folder)
    with installation.server() as server:
        _ask(server)
        figures = {"idle_mib": server.memory()}
        _fill(server, plan.filled)
        figures["loaded_mib"] = server.memory()
        server.wait_for(lambda: undispatched(server) == 0, every=0.2, patience=DRAIN_SECONDS)
        figures["drained_mib"] = server.memory()
    figures["file_bytes_each"] = sum(path.stat().st_size for path in folder.glob("bench.db*")) / plan.filled
    with installation.server(work=False) as server:
        _fill(server, plan.waiting)
        figures["waiting"], figures["waiting_mib"] = undispatched(server), server.memory()
    with installation.server() as server:
        figures["draining_mib"] = server.memory()
        while undispatched(server):
            figures["draining_mib"] = max(figures["draining_mib"], server.memory())
            time.sleep(0.1)
    plan.note(Sample(lane="memory", subject=OURS, round=0, figures=figures))
    shutil.rmtree(folder)


def _fill(server: Server, count: int) -> None:
    for begin in range(0, count, AT_ONCE):
        measure(server, min(AT_ONCE, count - begin), connections=FILL_CONNECTIONS)


def start(plan: Plan) -> None:
    """Seconds from the start of the process to its first 2xx for a signed webhook."""
    for turn in range(plan.starts):
        folder = plan.place("start")
        installation = Installation(folder)
        server = installation.server()
        body = deliveries.invoice_body(turn, random.Random(turn))
        raw = deliveries.request(body, path=source_path(), port=server.port, message_id=f"msg_start{turn}")
        try:
            seconds = server.wait_for(lambda: _accepted(raw, server.port))  # noqa: B023 - called before the next turn
            figures = {"first_2xx_s": seconds, "cpu_s": server.cpu()}
        finally:
            server.stop()
        plan.note(Sample(lane="start", subject=OURS, round=turn, figures=figures))
        shutil.rmtree(folder)


def undispatched(server: Server) -> float:
    """Return how many deliveries the worker has not looked at yet, as /metrics tells."""
    return metric(server, "ledgergate_deliveries_undispatched")


def metric(server: Server, name: str) -> float:
    """Return the sum of a metric's samples. Raises OSError."""
    _, body = server.get("/metrics")
    lines = (line for line in body.decode().splitlines() if line.startswith((f"{name} ", f"{name}{{")))
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def compare(
    plan: Plan, subjects: Sequence[Subject], *, lane: str, env: Mapping[str, str], connections: Sequence[int]
) -> None:
    """Measure subjects in turn, each started afresh; `lane` has a place for the number of connections."""
    for turn in range(plan.rounds):
        for subject in subjects:
            folder = plan.place("door")
            with subject.start(folder, env) as server:
                for number in connections:
                    _one(plan, subject, server, lane=lane.format(number), turn=turn, connections=number)
            shutil.rmtree(folder)


def _one(plan: Plan, subject: Subject, server: Server, *, lane: str, turn: int, connections: int) -> None:
    count = estimate(plan, server, connections)
    mine = subject.name == OURS
    before = undispatched(server) if mine else 0.0
    cpu, stored = server.cpu(), subject.database.cpu() if subject.database else 0.0
    got = measure(server, count, connections=connections)
    used = server.cpu() - cpu
    figures = {
        "per_second": got.per_second, "p50_ms": got.p50_ms, "p99_ms": got.p99_ms,
        "cpu_ms": used / max(1, got.requests) * 1000,
    }  # fmt: skip
    notes = unexpected(got)
    if subject.database is not None:
        figures["store_cpu_ms"] = (subject.database.cpu() - stored) / max(1, got.requests) * 1000
        notes += (f"on {subject.database.version}",)
    if mine:
        figures["dispatched_meanwhile"] = 1 - max(0.0, undispatched(server) - before) / count
        server.wait_for(lambda: undispatched(server) == 0, every=0.05, patience=DRAIN_SECONDS)
    plan.note(Sample(lane=lane, subject=subject.name, round=turn, figures=figures, notes=notes))


def estimate(plan: Plan, server: Server, connections: int, *, engine: str = "wrk") -> int:
    """Warm up, and return how many requests the aimed time takes."""
    got = measure(server, plan.warm_up, connections=connections, engine=engine)
    return max(plan.warm_up, min(plan.most, int(got.per_second * plan.seconds)))


def measure(server: Server, count: int, *, connections: int, engine: str = "wrk") -> Load:
    """Send so many good webhooks; return what came of them."""
    more = load.spare(connections) if engine == "wrk" else 0
    made = deliveries.invoices(count + more, path=server.path, port=server.port)
    return load.send(made, count=count, port=server.port, connections=connections, engine=engine)


def unexpected(got: Load, *, forged: int = 0) -> tuple[str, ...]:
    """Return a note where answers were not as they should be."""
    count = got.unexpected(forged=forged)
    return (f"{count} answers were not as they should be",) if count else ()


def _ask(server: Server) -> None:
    """Let everything run once that a first request loads."""
    server.get("/readyz")
    server.get("/metrics")
    measure(server, 50, connections=1)


def _accepted(raw: bytes, port: int) -> bool:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        asked.connect()
        asked.sock.sendall(raw)
        return asked.sock.recv(4096).split(b" ", 2)[1][:1] == b"2"
    except (OSError, IndexError):
        return False
    finally:
        asked.close()
