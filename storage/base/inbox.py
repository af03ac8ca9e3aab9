"""Deliveries: what a store does with the inbox."""

from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from storage.records import (
    EVERYWHERE,
    Delivery,
    DeliveryStatus,
    Dispatched,
    NewDelivery,
    Page,
    Rejection,
    Scope,
    SourceActivity,
)


class InboxStore(Protocol):
    """Deliveries: what a store does with the inbox."""

    def add_delivery(self, delivery: NewDelivery) -> Awaitable[tuple[str, bool]]:
        """Store a delivery; what is awaited tells, once it is synced to disk, its id and whether it was stored before.

        Deliveries that arrive together share one transaction. Raises OverloadedError, StoreUnavailableError, here or
        where it is awaited.
        """
        ...

    @property
    def deliveries_waiting(self) -> int:
        """Return how many deliveries wait for the disk at this moment."""
        ...

    async def claim_deliveries(self, *, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
        """Take deliveries that were not dispatched yet, oldest first; nobody else gets them until the lease ends."""
        ...

    async def settle_dispatch(self, results: Sequence[Dispatched], *, now: datetime) -> None:
        """Write what dispatch decided: end states, or jobs. A delivery that was dispatched meanwhile is left alone."""
        ...

    async def known_subjects(self, source: str, subjects: Sequence[str]) -> set[str]:
        """Return which of these invoices or transactions a dispatched delivery of the source is about."""
        ...

    async def get_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Return a delivery with headers and body. Raises NotFoundError."""
        ...

    async def list_deliveries(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        source: str | None = None,
        status: DeliveryStatus | None = None,
        event_type: str | None = None,
        connection: str | None = None,
        error_code: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        about: Sequence[str] | None = None,
    ) -> Page[Delivery]:
        """Return deliveries, newest first; `about` are ids: of delivery, entity or subject, or delivery keys.

        `connection` and `error_code` are of one of its jobs: where it went, and the last attempt's error. A page looks
        through at most MAX_LOOKED rows: it may have fewer than `limit`, even none, and a cursor nonetheless.
        """
        ...

    async def tally_deliveries(
        self, scope: Scope = EVERYWHERE, *, since: datetime, until: datetime, step: timedelta
    ) -> Mapping[int, Mapping[DeliveryStatus, int]]:
        """Return how many deliveries came to what, by the step of time in which they were received, counted from 0.

        Steps begin at `since`; those without any are left out.
        """
        ...

    async def replay_delivery(self, delivery_id: str, scope: Scope = EVERYWHERE) -> Delivery:
        """Dispatch a delivery again, past dedupe and on purpose; its earlier jobs stay. Raises NotFoundError.

        Raises ConflictError when the body was pruned, or when the delivery is still being worked on.
        """
        ...

    async def roll_up_delivery(self, delivery_id: str) -> None:
        """Work out a delivery's status from its jobs again."""
        ...

    async def prune_deliveries(self, *, before: datetime, limit: int = 1000) -> int:
        """Drop headers and bodies of up to `limit` ended deliveries older than `before`; return how many. Keys stay."""
        ...

    async def note_activity(
        self, *, accepted: dict[str, datetime], rejected: Sequence[Rejection], counts: dict[tuple[str, str], int]
    ) -> None:
        """Write down when sources were heard and refused; the last few refusals of each source are kept.

        What is kept is bounded (storage/limits.py), whatever a stranger sends.
        """
        ...

    async def source_activity(self, source: str) -> SourceActivity:
        """Return when a source last was heard and refused, with counts by reason."""
        ...

    async def list_rejections(self, source: str) -> Sequence[Rejection]:
        """Return the last refused requests of a source, newest first."""
        ...
