"""Payment links on request: what must be there before one can be made, the customer it is for, and the link."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import Field

from connectors.errors import ConnectorError
from connectors.links import PaymentLinks as Linking
from connectors.money import MoneyError, parse, shown, total
from gateway.errors import CapabilityMissingError, InvoiceNotPayableError
from gateway.operations.acting import Desk
from gateway.operations.payment_wishes import Wish, Wishes
from gateway.operations.records import ACTIVE
from gateway.operations.views import View
from gateway.pipeline.dispatch import (
    ENSURE,
    ENSURE_INVOICE,
    ENSURE_LINK,
    INVOICE,
    PAYMENT_LINK,
    ensure_job,
    link_job,
)
from gateway.pipeline.keeping import LinkedLink, is_over, payments_of
from gateway.pipeline.work import CUSTOMER
from gateway.registry import Registry
from gateway.sources.base import Event, Trigger
from storage.records import EntityMapping, Job, JobStatus, MappingStatus, NewJob, Scope

OPEN = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.NEEDS_REVIEW)
PATIENCE = 5.0
"""Seconds for which a request waits for its link, where nothing else is said."""
ASKING = 5.0
"""Seconds for which the provider is asked about a link that is known."""
MOST_JOBS = 3
"""How many jobs one request may begin, one after the other: who was wanted for something else leads to no link."""


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
        wish = await Wishes(registry=self.registry).read(
            scope, invoice_id=invoice_id, connection=connection, source=source
        )
        customer = await self.store.get_mapping(wish.key(CUSTOMER))
        if customer is not None and customer.status is MappingStatus.LINKED and not wish.live.makes_links:
            return await self._page_of_invoice(wish, customer)
        mapping = await self.store.get_mapping(wish.key(PAYMENT_LINK))
        ready, gone = self._ready(wish, mapping), None
        if mapping is not None and ready is not None:
            if await self._can_be_paid(wish, mapping):
                return ready
            gone = mapping.provider_entity_id
        return await self._wait(wish, patience, gone=gone, actor=actor)

    def _ready(self, wish: Wish, mapping: EntityMapping | None) -> PaymentLinkView | None:
        """Return the link where there is one for what is open."""
        linked = LinkedLink.of(mapping)
        if mapping is None or linked is None or wish.due is None or not linked.serves(wish.due):
            return None
        return self._view(
            wish, LinkState.READY, url=linked.url, amount=shown(linked.amount, linked.currency).partition(" ")[0],
            currency=linked.currency, provider_entity_id=mapping.provider_entity_id,
        )  # fmt: skip

    async def _can_be_paid(self, wish: Wish, mapping: EntityMapping) -> bool:
        """Whether the link is open at the provider; one that cannot be asked keeps nobody from what is known.

        Raises InvoiceNotPayableError for a link that was paid, of which the platform does not know yet.
        """
        connector, record = wish.live.connector, mapping.provider_entity_id or ""
        if not isinstance(connector, Linking) or wish.live.row.status != ACTIVE:
            return True
        try:
            async with asyncio.timeout(ASKING):
                found = await connector.get_link(record)
        except (ConnectorError, TimeoutError):
            return True
        if found is not None and found.used and not is_over(mapping):
            raise InvoiceNotPayableError(f"its payment link {record} has been paid, and the platform does not know yet")
        return found is not None and found.active

    async def _page_of_invoice(self, wish: Wish, customer: EntityMapping) -> PaymentLinkView:
        """Return the page of the provider's own invoice, where that is the way to pay it (QuickBooks Payments).

        Raises CapabilityMissingError where there is none, InvoiceNotPayableError where it asks for another sum.
        """
        mapping = await self.store.get_mapping(wish.key(INVOICE))
        details = mapping.details if mapping is not None and isinstance(mapping.details, dict) else {}
        linked = mapping is not None and mapping.status is MappingStatus.LINKED
        if mapping is None or not linked or not details.get("url") or wish.due is None:
            name, record = wish.live.row.connector, customer.provider_entity_id
            raise CapabilityMissingError(
                f"{name} makes no payment links, and no invoice there has a page; customer: {record}"
            )
        asks, currency, due = _left(mapping, details), str(details.get("currency") or wish.due.currency), wish.due
        if asks is not None and (asks, currency) != (due.amount_due, due.currency):
            raise InvoiceNotPayableError(
                f"the invoice's page asks for {shown(asks, currency)}, and {shown(due.amount_due, due.currency)} are"
                " open at the platform"
            )
        return self._view(
            wish, LinkState.READY, url=details["url"], currency=due.currency,
            amount=shown(due.amount_due, due.currency).partition(" ")[0],
            provider_entity_id=mapping.provider_entity_id,
        )  # fmt: skip

    async def _job(self, wish: Wish, actor: str) -> Job:
        """Return the job that leads to the link: the one under way, else a new one."""
        known = await self._under_way(wish)
        if known is not None:
            return known
        now, customer = self.now(), await self.store.get_mapping(wish.key(CUSTOMER))
        linked = customer is not None and customer.status is MappingStatus.LINKED
        # Linked meanwhile is no reason to ask a connector for what it cannot make: the next request tells of that.
        new = self._link_job(wish, now) if linked and wish.live.makes_links else self._customer_job(wish, now)
        await self.store.add_job(new, now=now)
        row = wish.origin.row
        home = Scope(tenant_id=row.tenant_id, environment_id=row.environment_id)
        await self.note(
            actor, "payment_link.requested", wish.invoice_id, home, {"connection": wish.live.row.name}
        )  # fmt: skip
        self.wake()
        return await self.store.get_job(new.job_id)

    def _customer_job(self, wish: Wish, now: datetime) -> NewJob:
        event = Event(
            type="payment_link.requested", trigger=Trigger.PAYMENT_LINK, subject=wish.invoice_id,
            customer_id=wish.customer_id,
        )  # fmt: skip
        return ensure_job(
            wish.origin.row, event, connection=wish.live.row.name, delivery_id=None, forced=True, now=now
        )  # fmt: skip

    def _link_job(self, wish: Wish, now: datetime) -> NewJob:
        connector = wish.live.connector
        if isinstance(connector, Linking) and connector.links_need_invoice:
            return self._customer_job(wish, now)  # which queues the invoice, and that the link
        return link_job(
            wish.origin.row, wish.invoice_id, connection=wish.live.row.name, delivery_id=None, now=now
        )  # fmt: skip

    async def _under_way(self, wish: Wish) -> Job | None:
        """Return the newest job of this wish that has not ended: the link's, else the invoice's, else the customer's.

        The customer's is looked for first: where it has ended meanwhile, the next was queued in that transaction.
        """
        name, newest = wish.origin.row.name, None
        leading = ((ENSURE, wish.customer_id), (ENSURE_INVOICE, wish.invoice_id), (ENSURE_LINK, wish.invoice_id))
        for kind, entity_id in leading:
            page = await self.store.list_jobs(entity_id=entity_id, connection=wish.live.row.name, kind=kind)
            mine = [job for job in page.items if job.subject == wish.invoice_id and job.source == name]
            newest = next((job for job in mine if job.status in OPEN and _leads(job, wish)), newest)
        return newest

    async def _wait(self, wish: Wish, patience: float, *, gone: str | None, actor: str) -> PaymentLinkView:
        """Wait for the link, or for the end of what leads to it. `gone` is a link that can be paid no more.

        Raises InvoiceNotPayableError where a job has found that nothing is to be paid any more.
        """
        deadline, begun = asyncio.get_running_loop().time() + patience, 1
        job = await self._job(wish, actor)
        while True:
            token = await self.store.change_token()
            job = await self._under_way(wish) or await self.store.get_job(job.job_id)
            mapping = await self.store.get_mapping(wish.key(PAYMENT_LINK))  # after the jobs: one may have made it
            ready = self._ready(wish, mapping)
            done = job.status is JobStatus.SUCCEEDED
            refused = done and job.outcome == "ignored"
            seen = done and not refused
            if mapping is not None and ready is not None and (seen or mapping.provider_entity_id != gone):
                return ready
            if refused:
                raise InvoiceNotPayableError(job.reason or "")
            left = deadline - asyncio.get_running_loop().time()
            if done and left > 0 and begun < MOST_JOBS and wish.live.makes_links:
                job, begun = await self._job(wish, actor), begun + 1
            elif left <= 0 or job.status not in (JobStatus.PENDING, JobStatus.RUNNING):
                return self._told(wish, job)
            else:
                await self.store.wait_for_change(left, since=token)

    def _told(self, wish: Wish, job: Job) -> PaymentLinkView:
        pending = LinkState.CUSTOMER_PENDING if job.kind == ENSURE else LinkState.LINK_PENDING
        state = {JobStatus.NEEDS_REVIEW: LinkState.NEEDS_REVIEW, JobStatus.FAILED: LinkState.FAILED}
        found = state.get(job.status, LinkState.FAILED if job.status is JobStatus.CANCELLED else pending)
        return self._view(wish, found, job_id=job.job_id, job_status=job.status)

    @staticmethod
    def _view(wish: Wish, state: LinkState, **more: Any) -> PaymentLinkView:
        return PaymentLinkView(
            invoice_id=wish.invoice_id, connection=wish.live.row.name, source=wish.origin.row.name,
            customer_id=wish.customer_id, status=state, **more,
        )  # fmt: skip


def _leads(job: Job, wish: Wish) -> bool:
    """Whether the link follows from the job, or has to wait for it: an invoice leads there only where links need it."""
    need = isinstance(wish.live.connector, Linking) and wish.live.connector.links_need_invoice
    return job.kind != ENSURE_INVOICE or need


def _left(mapping: EntityMapping, details: Mapping[str, Any]) -> Decimal | None:
    """Return what the provider's invoice asks for after the payments kept with it; None where that is unknown."""
    try:
        paid = [parse(each.get("amount")).copy_negate() for each in payments_of(mapping)]
        return total([parse(details.get("total")), *paid])
    except MoneyError:
        return None
