"""What the figures have to reach, each as one line of the report: what, how much, what was measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.door import FLOODED, FORGED, GOOD, SLOW_MS
from bench.durable import LANE
from bench.figures import Results
from bench.rates import ON, rate_lane
from bench.subjects import AIOSQLITE, DBOS, EACH, LIMIT, OURS, RESTATE, THREADS
from bench.work import MAPPED, NEW

SLOW = f"flush +{SLOW_MS:.0f} ms"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound, and how the measured value is found; `least` says that it must not be below, else not above."""

    what: str
    bound: float
    measured: Callable[[Results], float | None]
    least: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A target beside what was measured; `met` is None when it was not."""

    what: str
    bound: float
    value: float | None
    least: bool

    @property
    def met(self) -> bool | None:
        """Return whether the bound holds."""
        if self.value is None:
            return None
        return self.value >= self.bound if self.least else self.value <= self.bound


def outcomes(results: Results) -> list[Outcome]:
    """Return every target beside what was measured."""
    return [Outcome(t.what, t.bound, t.measured(results), t.least) for t in targets()]


def targets() -> Iterator[Target]:
    """Return the targets."""
    for connections, share, tail in ((64, 0.60, 2.5), (16, 0.48, 4.0), (1, 0.32, None)):
        lane = f"door c={connections}"
        yield Target(f"{lane}: rate against limit b", share, _ratio(lane, OURS, LIMIT, "per_second"), least=True)
        if tail is not None:
            yield Target(f"{lane}: p99 against limit b", tail, _ratio(lane, OURS, LIMIT, "p99_ms"))
    yield Target(f"{SLOW}: rate against a commit each", 18, _ratio(SLOW, OURS, EACH, "per_second"), least=True)
    yield Target(f"{SLOW}: p99, ms (7 flushes)", 7 * SLOW_MS, _median(SLOW, OURS, "p99_ms"))
    for peer, times in ((AIOSQLITE, 2.5), (THREADS, 7.0)):
        yield Target(
            f"door c=64: rate against {peer}", times, _ratio("door c=64", OURS, peer, "per_second"), least=True
        )
    yield Target(
        "door on PostgreSQL c=64: rate against limit b", 0.50,
        _ratio("door on PostgreSQL c=64", OURS, LIMIT, "per_second"), least=True,
    )  # fmt: skip
    for peer, times in ((DBOS, 10.0), (RESTATE, 3.0)):
        yield Target(
            f"{LANE}, nothing left: rate against {peer}", times, _ratio(LANE, OURS, peer, "drained_per_second"),
            least=True,
        )  # fmt: skip
    yield Target(
        "flood: rate all forged against all good", 1.0, _ratio("flood", FORGED, GOOD, "per_second"), least=True
    )
    yield Target("flood: p99 of good ones among it", 2.0, _ratio("flood", FLOODED, GOOD, "good_p99_ms"))
    yield Target("start to first 2xx, s", 0.8, _median("start", OURS, "first_2xx_s"))
    yield Target("memory idle, MiB", 70, _median("memory", OURS, "idle_mib"))
    for what, figure in (
        ("after many deliveries", "loaded_mib"),
        ("with many waiting", "waiting_mib"),
        ("at work on them", "draining_mib"),
    ):  # fmt: skip
        yield Target(f"memory {what}, MiB", 100, _median("memory", OURS, figure))
    for count in (1, 2):
        for store in ON:
            lane = rate_lane(count)
            yield Target(f"{lane}, {store}: share used", 0.95, _median(lane, store, "share_of_limit"), least=True)
            yield Target(f"{lane}, {store}: refused", 0, _median(lane, store, "refused"))
    yield Target(f"{MAPPED}: CPU ms", 1.5, _median(MAPPED, OURS, "cpu_ms"))
    yield Target(f"{NEW}, write-back included: CPU ms", 4.0, _median(NEW, OURS, "cpu_ms"))


def _ratio(lane: str, subject: str, base: str, figure: str) -> Callable[[Results], float | None]:
    return lambda results: results.ratio(lane, subject, base, figure)


def _median(lane: str, subject: str, figure: str) -> Callable[[Results], float | None]:
    return lambda results: results.median(lane, subject, figure)
