"""Payment links on request: what must be there before one can be made, and the customer that one is for."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from gateway.errors import (
    CapabilityMissingError,
    InvoiceNotFoundError,
    InvoiceNotPayableError,
    PluginError,
    RequestInvalidError,
)
from gateway.operations.acting import Desk
from gateway.operations.views import View
from gateway.pipeline.dispatch import ENSURE, ensure_job
from gateway.registry import LiveConnection, LiveSource, Registry
from gateway.sources.base import Confirmed, Event, Trigger
from storage.errors import NotFoundError
from storage.records import Job, JobStatus, MappingKey, MappingStatus, Scope

CUSTOMER = "customer"
UNDER_WAY = (JobStatus.PENDING, JobStatus.RUNNING)


class PaymentLinkView(View):
    """What has become of a request for a payment link."""

    invoice_id: str
    connection: str
    source: str
    customer_id: str
    status: str = Field(description="`customer_pending`: the customer is being made to exist first.")
    job_id: str = Field(description="The job that does it; ask again once it has succeeded.")
    job_status: JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLinks(Desk):
    """The use-case of payment links; it needs the living sources and connections of a running gateway."""

    registry: Registry

    async def request(
        self, scope: Scope, *, invoice_id: str, connection: str, source: str | None = None, actor: str
    ) -> PaymentLinkView:
        """Ask for a payment link for an invoice on a connection; asking again changes nothing.

        The invoice is read from its platform and must be finalized. Its customer is made to exist on the connection
        first: a payment link being requested is a trigger. Raises NotFoundError, InvoiceNotFoundError,
        InvoiceNotPayableError, RequestInvalidError when several sources could be meant, CapabilityMissingError when
        the customer is there and the connector makes no payment links, and what reading the platform raises.
        """
        live = self._connection(connection, scope)
        origin = self._source(source, live)
        event = Event(type="payment_link.requested", trigger=Trigger.PAYMENT_LINK, subject=invoice_id)
        if origin.adapter is None:
            raise PluginError(origin.problem or "")
        confirmed = await origin.adapter.confirm(event)
        if not isinstance(confirmed, Confirmed):
            raise InvoiceNotPayableError(confirmed.reason)
        key = MappingKey(
            source=origin.row.name, entity_type=CUSTOMER, entity_id=confirmed.customer_id, connection=connection
        )
        mapping = await self.store.get_mapping(key)
        if mapping is not None and mapping.status is MappingStatus.LINKED:
            msg = f"{live.row.connector} makes no payment links; the customer is linked to {mapping.provider_entity_id}"
            raise CapabilityMissingError(msg)
        job = await self._ensure(origin, live, key, invoice_id=invoice_id, actor=actor)
        return PaymentLinkView(
            invoice_id=invoice_id, connection=connection, source=key.source, customer_id=key.entity_id,
            status="customer_pending", job_id=job.job_id, job_status=job.status,
        )  # fmt: skip

    async def _ensure(
        self, origin: LiveSource, live: LiveConnection, key: MappingKey, *, invoice_id: str, actor: str
    ) -> Job:
        """Return the job that makes the customer exist: the one under way, else a new one."""
        known = await self.store.list_jobs(entity_id=key.entity_id, connection=key.connection, kind=ENSURE)
        for job in known.items:
            if job.subject == invoice_id and job.source == key.source and job.status in UNDER_WAY:
                return job
        now = self.now()
        event = Event(
            type="payment_link.requested", trigger=Trigger.PAYMENT_LINK, subject=invoice_id, customer_id=key.entity_id
        )
        new = ensure_job(
            origin.row, event, connection=live.row.name, delivery_id=None, forced=True, now=now
        )  # fmt: skip
        await self.store.add_job(new, now=now)
        home = Scope(tenant_id=origin.row.tenant_id, environment_id=origin.row.environment_id)
        await self.note(actor, "payment_link.requested", invoice_id, home, {"connection": live.row.name})
        self.wake()
        return await self.store.get_job(new.job_id)

    def _connection(self, name: str, scope: Scope) -> LiveConnection:
        live = self.registry.connections.get(name)
        if live is None or not _within(live.row, scope):
            msg = f"there is no connection {name} in this tenant and environment"
            raise NotFoundError(msg)
        return live

    def _source(self, name: str | None, live: LiveConnection) -> LiveSource:
        """Return the source whose invoice is meant: the one named, else the only one that has invoices."""
        home = Scope(tenant_id=live.row.tenant_id, environment_id=live.row.environment_id)
        near = {each.row.name: each for each in self.registry.sources.values() if _within(each.row, home)}
        if name is not None:
            if name not in near:
                msg = f"there is no source {name} in this tenant and environment"
                raise NotFoundError(msg)
            return near[name]
        # A platform whose events need no `invoice_sync.outbound` has transactions, not invoices.
        having = [each for each in near.values() if each.adapter is not None and each.adapter.needs_outbound]
        if not having:
            msg = "no source in this tenant and environment has invoices"
            raise InvoiceNotFoundError(msg)
        if len(having) > 1:
            msg = f"source: which one? There are {', '.join(sorted(each.row.name for each in having))}"
            raise RequestInvalidError(msg)
        return having[0]


def _within(row: Any, scope: Scope) -> bool:
    return scope.tenant_id in (None, row.tenant_id) and scope.environment_id in (None, row.environment_id)
