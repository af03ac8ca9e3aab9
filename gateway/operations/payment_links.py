"""Payment links on request: what must be there before one can be made, the customer it is for, and the link."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import Field

from connectors.invoices import Invoice
from connectors.money import shown
from gateway.errors import (
    CapabilityMissingError,
    GatewayError,
    InvoiceNotFoundError,
    InvoiceNotPayableError,
    InvoiceUnreadableError,
    PluginError,
    RequestInvalidError,
)
from gateway.operations.acting import Desk
from gateway.operations.views import View
from gateway.pipeline.dispatch import ENSURE, ENSURE_LINK, INVOICE, PAYMENT_LINK, ensure_job, link_job
from gateway.pipeline.links import LinkedLink
from gateway.registry import LiveConnection, LiveSource, Registry
from gateway.sources.base import Confirmed, Dropped, Event, Trigger
from storage.errors import NotFoundError
from storage.records import Job, JobStatus, MappingKey, MappingStatus, NewJob, Scope

CUSTOMER = "customer"
OPEN = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.NEEDS_REVIEW)
PATIENCE = 5.0
"""Seconds for which a request waits for its link, where nothing else is said."""


class LinkState(StrEnum):
    """How far a payment link is."""

    READY = "ready"
    CUSTOMER_PENDING = "customer_pending"
    LINK_PENDING = "link_pending"
    NEEDS_REVIEW = "needs_review"
    FAILED = "failed"


class PaymentLinkView(View):
    """A payment link, or what has become of the request for one."""

    invoice_id: str
    connection: str
    source: str
    customer_id: str
    status: LinkState = Field(
        description="`ready`: `url` can be paid. `customer_pending`, `link_pending`: it is being made; ask again."
        " `needs_review`, `failed`: see the job."
    )
    url: str | None = Field(None, description="The page on which the customer pays, once.")
    amount: str | None = Field(None, description="What it asks for, in major units: `150.00`.")
    currency: str | None = None
    provider_entity_id: str | None = Field(None, description="The link at the provider.")
    job_id: str | None = Field(None, description="The job that makes it.")
    job_status: JobStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What a request comes to once the platform has been asked."""

    origin: LiveSource
    live: LiveConnection
    invoice_id: str
    customer_id: str
    due: Invoice | None
    """None where the platform tells no amount: the customer can be made to exist, and the link will say why not."""

    def key(self, entity_type: str) -> MappingKey:
        entity_id = self.customer_id if entity_type == CUSTOMER else self.invoice_id
        return MappingKey(
            source=self.origin.row.name, entity_type=entity_type, entity_id=entity_id, connection=self.live.row.name
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLinks(Desk):
    """The use-case of payment links; it needs the living sources and connections of a running gateway."""

    registry: Registry

    async def request(
        self, scope: Scope, *, invoice_id: str, connection: str, source: str | None = None,
        patience: float = PATIENCE, actor: str,
    ) -> PaymentLinkView:  # fmt: skip
        """Ask for a payment link for what is open of an invoice; asking again gives the same link.

        The invoice is read from its platform: finalized, and not paid. Its customer is made to exist on the connection
        first: a payment link being requested is a trigger. Waits for the link up to `patience` seconds. An amount that
        has changed since brings a new link, and switches the old one off. Raises NotFoundError, InvoiceNotFoundError,
        InvoiceNotPayableError, RequestInvalidError when several sources could be meant, CapabilityMissingError when
        the customer is there and the connector makes no payment links, and what reading the platform raises.
        """
        wish = await self._wish(scope, invoice_id=invoice_id, connection=connection, source=source)
        customer = await self.store.get_mapping(wish.key(CUSTOMER))
        linked = customer is not None and customer.status is MappingStatus.LINKED
        if customer is not None and linked and not wish.live.makes_links:
            page = await self._page_of_invoice(wish)
            if page is not None:
                return page
            name, record = wish.live.row.connector, customer.provider_entity_id
            raise CapabilityMissingError(
                f"{name} makes no payment links, and no invoice there has a page; customer: {record}"
            )
        ready = await self._ready(wish)
        if ready is not None:
            return ready
        job = await self._job(wish, linked=linked, actor=actor)
        return await self._wait(wish, job, patience)

    async def _wish(self, scope: Scope, *, invoice_id: str, connection: str, source: str | None) -> _Wish:
        """Ask the platforms that it may be of; most often there is one."""
        live = self._connection(connection, scope)
        found: list[_Wish] = []
        trouble: GatewayError | None = None
        for origin in self._sources(source, live):
            try:
                found.append(await self._asked(origin, live, invoice_id))
            except InvoiceNotFoundError:
                continue
            except InvoiceNotPayableError:
                raise
            except GatewayError as error:
                trouble = error
        if len(found) > 1:
            names = ", ".join(sorted(wish.origin.row.name for wish in found))
            raise RequestInvalidError(f"source: which one? {names} have an invoice with this id")
        if not found:
            raise trouble or InvoiceNotFoundError()
        return found[0]

    async def _asked(self, origin: LiveSource, live: LiveConnection, invoice_id: str) -> _Wish:
        """Read the invoice at one platform. Raises InvoiceNotFoundError, InvoiceNotPayableError, GatewayError kinds."""
        if origin.adapter is None:
            raise PluginError(origin.problem or "")
        try:
            found = await origin.adapter.payable(invoice_id)
        except InvoiceUnreadableError:
            asked = Event(type="payment_link.requested", trigger=Trigger.PAYMENT_LINK, subject=invoice_id)
            confirmed = await origin.adapter.confirm(asked)
            if not isinstance(confirmed, Confirmed):
                raise InvoiceNotPayableError(confirmed.reason) from None
            return _Wish(
                origin=origin, live=live, invoice_id=invoice_id, customer_id=confirmed.customer_id, due=None
            )  # fmt: skip
        if isinstance(found, Dropped):
            raise InvoiceNotPayableError(found.reason)
        return _Wish(origin=origin, live=live, invoice_id=invoice_id, customer_id=found.customer_id, due=found)

    async def _ready(self, wish: _Wish) -> PaymentLinkView | None:
        """Return the link where there is one for just this amount."""
        mapping = await self.store.get_mapping(wish.key(PAYMENT_LINK))
        linked = LinkedLink.of(mapping)
        if mapping is None or linked is None or wish.due is None:
            return None
        if (linked.amount, linked.currency) != (wish.due.amount_due, wish.due.currency):
            return None
        return self._view(
            wish, LinkState.READY, url=linked.url, amount=shown(linked.amount, linked.currency).partition(" ")[0],
            currency=linked.currency, provider_entity_id=mapping.provider_entity_id,
        )  # fmt: skip

    async def _page_of_invoice(self, wish: _Wish) -> PaymentLinkView | None:
        """Return the page of the provider's own invoice, where that is the way to pay it (QuickBooks Payments)."""
        mapping = await self.store.get_mapping(wish.key(INVOICE))
        details = mapping.details if mapping is not None and isinstance(mapping.details, dict) else {}
        linked = mapping is not None and mapping.status is MappingStatus.LINKED
        if mapping is None or not linked or not details.get("url") or wish.due is None:
            return None
        return self._view(
            wish, LinkState.READY, url=details["url"], currency=wish.due.currency,
            amount=shown(wish.due.amount_due, wish.due.currency).partition(" ")[0],
            provider_entity_id=mapping.provider_entity_id,
        )  # fmt: skip

    async def _job(self, wish: _Wish, *, linked: bool, actor: str) -> Job:
        """Return the job that leads to the link: the one under way, else a new one."""
        known = await self._under_way(wish)
        if known is not None:
            return known
        now = self.now()
        new = self._link_job(wish, now) if linked else self._customer_job(wish, now)
        await self.store.add_job(new, now=now)
        row = wish.origin.row
        home = Scope(tenant_id=row.tenant_id, environment_id=row.environment_id)
        await self.note(
            actor, "payment_link.requested", wish.invoice_id, home, {"connection": wish.live.row.name}
        )  # fmt: skip
        self.wake()
        return await self.store.get_job(new.job_id)

    def _customer_job(self, wish: _Wish, now: Any) -> NewJob:
        event = Event(
            type="payment_link.requested", trigger=Trigger.PAYMENT_LINK, subject=wish.invoice_id,
            customer_id=wish.customer_id,
        )  # fmt: skip
        return ensure_job(
            wish.origin.row, event, connection=wish.live.row.name, delivery_id=None, forced=True, now=now
        )  # fmt: skip

    def _link_job(self, wish: _Wish, now: Any) -> NewJob:
        connector = wish.live.connector
        if getattr(connector, "links_need_invoice", False):
            return self._customer_job(wish, now)  # which queues the invoice, and that the link
        return link_job(
            wish.origin.row, wish.invoice_id, connection=wish.live.row.name, delivery_id=None,
            trigger=Trigger.PAYMENT_LINK, now=now,
        )  # fmt: skip

    async def _under_way(self, wish: _Wish) -> Job | None:
        """Return the newest job of this wish that has not ended: the link's, else the customer's.

        The customer's is looked for first: where it has ended meanwhile, the link's was queued in that transaction.
        """
        name, newest = wish.origin.row.name, None
        for kind, entity_id in ((ENSURE, wish.customer_id), (ENSURE_LINK, wish.invoice_id)):
            page = await self.store.list_jobs(entity_id=entity_id, connection=wish.live.row.name, kind=kind)
            mine = [job for job in page.items if job.subject == wish.invoice_id and job.source == name]
            newest = next((job for job in mine if job.status in OPEN), newest)
        return newest

    async def _wait(self, wish: _Wish, job: Job, patience: float) -> PaymentLinkView:
        """Wait for the link, or for the end of what leads to it."""
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            token = await self.store.change_token()
            ready = await self._ready(wish)
            if ready is not None:
                return ready
            job = await self._under_way(wish) or await self.store.get_job(job.job_id)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or job.status not in (JobStatus.PENDING, JobStatus.RUNNING):
                return await self._ready(wish) or self._told(wish, job)  # it may have come while the jobs were read
            await self.store.wait_for_change(left, since=token)

    def _told(self, wish: _Wish, job: Job) -> PaymentLinkView:
        pending = LinkState.LINK_PENDING if job.kind == ENSURE_LINK else LinkState.CUSTOMER_PENDING
        state = {JobStatus.NEEDS_REVIEW: LinkState.NEEDS_REVIEW, JobStatus.FAILED: LinkState.FAILED}
        found = state.get(job.status, LinkState.FAILED if job.status is JobStatus.CANCELLED else pending)
        return self._view(wish, found, job_id=job.job_id, job_status=job.status)

    @staticmethod
    def _view(wish: _Wish, state: LinkState, **more: Any) -> PaymentLinkView:
        return PaymentLinkView(
            invoice_id=wish.invoice_id, connection=wish.live.row.name, source=wish.origin.row.name,
            customer_id=wish.customer_id, status=state, **more,
        )  # fmt: skip

    def _connection(self, name: str, scope: Scope) -> LiveConnection:
        live = self.registry.connections.get(name)
        if live is None or not _within(live.row, scope):
            msg = f"there is no connection {name} in this tenant and environment"
            raise NotFoundError(msg)
        return live

    def _sources(self, name: str | None, live: LiveConnection) -> list[LiveSource]:
        """Return the sources whose invoice may be meant: the one named, else all of the tenant's that have invoices."""
        home = Scope(tenant_id=live.row.tenant_id, environment_id=live.row.environment_id)
        near = {each.row.name: each for each in self.registry.sources.values() if _within(each.row, home)}
        if name is not None:
            if name not in near:
                msg = f"there is no source {name} in this tenant and environment"
                raise NotFoundError(msg)
            return [near[name]]
        having = [each for each in near.values() if each.adapter is not None and each.adapter.has_invoices]
        if not having:
            msg = "no source in this tenant and environment has invoices"
            raise InvoiceNotFoundError(msg)
        return having


def _within(row: Any, scope: Scope) -> bool:
    return scope.tenant_id in (None, row.tenant_id) and scope.environment_id in (None, row.environment_id)
