"""Where a list goes on: opaque cursors, pages of a bounded size."""

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson

from storage.errors import CursorInvalidError
from storage.records import Page
from storage.rows import Row

R = TypeVar("R", bound=Row)
T = TypeVar("T")
MAX_PAGE = 1000
_MAX_NUMBER = 2**63 - 1


def encode(*parts: str) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def decode(cursor: str, parts: int) -> list[str]:
    """Return the parts of a cursor. Raises CursorInvalidError."""
    try:
        decoded = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise CursorInvalidError from error
    if not isinstance(decoded, list) or len(decoded) != parts or not all(isinstance(part, str) for part in decoded):
        raise CursorInvalidError
    return decoded


def decode_number(cursor: str) -> int:
    """Return the number that a cursor holds. Raises CursorInvalidError."""
    part = decode(cursor, 1)[0]
    if not (part.isascii() and part.isdigit()) or len(part) > len(str(_MAX_NUMBER)) or int(part) > _MAX_NUMBER:
        raise CursorInvalidError
    return int(part)


def bounded(limit: int) -> int:
    """Return how many rows a page may have: at least one, at most `MAX_PAGE`."""
    return max(1, min(limit, MAX_PAGE))


def page(
    found: Sequence[R], limit: int, record: Callable[[R], T], *columns: str, looked_to: int | None = None
) -> Page[T]:
    """Return a page from up to `bounded(limit) + 1` rows; the one too many only says that there are more.

    The list goes on after the last row's values in `columns`, which its order is by; or after the number `looked_to`,
    where no more were found up to there.
    """
    shown = found[: bounded(limit)]
    following = None if looked_to is None else encode(str(looked_to))
    if len(found) > len(shown):
        following = encode(*[str(shown[-1][column]) for column in columns])
    return Page(items=[record(row) for row in shown], next_cursor=following)


def like(text: str) -> str:
    """Return a pattern for `LIKE … ESCAPE '!'` which finds the text anywhere."""
    return f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
