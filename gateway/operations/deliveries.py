"""Deliveries: lists, one with its jobs, its body as it came, and replay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from pydantic import Field

from gateway.errors import BodyGoneError
from gateway.operations.acting import Desk
from gateway.operations.bulk import MAX_BULK, act_on_each, collect
from gateway.operations.jobs import JobSummary, summary
from gateway.operations.search import ids_for
from gateway.operations.views import Bulk, Listed, View, listed
from storage.records import EVERYWHERE, Delivery, DeliveryStatus, Page, Scope

MOST_JOBS = 200
SECRET_WORDS = ("signature", "secret", "token", "authorization", "cookie", "api-key", "apikey")


class DeliveryView(View):
    """A delivery in a list."""

    delivery_id: str
    source: str
    tenant_id: str
    environment_id: str
    delivery_key: str = Field(description="What makes a repeat of it recognisable.")
    event_type: str | None = Field(description="The platform's own word; null until it was read.")
    entity_id: str | None = Field(description="The customer that it names.")
    subject: str | None = Field(description="The invoice or transaction that it names.")
    received_at: datetime
    status: DeliveryStatus
    reason: str | None
    scheme: str = Field(description="How it was verified.")
    secret_index: int = Field(description="Which of the source's secrets verified it, from 0; -1: we asked for it.")
    replays: int
    body_bytes: int


class DeliveryDetail(DeliveryView):
    """A delivery with its jobs."""

    jobs: Sequence[JobSummary] = Field(description="Oldest first; the newest 200.")
    headers: Sequence[tuple[str, str]] | None = Field(description="As they came, secrets redacted; null once pruned.")
    body_kept: bool = Field(description="Whether the body is still there: it can be read and replayed.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries. An empty filter means all."""

    source: str | None = None
    status: DeliveryStatus | None = None
    event_type: str | None = None
    connection: str | None = None
    """Of one of its jobs, as is the error code: of the last attempt."""
    error_code: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is filtered."""
        return self == DeliveryFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries(Desk):
    """The use-cases of deliveries."""

    async def list(
        self,
        scope: Scope = EVERYWHERE,
        chosen: DeliveryFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Listed[DeliveryView]:
        """Return deliveries, newest first. Raises CursorInvalidError."""
        return listed(await self._page(scope, chosen or DeliveryFilter(), limit, cursor), delivery_view)

    async def get(self, delivery_id: str, scope: Scope = EVERYWHERE) -> DeliveryDetail:
        """Return a delivery with its jobs. Raises NotFoundError."""
        return await self._detail(await self.store.get_delivery(delivery_id, scope), scope)

    async def body(self, delivery_id: str, scope: Scope = EVERYWHERE) -> bytes:
        """Return the body, byte for byte. Raises NotFoundError, BodyGoneError once it was pruned."""
        delivery = await self.store.get_delivery(delivery_id, scope)
        if delivery.body is None:
            raise BodyGoneError
        return delivery.body

    async def replay(self, delivery_id: str, scope: Scope = EVERYWHERE, *, actor: str) -> DeliveryDetail:
        """Dispatch a delivery again. Raises NotFoundError, ConflictError."""
        delivery = await self._replay(delivery_id, scope, actor)
        self.wake()
        return await self._detail(delivery, scope)

    async def replay_many(
        self, chosen: DeliveryFilter, scope: Scope = EVERYWHERE, *, actor: str, dry_run: bool = False
    ) -> Bulk:
        """Replay the deliveries of a filter: those that have failed, unless it names a status."""
        narrowed = replace(chosen, status=chosen.status or DeliveryStatus.FAILED)
        found = await collect(
            partial(self._page, scope, narrowed), lambda delivery: delivery.delivery_id, most=MAX_BULK + 1
        )
        done = await act_on_each(found, lambda delivery_id: self._replay(delivery_id, scope, actor), dry_run=dry_run)
        self.wake()
        return done

    async def _replay(self, delivery_id: str, scope: Scope, actor: str) -> Delivery:
        delivery = await self.store.replay_delivery(delivery_id, scope)
        home = Scope(tenant_id=delivery.tenant_id, environment_id=delivery.environment_id)
        await self.note(actor, "delivery.replayed", delivery_id, home, {"source": delivery.source})
        return delivery

    async def _detail(self, delivery: Delivery, scope: Scope) -> DeliveryDetail:
        jobs = await self.store.list_jobs(scope, delivery_id=delivery.delivery_id, limit=MOST_JOBS)
        return DeliveryDetail(
            **_shared(delivery), jobs=[summary(job) for job in reversed(jobs.items)],
            body_kept=delivery.body is not None,
            headers=None if delivery.headers is None else orjson.loads(delivery.headers),
        )  # fmt: skip

    async def _page(self, scope: Scope, chosen: DeliveryFilter, limit: int, cursor: str | None) -> Page[Delivery]:
        about = await ids_for(chosen.text, self.store, scope) if chosen.text else None
        return await self.store.list_deliveries(
            scope, limit=limit, cursor=cursor, source=chosen.source, status=chosen.status,
            event_type=chosen.event_type, connection=chosen.connection, error_code=chosen.error_code,
            since=chosen.since, until=chosen.until, about=about,
        )  # fmt: skip


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Return a delivery as it stands in lists."""
    return DeliveryView(**_shared(delivery))


def shown_headers(headers: Sequence[tuple[str, str]] | None) -> list[tuple[str, str]]:
    """Return the headers as people see them, with everything hidden that could serve somebody else."""
    shown = []
    for name, value in headers or []:
        hidden = any(word in name.lower() for word in SECRET_WORDS)
        shown.append((name, f"[{len(value)} characters]" if hidden else value))
    return shown


def _shared(delivery: Delivery) -> dict[str, Any]:
    return {name: getattr(delivery, name) for name in DeliveryView.model_fields}
