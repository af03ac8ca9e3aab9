"""Our values as those of a column: times as microseconds since 1970, JSON as text. The same in every backend."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def micros_or_none(moment: datetime | None) -> int | None:
    """Return a time as microseconds since 1970, or None."""
    return None if moment is None else micros(moment)


def moment(value: int) -> datetime:
    """Return microseconds since 1970 as an aware time."""
    return _EPOCH + timedelta(microseconds=value)


def moment_or_none(value: int | None) -> datetime | None:
    """Return microseconds since 1970 as an aware time, or None."""
    return None if value is None else moment(value)


def dumps(value: Any) -> str | None:
    """Return JSON text; None stays None."""
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def loads(value: str | bytes | None) -> Any:
    """Return what JSON text says; None stays None."""
    return None if value is None else orjson.loads(value)


def array(values: Sequence[str] | Sequence[int]) -> str:
    """Return texts or numbers as a JSON array."""
    return orjson.dumps(list(values)).decode()
