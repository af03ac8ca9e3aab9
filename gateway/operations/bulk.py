"""One command on many things: gathered first, then done one by one; what changed meanwhile is left alone."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from gateway.operations.views import Bulk
from storage.errors import ConflictError
from storage.records import Page

MAX_BULK = 10_000
"""How many things one command takes."""
PAGE = 200

T = TypeVar("T")


async def collect(
    pages: Callable[[int, str | None], Awaitable[Page[T]]], key: Callable[[T], str], *, most: int
) -> list[str]:
    """Return the keys of up to `most` things of a list; `pages` takes a limit and a cursor."""
    found: list[str] = []
    cursor = None
    while len(found) < most:
        page = await pages(min(PAGE, most - len(found)), cursor)
        found += [key(item) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


async def act_on_each(keys: Sequence[str], act: Callable[[str], Awaitable[Any]], *, dry_run: bool) -> Bulk:
    """Do something to up to `MAX_BULK` things, or only count them; those that refuse it by now are skipped."""
    more, taken = len(keys) > MAX_BULK, keys[:MAX_BULK]
    changed = len(taken) if dry_run else 0
    for key in () if dry_run else taken:
        try:
            await act(key)
            changed += 1
        except ConflictError:
            continue
    return Bulk(matched=len(taken), changed=changed, skipped=len(taken) - changed, dry_run=dry_run, more=more)
