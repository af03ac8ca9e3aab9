"""Asking a platform for what no webhook may have told of: pages of items, each a delivery in the making."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One transaction or invoice that the platform has.

    `subject` is its id, as the parser of its webhook gives it. `at` is when it happened by the platform's clock, None
    where that is not told. `body` is what its delivery holds, where the list says enough.
    """

    subject: str
    at: datetime | None = None
    body: bytes | None = field(default=None, repr=False)


class Feed(ABC):
    """One platform's list of what has happened, read from a watermark on. It decides nothing and stores nothing.

    What it finds goes into the inbox like a webhook; its `scheme` is the first part of the delivery key, so that the
    same item found again is absorbed there.
    """

    scheme: ClassVar[str]
    """What the deliveries have as their scheme: `poll` or `reconcile`."""
    eager: ClassVar[bool] = False
    """Whether the first look comes at once and goes back by the overlap; else it comes after an interval."""
    overlap: ClassVar[timedelta] = timedelta(hours=1)
    """How far before the watermark each look begins: clocks differ, and lists are sometimes behind."""
    long_overlap: ClassVar[timedelta | None] = None
    """How far back a look goes now and then, for what the platform changes late; None where nothing does."""
    long_every: ClassVar[timedelta] = timedelta(hours=6)
    """How often that is."""

    def __init__(self, *, interval: float) -> None:
        """Take the seconds between two looks."""
        self.interval = interval

    @abstractmethod
    def pages(self, *, since: datetime, until: datetime) -> AsyncGenerator[Sequence[Item], None]:
        """Yield what has happened in that time, oldest first, a page at a time. Raises GatewayError kinds.

        Items after `until` may be left out: the next look begins before it.
        """

    async def body(self, item: Item) -> bytes | None:
        """Return the body of an item's delivery, or None while there is nothing to deliver.

        Raises SourceRejectedError when this one item cannot be read, other GatewayError kinds when the platform fails.
        """
        return item.body


def moment(value: object) -> datetime | None:
    """Return a time that a platform tells, as RFC 3339 or in Unix seconds, text or number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        text = str(value).strip()
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
