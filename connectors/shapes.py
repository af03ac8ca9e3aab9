"""The shape of a body: what may be kept of it. Fields keep their names; of values only codes and states are told."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

MAX_BYTES = 16 * 1024
"""Of a larger body only its size is kept (connectors/exchanges.py)."""
MAX_DEPTH, MAX_ITEMS, MAX_FIELDS = 8, 5, 60
TOLD = frozenset({
    "id", "code", "type", "status", "state", "object", "active", "sparse", "domain", "element", "currency",
    "country", "environment", "synctoken", "error", "errortype", "error_type", "error_code", "reason_code",
    "created", "created_at", "updated", "updated_at", "createtime", "lastupdatedtime", "page", "page_size", "limit",
    "offset", "count", "total", "totalcount", "startposition", "maxresults", "has_more", "has_next", "minorversion",
    "requestid",
})  # fmt: skip
"""Fields, in small letters, whose values say what something is and never who: told where they look like that, too."""
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_CODE = re.compile(r"[A-Za-z0-9_.:+\-]{1,40}")
_LONG_NUMBER = 7
"""A number of so many digits may be a telephone number or a person's id."""


def shape_of(body: bytes | int) -> Any:
    """Return the shape of a body as a JSON value: `{"email": "[15 characters]", "status": "active"}`.

    Of a body that is no JSON, and of a large one, which may be given as its size alone, that is the size.
    """
    if isinstance(body, int):
        return f"[{body} bytes]"
    try:
        return _shape(orjson.loads(body), "", MAX_DEPTH)
    except orjson.JSONDecodeError:
        return shape_of(len(body))


def shape_of_query(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of an address, as fields of a body."""
    return {_name(name): _shape(value, name, 1) for name, value in list(query.items())[:MAX_FIELDS]}


def _shape(value: Any, name: str, depth: int) -> Any:
    if isinstance(value, dict):
        if not depth:
            return "[…]"
        fields = {_name(key): _shape(each, key, depth - 1) for key, each in list(value.items())[:MAX_FIELDS]}
        return fields if len(value) <= MAX_FIELDS else {**fields, "…": f"[{len(value) - MAX_FIELDS} more]"}
    if isinstance(value, list):
        if not depth:
            return "[…]"
        items = [_shape(each, name, depth - 1) for each in value[:MAX_ITEMS]]
        return items if len(value) <= MAX_ITEMS else [*items, f"[{len(value) - MAX_ITEMS} more]"]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if name.lower() in TOLD and _CODE.fullmatch(value) else f"[{len(value)} characters]"
    return value if len(str(value)) < _LONG_NUMBER or name.lower() in TOLD else "[number]"


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else "[name]"
