"""Times as people ask for them: on the command line, in an address; none of them breaks anything."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.cli.options import UsageError, moment
from gateway.console.filters import times_of
from gateway.operations.times import bounded

NOW = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text, told",
    [
        ("2026-01-20", "2026-01-20T00:00:00+00:00"),
        ("2026-01-20T10:30", "2026-01-20T10:30:00+00:00"),
        ("2026-01-20T12:30:00+02:00", "2026-01-20T10:30:00+00:00"),
        ("0001-01-01T00:00+23:59", "1970-01-01T00:00:00+00:00"),
        ("9999-12-31T23:59:59", "9999-12-30T00:00:00+00:00"),
    ],
)
def test_a_time_is_understood_alike_on_the_command_line_and_in_an_address(text: str, told: str) -> None:
    found = moment(text, option="--since")
    assert found is not None
    assert found.isoformat() == told
    assert times_of({"since": text, "until": text}, now=NOW) == {"since": found, "until": found}


def test_so_long_ago_is_counted_from_now() -> None:
    found = moment("2h", option="--since")
    assert found is not None
    assert timedelta(hours=2) <= datetime.now(UTC) - found < timedelta(hours=2, minutes=1)
    assert moment(None, option="--since") is None


@pytest.mark.parametrize(
    "text", ["", "h", "yesterday", "2026-13-01", "9999999w", "-2h", "1700000000", "99999999999999d"]
)
def test_anything_else_is_wrong_usage_and_no_filter(text: str) -> None:
    with pytest.raises(UsageError):
        moment(text, option="--since")
    assert times_of({"since": text, "period": text}, now=NOW) == {"since": None, "until": None}


def test_of_a_period_and_a_time_the_later_one_begins_the_list() -> None:
    asked = {"period": "24h", "since": "2026-01-20T09:00"}
    assert times_of(asked, now=NOW)["since"] == bounded(datetime(2026, 1, 20, 9, 0))  # noqa: DTZ001 - UTC is understood
    assert times_of({**asked, "since": "2020-01-01"}, now=NOW)["since"] == NOW - timedelta(hours=24)
