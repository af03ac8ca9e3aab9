"""Reading what a caller of the API sends: bounded, within a deadline, and checked before anything is done with it."""

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar

import orjson
from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from gateway.errors import (
    MalformedRequestError,
    PayloadTooLargeError,
    RequestInvalidError,
    UnsupportedMediaTypeError,
)

READ_SECONDS = 15.0
MAX_DEPTH = 16
MAX_TOLD = 5
JSON_TYPES = frozenset({"application/json", "text/json"})

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read(request: web.Request, *, most: int) -> bytes:
    """Return the body. Raises PayloadTooLargeError, MalformedRequestError for a body that is cut, encoded or slow."""
    require_plain(request)
    if request.content_length is not None and request.content_length > most:
        raise PayloadTooLargeError(f"at most {most} bytes are read here")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            while part := await request.content.readany():
                parts.append(part)
                size += len(part)
                if size > most:
                    raise PayloadTooLargeError(f"at most {most} bytes are read here")
    except TimeoutError:
        raise MalformedRequestError("the body did not arrive in time") from None
    except (web.RequestPayloadError, asyncio.IncompleteReadError) as error:
        raise MalformedRequestError("the body is cut or wrongly encoded") from error
    return b"".join(parts)


def require_plain(request: web.BaseRequest) -> None:
    """Raise MalformedRequestError for a body in any encoding but `identity`: nothing is ever decompressed."""
    named = request.headers.getall(hdrs.CONTENT_ENCODING, ())
    if any(each.strip().lower() not in ("", "identity") for each in named):
        raise MalformedRequestError("Content-Encoding must be identity")


def media_type(request: web.Request) -> str:
    """Return the body's media type in small letters, without parameters; empty when none is named."""
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()


def require_json(request: web.Request) -> None:
    """Refuse a body that says it is something else than JSON. Raises UnsupportedMediaTypeError."""
    if media_type(request) not in JSON_TYPES | {""}:
        raise UnsupportedMediaTypeError


def body_as(kind: type[ModelT], body: bytes) -> ModelT:
    """Return a JSON body as a model. Raises RequestInvalidError that names the places, never the values."""
    require_shallow(decoded(body))
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise RequestInvalidError(told(error, "body")) from None


def decoded(body: bytes) -> Any:
    """Return decoded JSON. Raises RequestInvalidError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RequestInvalidError("the body is not JSON") from None


def require_shallow(value: Any) -> None:
    """Refuse JSON that is nested deeper than anything of ours. Raises RequestInvalidError."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [item for outer in level for item in _inside(outer)]
        if not level:
            return
    raise RequestInvalidError(f"the body is nested deeper than {MAX_DEPTH} levels")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def query_as(kind: type[ModelT], request: web.Request) -> ModelT:
    """Return the query's parameters as a model: each at most once, none that is unknown. Raises RequestInvalidError."""
    query = request.query
    for name in set(query):
        if len(query.getall(name)) > 1:
            raise RequestInvalidError("query: a parameter stands twice")
    try:
        return kind.model_validate_strings(dict(query))
    except ValidationError as error:
        raise RequestInvalidError(told(error, "query")) from None


def told(error: ValidationError, where: str) -> str:
    """Return what is wrong, in one line: the first few places, and never a value."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    lines = []
    for each in found[:MAX_TOLD]:
        place = ".".join(_shown(part) for part in (where, *each["loc"]))
        message = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            message = "unknown name"
        elif each["type"] == "missing":
            message = "is missing"
        lines.append(f"{place}: {message}")
    more = f"; and {len(found) - MAX_TOLD} more" if len(found) > MAX_TOLD else ""
    return "; ".join(lines) + more


def _shown(part: object) -> str:
    """Return a part of a place. Unknown names are the caller's own text: shortened, and without control characters."""
    text = str(part)[:60]
    return text if text.isprintable() else text.encode("unicode_escape").decode()
