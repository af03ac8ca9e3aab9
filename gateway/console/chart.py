"""The chart of intake and outcomes: stacked columns, with a pattern for each outcome beside its colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.console.tally import Tally
from gateway.console.words import Said, delivery_said
from storage.records import DeliveryStatus

WIDTH, HEIGHT = 960.0, 180.0
GAP = 3.0
LEAST = 2.0
"""Nothing that happened is drawn lower than this."""
ORDER = (
    DeliveryStatus.PROCESSED,
    DeliveryStatus.IGNORED,
    DeliveryStatus.PENDING,
    DeliveryStatus.NEEDS_REVIEW,
    DeliveryStatus.FAILED,
)
"""From the ground up: what is bad lies on top, where it is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One outcome's share of one column."""

    x: float
    y: float
    width: float
    height: float
    status: str
    told: str
    """What it stands for, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """One outcome, and how many there were."""

    status: str
    said: Said
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What the template draws."""

    width: float
    height: float
    boxes: Sequence[Box]
    lines: Sequence[float]
    """Heights of the grid's lines, at a quarter, a half, three quarters and the whole of `top`."""
    top: int
    legend: Sequence[Legend]
    ticks: Sequence[datetime]
    tally: Tally

    @property
    def told(self) -> str:
        """Return what the chart shows, in words."""
        parts = ", ".join(f"{each.count} {each.said.word.lower()}" for each in self.legend if each.count)
        return f"{self.tally.total} deliveries: {parts}" if parts else "no deliveries"


def draw(tally: Tally) -> Chart:
    """Return the chart of a tally."""
    top = _round_up(max((column.total for column in tally.columns), default=0))
    room = WIDTH / max(1, len(tally.columns))
    boxes: list[Box] = []
    for place, column in enumerate(tally.columns):
        ground = HEIGHT
        for status in ORDER:
            count = column.counts.get(status, 0)
            if not count:
                continue
            height = max(LEAST, HEIGHT * count / top)
            ground -= height
            boxes.append(
                Box(x=round(place * room + GAP / 2, 2), y=round(max(0.0, ground), 2), width=round(room - GAP, 2),
                    height=round(height, 2), status=str(status),
                    told=f"{column.start:%H:%M} to {column.end:%H:%M} UTC: {count} {_word(status)}")
            )  # fmt: skip
    return Chart(
        width=WIDTH, height=HEIGHT, boxes=boxes, top=top, tally=tally,
        lines=[round(HEIGHT * (1 - quarter / 4), 2) for quarter in (1, 2, 3, 4)],
        legend=[Legend(status=str(each), said=delivery_said(each), count=tally.of(each)) for each in ORDER],
        ticks=[tally.since + (tally.until - tally.since) * part / 4 for part in range(5)],
    )  # fmt: skip


def _word(status: DeliveryStatus) -> str:
    return delivery_said(status).word.lower()


def _round_up(count: int) -> int:
    """Return a round number that is not lower, and can be quartered: 4, 8, 20, 40, 80, 200 and so on."""
    rounds = (first * int(10**power) for power in range(20) for first in (4, 8, 20))
    return next(each for each in rounds if each >= count)
