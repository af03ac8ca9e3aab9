"""What the console draws and writes from numbers: charts that stay in their frame, durations, sizes, short ids."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.chart import HEIGHT, LEAST, ORDER, WIDTH, draw
from gateway.console.environment import duration, short, size
from gateway.console.tally import COLUMNS, Column, Tally
from storage.records import DeliveryStatus

T0 = datetime(2026, 11, 21, tzinfo=UTC)
STEP = timedelta(minutes=30)
counts = st.dictionaries(st.sampled_from(list(DeliveryStatus)), st.integers(0, 10_000), max_size=5)


def tally_of(columns: list[dict[DeliveryStatus, int]]) -> Tally:
    return Tally(
        since=T0, until=T0 + STEP * len(columns), step=STEP,
        columns=[
            Column(start=T0 + STEP * place, end=T0 + STEP * (place + 1), counts=each)
            for place, each in enumerate(columns)
        ],
    )  # fmt: skip


@given(st.lists(counts, min_size=1, max_size=COLUMNS))
def test_every_outcome_has_its_box_inside_the_frame_and_none_lies_on_another(
    columns: list[dict[DeliveryStatus, int]],
) -> None:
    chart = draw(tally_of(columns))
    assert len(chart.boxes) == sum(1 for each in columns for count in each.values() if count)
    for box in chart.boxes:
        assert box.x >= 0
        assert box.x + box.width <= WIDTH
        assert 0 <= box.y < HEIGHT
        assert box.height >= LEAST
        assert box.y + box.height <= HEIGHT + 0.02 + LEAST * len(ORDER)
    assert sum(each.count for each in chart.legend) == chart.tally.total == sum(sum(each.values()) for each in columns)
    assert chart.top >= max(sum(each.values()) for each in columns)


def test_what_is_bad_lies_on_top() -> None:
    chart = draw(tally_of([dict.fromkeys(DeliveryStatus, 1)]))
    assert [box.status for box in chart.boxes] == [str(status) for status in ORDER]
    assert [box.y for box in chart.boxes] == sorted((box.y for box in chart.boxes), reverse=True)
    assert chart.told == "5 deliveries: 1 processed, 1 ignored, 1 in progress, 1 needs review, 1 failed"


@pytest.mark.parametrize(
    "seconds,told",
    [
        (0, "0 ms"), (-1, "0 ms"), (0.0123, "12 ms"), (1, "1.0 s"), (59.4, "59 s"), (60, "1 min"), (61, "1 min 1 s"),
        (3600, "1 h"), (3661, "1 h 1 min"), (86_400 * 3 + 7200, "3 d 2 h"), (86_400 + 5, "1 d"),
    ],
)  # fmt: skip
def test_a_duration_has_the_two_units_that_matter(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_sizes_and_ids_fit_a_column() -> None:
    assert [size(count) for count in (0, 999, 1000, 1_500_000)] == ["0 bytes", "999 bytes", "1.0 kB", "1.5 MB"]
    assert short("cust_1") == "cust_1"
    assert short("dlv_01a200d6d5536cf12685b83a3e0c82f2") == "dlv_…0c82f2"
