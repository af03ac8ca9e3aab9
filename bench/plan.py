"""How much is measured: rounds, seconds, counts. A quick run and a whole one differ in nothing else."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Results, Sample


@dataclass(slots=True, kw_only=True)
class Plan:
    """A run's sizes, and where its figures go."""

    folder: Path
    """Databases, logs and the shim of the run; removed at its end."""
    rounds: int = 3
    connections: tuple[int, ...] = (1, 16, 64)
    seconds: float = 1.5
    """Aimed length of one measurement."""
    most: int = 30_000
    """Most requests in one measurement."""
    warm_up: int = 1000
    filled: int = 1_000_000
    """Deliveries after which memory is read again."""
    waiting: int = 100_000
    """Deliveries that wait for a worker while memory is read."""
    customers: int = 1000
    """Customers whose jobs are measured."""
    drains: bool = True
    """Whether backlogs are also worked off without the sampler, for a figure that it does not slow down."""
    starts: int = 3
    rate_seconds: float = 20.0
    """How long a rate limit is pressed against."""
    peer_python: str = sys.executable
    """An interpreter that may have the Python peers; none of them is needed by anything else."""
    peer_modules: Path = Path(".node-peers")
    """A folder that may have Restate in its `node_modules`."""
    results: Results = field(default_factory=Results)
    tell: Callable[[str], None] = print

    def note(self, sample: Sample) -> None:
        """Keep a sample, and show that something has happened."""
        self.results.add(sample)
        told = ", ".join(f"{name} {value:.4g}" for name, value in sample.figures.items())
        self.tell(f"  round {sample.round + 1}  {sample.lane:16} {sample.subject:34} {told}")
        for note in sample.notes:
            self.tell(f"           note: {note}")

    def place(self, name: str) -> Path:
        """Return a new folder below the run's."""
        number = sum(1 for _ in self.folder.iterdir())
        made = self.folder / f"{number:03d}-{name}"
        made.mkdir(mode=0o700)
        return made


def whole(folder: Path) -> Plan:
    """Return the run whose figures are reported: about 25 minutes, and seven gigabytes of disk."""
    return Plan(folder=folder)


def quick(folder: Path) -> Plan:
    """Return a run of a few minutes: one round, short measurements. Its ratios are rough."""
    return Plan(
        folder=folder, rounds=1, seconds=0.5, most=6000, warm_up=400, filled=8000, waiting=4000, customers=150,
        starts=1, rate_seconds=5.0,
    )  # fmt: skip


def smoke(folder: Path) -> Plan:
    """Return a run that proves that everything runs, and measures nothing."""
    return Plan(
        folder=folder, rounds=1, connections=(4,), seconds=0.01, most=120, warm_up=40, filled=200, waiting=100,
        customers=8, drains=False, starts=1, rate_seconds=0.5,
    )  # fmt: skip
