"""Runs a parsed query over the simulated company's records: which properties, which comparisons, which rows."""

import random
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.testing.quickbooks_entities import Entity, Kind, Property
from connectors.testing.quickbooks_query import Condition, Operator, Order, Query, Value
from connectors.testing.quickbooks_tokens import QueryError
from connectors.testing.quickbooks_wire import COMPANY_TIME, Record

Test = Callable[[Record], bool]

_EXACT = frozenset({Operator.EQUAL, Operator.IN})
_ORDERED = _EXACT | {Operator.LESS, Operator.GREATER, Operator.AT_MOST, Operator.AT_LEAST}
_OPERATORS = {
    Kind.ID: _EXACT, Kind.BOOLEAN: _EXACT, Kind.REFERENCE: _EXACT, Kind.TEXT: _ORDERED | {Operator.LIKE},
    Kind.EMAIL: _ORDERED | {Operator.LIKE}, Kind.NUMBER: _ORDERED, Kind.DATE: _ORDERED, Kind.TIME: _ORDERED,
}  # fmt: skip


def select(
    query: Query, entity: Entity, records: Iterable[Record], *, chance: random.Random, email_lists: bool = False
) -> Record:
    """Return the value of `QueryResponse`. Raises QueryError 4001 for what this entity does not offer.

    Without ORDERBY rows come in an order of `chance`, since Intuit promises none. Inactive records are hidden unless
    a condition names Active. `email_lists` lets `=` look inside a comma-separated address.
    """
    tests = [_test(condition, entity, email_lists=email_lists) for condition in query.conditions]
    if entity.has_active and not any(condition.name.casefold() == "active" for condition in query.conditions):
        tests.append(lambda record: record.get("Active") is not False)
    keys = [(order, *_found(order.name, entity)) for order in query.order]
    names = [_selected(name, entity) for name in query.fields]
    found = [record for record in records if all(test(record) for test in tests)]
    if query.count:
        return {"totalCount": len(found)}
    chance.shuffle(found)
    for order, name, rule in reversed(keys):
        _sort(found, order, name, rule)
    page = found[query.start - 1 : query.start - 1 + query.rows]
    if not page:
        return {}
    rows = [_picked(record, names) for record in page] if names else page
    return {entity.name: rows, "startPosition": query.start, "maxResults": len(rows)}


def _found(name: str, entity: Entity) -> tuple[str, Property]:
    found = entity.find(name)
    if found is None:
        raise QueryError(4001, f"QueryValidationError: Property {name} not found for Entity {entity.name}")
    return found


def _selected(name: str, entity: Entity) -> str:
    path, rule = _found(name, entity)
    if not rule.selectable:
        raise QueryError(4001, f"QueryValidationError: Property {name} not found for Entity {entity.name}")
    return path


def _test(condition: Condition, entity: Entity, *, email_lists: bool) -> Test:
    path, rule = _found(condition.name, entity)
    if condition.operator not in _OPERATORS.get(rule.kind, frozenset()):
        raise QueryError(4001, f"QueryValidationError: operator {condition.operator} is not supported for {path}")
    values = [_comparable(value, rule, path) for value in condition.values]
    lists = email_lists and rule.kind is Kind.EMAIL
    matches = _comparison(condition.operator, values)

    def test(record: Record) -> bool:
        held = _held(record, path, rule)
        if held is None:
            return False
        return any(matches(part.strip()) for part in held.split(",")) if lists else matches(held)

    return test


def _comparison(operator: Operator, values: list[Any]) -> Callable[[Any], bool]:
    value = values[0]
    match operator:
        case Operator.EQUAL:
            return lambda held: bool(held == value)
        case Operator.IN:
            return lambda held: held in values
        case Operator.LESS:
            return lambda held: bool(held < value)
        case Operator.GREATER:
            return lambda held: bool(held > value)
        case Operator.AT_MOST:
            return lambda held: bool(held <= value)
        case Operator.AT_LEAST:
            return lambda held: bool(held >= value)
        case Operator.LIKE:
            pattern = re.compile(".*".join(re.escape(part) for part in value.split("%")), re.DOTALL)
            return lambda held: pattern.fullmatch(held) is not None


def _comparable(value: Value, rule: Property, path: str) -> Any:
    """Bring a literal to the property's own type, or refuse it."""
    match rule.kind, value:
        case (Kind.TEXT | Kind.EMAIL | Kind.ID | Kind.REFERENCE, str()):
            return value.casefold()
        case Kind.BOOLEAN, bool():
            return value
        case Kind.NUMBER, Decimal():
            return value
        case Kind.NUMBER, str() if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            return Decimal(value)
        case Kind.DATE, str() if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            return value
        case Kind.TIME, str():
            try:
                return _moment(value)
            except ValueError:
                pass
        case _:
            pass
    raise QueryError(4001, f"QueryValidationError: value {value} is not valid for property {path}")


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=COMPANY_TIME)


def _held(record: Record, path: str, rule: Property) -> Any:
    """Return the record's value in the type that comparisons use, or None where it has none."""
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    match rule.kind:
        case _ if value is None:
            return None
        case Kind.EMAIL:
            return str(value.get("Address", "")).casefold() or None
        case Kind.REFERENCE:
            return str(value["value"]).casefold()
        case Kind.TEXT | Kind.ID:
            return str(value).casefold()
        case Kind.TIME:
            return _moment(value)
        case _:
            return value


def _sort(rows: list[Record], order: Order, name: str, rule: Property) -> None:
    def key(record: Record) -> tuple[bool, Any]:
        held = _held(record, name, rule)
        if held is not None and rule.kind in {Kind.ID, Kind.REFERENCE} and held.isdigit():
            held = f"{held:0>20}"
        return (held is not None, held if held is not None else 0)

    rows.sort(key=key, reverse=order.descending)


def _picked(record: Record, names: list[str]) -> Record:
    """Return the named properties, beside the two that mark a row as not the whole record."""
    out: Record = {}
    for name in names:
        parts, value = name.split("."), record
        for part in parts[:-1]:
            value = value.get(part, {})
        if parts[-1] not in value:
            continue
        place = out
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value[parts[-1]]
    return out | {"domain": "QBO", "sparse": True}
