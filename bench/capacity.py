"""How far it carries: a day of webhooks simulated minute by minute, from a thousand to a billion, by measured costs.

`python -m bench.capacity` prints the tables of docs/performance.md. What one webhook and one job cost is measured by
`python -m bench`; what a day looks like is assumed, and every assumption is an option.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from bench.figures import shown
from bench.report import table

MINUTES = 24 * 60
DOOR_FULL = 0.7
"""The share of a core that a door may use at the peak: an acknowledgement must not wait for the processor."""
MOST_WAIT_HOURS = 1.0
"""How long the work may lag behind at the worst; more workers are counted until it does not."""
SQLITE_ROWS = 8_000.0
"""Deliveries a second, door and dispatch together, up to which one SQLite file is reckoned with."""
POSTGRES_ROWS = 15_000.0
"""The same for one PostgreSQL server with group insert: assumed, beside what a bare one took here."""
LARGE_FILE_GB = 1000.0
VOLUMES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


def cost(default: float, meaning: str) -> float:
    """Return a field of `Costs`, which is an option of the command too."""
    made: float = field(default=default, metadata={"help": f"{meaning} ({default:g})"})
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Measured here, the first six, and assumed. CPU in milliseconds of one core."""

    ack_ms: float = cost(0.065, "CPU ms to verify, store and acknowledge a webhook: lane `door c=64`")
    dispatch_ms: float = cost(0.07, "CPU ms to look at a stored one")
    mapped_ms: float = cost(1.0, "CPU ms of a job for a customer that is mapped: lane `job, mapped customer`")
    new_ms: float = cost(4.0, "CPU ms of a job for a new customer: lane `job, new customer`")
    kept_bytes: float = cost(4800.0, "bytes on disk for a delivery with its body: lane `memory`")
    pruned_bytes: float = cost(900.0, "the same without its body")
    trigger_share: float = cost(0.05, "share of webhooks that bring a job")
    new_share: float = cost(0.02, "share of those whose customer is new")
    run_share: float = cost(0.3, "share of the day's webhooks that come in a billing run")
    run_minutes: float = cost(60.0, "minutes that the run takes")
    retention_days: float = cost(90.0, "days that bodies are kept")
    tenants: float = cost(50.0, "accounts at providers")
    provider_per_second: float = cost(5.0, "requests a second that an account may make")
    provider_calls: float = cost(2.0, "requests to the provider for a new customer")
    core_hour: float = cost(0.05, "price of an hour of one core")
    gigabyte_month: float = cost(0.10, "price of a gigabyte for a month")

    @property
    def job_ms(self) -> float:
        """Return what the work behind a webhook costs: most are ignored, few bring a job, fewer a new customer."""
        jobs = (1 - self.new_share) * self.mapped_ms + self.new_share * self.new_ms
        return self.dispatch_ms + self.trigger_share * jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What a simulated day has come to."""

    volume: int
    doors: int
    workers: int
    peak: float
    door_busy: float
    backlog: float
    wait_minutes: float
    provider_busy: float
    gigabytes: float


def arrivals(volume: float, costs: Costs) -> list[float]:
    """Return the webhooks of each minute: a wave over the day, and a billing run that finalizes a month at midnight."""
    run = int(costs.run_minutes)
    wave = [1.0 + 0.6 * math.sin(2 * math.pi * (minute / MINUTES - 0.25)) for minute in range(MINUTES)]
    calm = volume * (1 - costs.run_share) / sum(wave)
    return [
        calm * share + (volume * costs.run_share / run if minute < run else 0.0) for minute, share in enumerate(wave)
    ]


def simulate(volume: int, costs: Costs, *, doors: int, workers: int) -> Day:
    """Let a day pass: the door stores what comes, the workers take from the backlog what their cores allow.

    One door and no worker of its own share a core, the door first, as one process does.
    """
    core = 60_000.0
    backlog = most = wait = 0.0
    busiest = 0.0
    provider = 0.0
    for coming in arrivals(volume, costs):
        door = coming * costs.ack_ms
        busiest = max(busiest, door / (doors * core))
        free = workers * core if workers else max(0.0, core - door)
        backlog += coming
        done = min(backlog, free / costs.job_ms)
        backlog -= done
        most = max(most, backlog)
        wait = max(wait, backlog / (free / costs.job_ms) if free else math.inf)
        calls = done * costs.trigger_share * costs.new_share * costs.provider_calls
        provider = max(provider, calls / (60 * costs.provider_per_second * costs.tenants))
    peak = max(arrivals(volume, costs)) / 60
    gigabytes = volume * (costs.kept_bytes * costs.retention_days + costs.pruned_bytes * 365) / 1e9
    return Day(
        volume=volume, doors=doors, workers=workers, peak=peak, door_busy=busiest, backlog=most, wait_minutes=wait,
        provider_busy=provider, gigabytes=gigabytes,
    )  # fmt: skip


def size(volume: int, costs: Costs) -> Day:
    """Return the smallest set-up that keeps up: one process, else as many doors and workers as it takes."""
    day = simulate(volume, costs, doors=1, workers=0)
    if _keeps_up(day):
        return day
    doors = max(1, math.ceil(day.door_busy / DOOR_FULL))
    workers = max(1, math.floor(volume * costs.job_ms / (MINUTES * 60_000.0)))
    while not _keeps_up(day := simulate(volume, costs, doors=doors, workers=workers)):
        workers += max(1, workers // 20)
    return day


def what_next(day: Day) -> str:
    """Return what is full first, and what to do about it."""
    if day.provider_busy > 1:
        return "providers' limits: ask for more, or more accounts"
    if day.workers == 0:
        large = day.gigabytes > LARGE_FILE_GB
        return "one process, SQLite" + ("; the disk first: keep bodies for fewer days" if large else "")
    if day.peak <= SQLITE_ROWS:
        return "more work than one core: workers of their own"
    if day.peak <= POSTGRES_ROWS:
        return "SQLite's writer: PostgreSQL, group insert"
    shards = math.ceil(day.peak / POSTGRES_ROWS)
    if shards <= 2:
        return "one PostgreSQL: deliveries partitioned by day, bodies pruned sooner, lists from a replica"
    return f"one database: shard by tenant, {shards} of them"


def cost_of_a_million(costs: Costs) -> str:
    """Return what a million webhooks cost, part by part."""
    seconds = {
        "acknowledge and store": 1000 * costs.ack_ms, "dispatch": 1000 * costs.dispatch_ms,
        "jobs, customer mapped": 1000 * costs.trigger_share * (1 - costs.new_share) * costs.mapped_ms,
        "jobs, new customer": 1000 * costs.trigger_share * costs.new_share * costs.new_ms,
    }  # fmt: skip
    rows = [[name, f"{used:.0f}", f"{used / 3600 * costs.core_hour:.4f}"] for name, used in seconds.items()]
    whole = sum(seconds.values())
    rows.append(["CPU together", f"{whole:.0f}", f"{whole / 3600 * costs.core_hour:.4f}"])
    kept = 1e6 * costs.kept_bytes / 1e9
    disk = kept * costs.retention_days / 30 * costs.gigabyte_month
    rows.append([f"disk, {kept:.1f} GB for {costs.retention_days:.0f} days", "-", f"{disk:.2f}"])
    return table(["a million webhooks", "CPU s", "cost"], rows)


def sizes(costs: Costs) -> str:
    """Return the table of all volumes."""
    rows = []
    for volume in VOLUMES:
        day = size(volume, costs)
        rows.append(
            [
                f"{volume:,}", shown(volume / 86_400), shown(day.peak), f"{day.doors} + {day.workers}",
                f"{day.door_busy:.0%}", shown(day.backlog), shown(day.wait_minutes), shown(day.gigabytes),
                f"{day.provider_busy:.0%}", what_next(day),
            ]
        )  # fmt: skip
    headings = [
        "webhooks a day", "a second", "peak a second", "doors + workers", "a door's core at peak", "most waiting",
        "longest wait, min", "GB after a year", "providers' limits used", "what carries it, or is full first",
    ]  # fmt: skip
    return table(headings, rows)


def _keeps_up(day: Day) -> bool:
    return day.door_busy <= DOOR_FULL and day.wait_minutes <= 60 * MOST_WAIT_HOURS


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description="How far it carries, simulated.")
    for each in fields(Costs):
        option = f"--{each.name.replace('_', '-')}"
        parser.add_argument(option, type=float, default=each.default, help=each.metadata["help"])
    costs = Costs(**vars(parser.parse_args(arguments)))
    print(", ".join(f"{each.name} {getattr(costs, each.name):g}" for each in fields(costs)))
    print(f"\n{cost_of_a_million(costs)}\n\n{sizes(costs)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
