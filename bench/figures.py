"""Samples and what is made of them: medians, percentiles, ratios taken within one round. Pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one subject did in one round of one lane: figure → value."""

    lane: str
    subject: str
    round: int
    figures: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What must be read with the figures: answers that were not 2xx, a backlog that was left."""


@dataclass(slots=True)
class Results:
    """All samples of a run."""

    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Keep a sample."""
        self.samples.append(sample)

    def lanes(self) -> list[str]:
        """Return the lanes in the order in which they were first measured."""
        return list(dict.fromkeys(sample.lane for sample in self.samples))

    def subjects(self, lane: str) -> list[str]:
        """Return the subjects of a lane, in that order too."""
        return list(dict.fromkeys(sample.subject for sample in self.samples if sample.lane == lane))

    def of(self, lane: str, subject: str) -> list[Sample]:
        """Return a subject's samples, one for each round."""
        return [sample for sample in self.samples if sample.lane == lane and sample.subject == subject]

    def median(self, lane: str, subject: str, figure: str) -> float | None:
        """Return the median over the rounds, None when it was not measured."""
        found = [sample.figures[figure] for sample in self.of(lane, subject) if figure in sample.figures]
        return statistics.median(found) if found else None

    def ratio(self, lane: str, subject: str, base: str, figure: str) -> float | None:
        """Return the median of the ratios to `base`, each taken within one round: the machine's speed drifts."""
        bases = {sample.round: sample.figures.get(figure) for sample in self.of(lane, base)}
        found = [
            sample.figures[figure] / below
            for sample in self.of(lane, subject)
            if figure in sample.figures and (below := bases.get(sample.round))
        ]
        return statistics.median(found) if found else None

    def notes(self, lane: str) -> list[str]:
        """Return what must be read with a lane's figures, each once."""
        told = (f"{s.subject}: {note}" for s in self.samples if s.lane == lane for note in s.notes)
        return list(dict.fromkeys(told))


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the ordered values lie; 0 when there are none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def shown(value: float | None) -> str:
    """Return a number as a table shows it: three digits that matter, thousands separated."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.3f}" if abs(value) < 1 and value else f"{value:.2f}"
