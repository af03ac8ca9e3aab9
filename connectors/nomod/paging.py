"""Reading a list to its end, or knowing that it was not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from connectors.errors import NotOfferedError, UnexpectedResponseError
from connectors.http import JsonApi, Reply
from connectors.nomod.errors import is_page
from connectors.nomod.rows import Row

CUSTOMERS = "/v1/customers"
PAGE_SIZE = 100
"""Rows asked for at a time; clients in public use 100, and a smaller cap of the server's is coped with."""
MOST_ROWS = 20_000
MOST_PAGES = 1_000
WALKS = 3
"""How often a list that changes under the reader is begun again before it is given up."""


class Identified(Protocol):
    """A row of a list."""

    @property
    def id(self) -> str:
        """The record's id."""
        ...


RowT = TypeVar("RowT", bound=Identified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[RowT]):
    """A list: where it is, what it holds, how a row is read, and which answers say that the account has none."""

    path: str
    noun: str
    read: Callable[[object], RowT]
    absent: Callable[[Reply], bool] = lambda _: False


CUSTOMER_LIST = Listing(path=CUSTOMERS, noun="customers", read=Row.read)


class TooManyRowsError(Exception):
    """The list is longer than what may be read."""


class RefusedQueryError(Exception):
    """The API refused the query's parameters (400, 422), as it may for a filter that it checks."""


class _ChangedError(Exception):
    """Rows moved between two pages, so that one may have been missed."""


async def walk(api: JsonApi, query: Mapping[str, str], *, listing: Listing[RowT], limit: int = MOST_ROWS) -> list[RowT]:
    """Return every row of the list that `query` selects.

    Raises TooManyRowsError beyond `limit` rows, RefusedQueryError, NotOfferedError where there is no such list, and
    UnexpectedResponseError when it could not be read whole: rows without id, pages that end before `count` rows were
    seen, or rows that keep moving. A list that does not count itself is read until a page brings nothing new.
    """
    reason = ""
    for _ in range(WALKS):
        try:
            return await _walk_once(api, query, limit, listing)
        except _ChangedError as error:
            reason = str(error)
    raise UnexpectedResponseError(f"the list of {listing.noun} could not be read whole: {reason}")


async def _walk_once(api: JsonApi, query: Mapping[str, str], limit: int, listing: Listing[RowT]) -> list[RowT]:
    rows: dict[str, RowT] = {}
    expected = 0
    for number in range(1, MOST_PAGES + 1):
        page = await _page(api, query, number, listing)
        known = len(rows)
        if page is not None:
            rows |= {row.id: row for row in page.rows}
            count = len(rows) if page.count is None else page.count
            if count < expected:  # a row went, and one that was still to come may have moved to a page already read
                raise _ChangedError("it became shorter")
            expected = count
            if expected > limit:
                raise TooManyRowsError(expected)
            if len(rows) >= expected and not page.more:
                return list(rows.values())
        if page is None or len(rows) == known:  # the end, whatever `next` says
            if len(rows) >= expected:
                return list(rows.values())
            raise _ChangedError(f"it ended after {len(rows)} of {expected} {listing.noun}")
    raise TooManyRowsError(expected)


async def _page(api: JsonApi, query: Mapping[str, str], number: int, listing: Listing[RowT]) -> "Page[RowT] | None":
    """Return a page; None for one past the end. Links are never followed."""
    asked = {**query, "page": str(number), "page_size": str(PAGE_SIZE)}
    reply = await api.request(
        "GET", listing.path, query=asked, accept_error=lambda got: _tolerated(got, query, number, listing.absent)
    )
    if number == 1 and listing.absent(reply):
        raise NotOfferedError(f"HTTP {reply.status} for {listing.path}")
    if reply.status == 404:
        return None
    if reply.status in {400, 422}:
        raise RefusedQueryError
    return envelope(reply, listing)


def _tolerated(reply: Reply, query: Mapping[str, str], number: int, absent: Callable[[Reply], bool]) -> bool:
    past_the_end = reply.status == 404 and number > 1 and not is_page(reply)
    refused = reply.status in {400, 422} and bool(query) and number == 1
    return past_the_end or refused or (number == 1 and absent(reply))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[RowT]):
    """One page of a list. `count` is the list's length, None where the answer does not tell."""

    rows: list[RowT]
    count: int | None
    more: bool

    @property
    def total(self) -> int:
        """The list's length as far as this page tells it."""
        return len(self.rows) if self.count is None else self.count


def envelope(reply: Reply, listing: Listing[RowT]) -> Page[RowT]:
    """Read a page (https://nomod.com/docs/api-reference/requests-responses). Raises UnexpectedResponseError.

    Documented is `{"count", "next", "results"}`, where only `next` may be missing. Rows under `data`, or in a bare
    array, are read as well; without a count, a page that has rows may always be followed by another.
    """
    body = reply.json()
    if isinstance(body, list):
        body = {"results": body}
    rows = next((body[key] for key in ("results", "data") if key in body), None) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise UnexpectedResponseError(f"a list of {listing.noun} without `results`")
    count = body.get("count")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
        raise UnexpectedResponseError(f"a list of {listing.noun} whose `count` is no number")
    more = bool(rows) if count is None else bool(body.get("next"))
    return Page(rows=[listing.read(value) for value in rows], count=count, more=more)
