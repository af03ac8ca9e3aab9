"""One look at a source: page by page into the inbox, leaving out what is there already."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import SourceRejectedError, SourceUnavailableError
from gateway.sources.feed import Feed, Item
from storage import Store
from storage.ids import new_id
from storage.records import NewDelivery, SourceRow

MAX_PAGES = 100
MAX_DOWN = 3
"""How many items in a row may be unavailable before the platform counts as down."""
NO_SECRET = -1
"""The secret's place of a delivery that no secret vouches for: we fetched it ourselves."""


@dataclass(slots=True)
class Look:
    """What a look has found so far."""

    delivered: int = 0
    unread: int = 0
    """Items that could not be read one by one; they are met again as long as they lie in the overlap."""
    first_unread: str = ""
    down: int = 0
    """Items in a row, up to now, at which the platform did not answer."""
    complete: bool = False
    """Whether the list was read to its end."""
    ordered: bool = True
    """Whether the items came oldest first."""
    last_at: datetime | None = None

    def met(self, item: Item) -> None:
        """Take note of an item's time."""
        if item.at is None:
            self.ordered = False
            return
        if self.last_at is not None and item.at < self.last_at:
            self.ordered = False
        self.last_at = item.at

    def could_not_read(self, item: Item) -> None:
        """Take note of an item that could not be read."""
        self.unread += 1
        self.first_unread = self.first_unread or item.subject


async def look(
    feed: Feed,
    row: SourceRow,
    store: Store,
    *,
    since: datetime,
    until: datetime,
    now: Callable[[], datetime],
    keep: Callable[[], Awaitable[None]],
    max_pages: int = MAX_PAGES,
) -> Look:
    """Put what has happened in that time into the inbox. Raises GatewayError and StorageError kinds.

    What was delivered before an error stays: the next look leaves it out. One item that cannot be read holds up no
    other. `keep` is called between items and may stop the look by raising.
    """
    found, pages = Look(), 0
    async with aclosing(feed.pages(since=since, until=until)) as listed:
        async for page in listed:
            pages += 1
            known = await store.known_subjects(row.name, [item.subject for item in page])
            for item in page:
                found.met(item)
                if item.subject in known:
                    continue
                await keep()
                body = await _read(feed, item, found)
                if body is not None:
                    found.delivered += await _deliver(feed, row, store, item, body, at=now())
            await keep()
            if pages >= max_pages:
                return found
    found.complete = True
    return found


async def _read(feed: Feed, item: Item, found: Look) -> bytes | None:
    """Return an item's body, or None. Raises GatewayError kinds when the platform, and not the item, is at fault."""
    try:
        body = await feed.body(item)
    except SourceRejectedError:
        found.could_not_read(item)
        return None
    except SourceUnavailableError:
        found.down += 1
        if found.down >= MAX_DOWN:
            raise
        found.could_not_read(item)
        return None
    found.down = 0
    return body


async def _deliver(feed: Feed, row: SourceRow, store: Store, item: Item, body: bytes, *, at: datetime) -> bool:
    """Store an item as a delivery; return whether it was new."""
    _, duplicate = await store.add_delivery(
        NewDelivery(
            delivery_id=new_id("dlv", at), source=row.name, tenant_id=row.tenant_id, environment_id=row.environment_id,
            delivery_key=f"{feed.scheme}:{item.subject}", received_at=at, headers=b"[]", body=body, scheme=feed.scheme,
            secret_index=NO_SECRET,
        )
    )  # fmt: skip
    return not duplicate
