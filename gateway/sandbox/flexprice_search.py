"""The filter and sort conditions of Flexprice's searches: `filters[]` and `sort[]` over a record's columns."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from gateway.sandbox.flexprice_api import invalid
from gateway.sandbox.flexprice_records import Record, read_decimal, read_time

_OPERATORS: Mapping[str, tuple[str, ...]] = {
    "string": ("eq", "contains", "not_contains"),
    "number": ("eq", "gt", "lt", "gte"),
    "array": ("in", "not_in"),
    "date": ("before", "after"),
}
_Condition = Callable[[Record], bool]


def matching(rows: Iterable[Record], body: Mapping[str, Any], columns: frozenset[str]) -> list[Record]:
    """Return the rows that satisfy every entry of `filters[]`, ordered by `sort[]`; newest first without one."""
    conditions = [_condition(entry, columns) for entry in _entries(body, "filters")]
    kept = [row for row in rows if all(condition(row) for condition in conditions)]
    order = _entries(body, "sort") or [{"field": "created_at", "direction": "desc"}]
    for entry in reversed(order):
        name, direction = str(entry.get("field")), entry.get("direction")
        if name not in columns or direction not in {"asc", "desc"}:
            raise invalid("Invalid sort condition", field=name, direction=str(direction))
        kept.sort(key=_sort_key(name), reverse=direction == "desc")
    return kept


def in_time_range(rows: Iterable[Record], body: Mapping[str, Any], since: str, until: str) -> list[Record]:
    """Return the rows whose column `since` is not before `start_time` and `until` not after `end_time`.

    A row without the column is in no range, as a comparison with NULL is never true.
    """
    start, end = moment(body, "start_time"), moment(body, "end_time")
    if start and end and end < start:
        raise invalid("end_time must be after start_time")
    kept = list(rows)
    if start:
        kept = [row for row in kept if (at := read_time(row.get(since))) is not None and at >= start]
    if end:
        kept = [row for row in kept if (at := read_time(row.get(until))) is not None and at <= end]
    return kept


def moment(body: Mapping[str, Any], name: str) -> dt.datetime | None:
    """Return a time of a request, None where it is omitted, or refuse."""
    value = body.get(name)
    if value is None:
        return None
    parsed = read_time(value)
    if parsed is None:
        raise invalid("Invalid request format", field=name)
    return parsed


def texts(body: Mapping[str, Any], name: str, allowed: Sequence[str] = ()) -> list[str]:
    """Return a list of texts of a request, empty where it is omitted, or refuse."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid("Invalid request format", field=name)
    for item in value:
        if allowed and item not in allowed:
            raise invalid(f"invalid {name}", allowed=list(allowed))
    return value


def _entries(body: Mapping[str, Any], name: str) -> list[Record]:
    entries = body.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise invalid("Invalid request format", field=name)
    return entries


def _condition(entry: Record, columns: frozenset[str]) -> _Condition:
    column, operator, kind = (str(entry.get(name)) for name in ("field", "operator", "data_type"))
    value = entry["value"].get(kind) if isinstance(entry.get("value"), dict) else None
    if column not in columns or operator not in _OPERATORS.get(kind, ()) or value is None:
        raise invalid("Invalid filter condition", field=column, operator=operator, data_type=kind)
    match kind:
        case "date":
            return _dated(column, operator, value)
        case "number":
            return _numbered(column, operator, value)
        case "array":
            wanted = {str(item) for item in value} if isinstance(value, list) else {str(value)}
            return lambda row: (str(row.get(column)) in wanted) is (operator == "in")
        case _:
            return _worded(column, operator, str(value))


def _dated(column: str, operator: str, value: object) -> _Condition:
    limit = read_time(value)
    if limit is None:
        raise invalid("Invalid filter condition", field=column)

    def holds(row: Record) -> bool:
        at = read_time(row.get(column))
        return at is not None and (at > limit if operator == "after" else at < limit)

    return holds


def _numbered(column: str, operator: str, value: object) -> _Condition:
    limit = read_decimal(value)
    if limit is None:
        raise invalid("Invalid filter condition", field=column)

    def holds(row: Record) -> bool:
        number = read_decimal(row.get(column))
        if number is None:
            return False
        return {"eq": number == limit, "gt": number > limit, "lt": number < limit, "gte": number >= limit}[operator]

    return holds


def _worded(column: str, operator: str, value: str) -> _Condition:
    def holds(row: Record) -> bool:
        text = str(row.get(column) or "")
        if operator == "eq":
            return text == value
        return (value.casefold() in text.casefold()) is (operator == "contains")

    return holds


def _sort_key(column: str) -> Callable[[Record], tuple[bool, float | Decimal, str]]:
    def key(row: Record) -> tuple[bool, float | Decimal, str]:
        value = row.get(column)
        at = read_time(value)
        if at is not None:
            return (value is not None, at.timestamp(), "")
        number = read_decimal(value)
        return (value is not None, number if number is not None else 0.0, "" if number is not None else str(value))

    return key
