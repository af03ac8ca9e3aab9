"""From a stored delivery to its jobs: what the event says, whether it triggers, and which connections it goes to."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from gateway.errors import PayloadInvalidError, PluginError
from gateway.registry import Registry
from gateway.sources.base import Event, Trigger
from storage.ids import new_id
from storage.records import (
    Delivery,
    DeliveryStatus,
    Dispatched,
    EntityMapping,
    Job,
    MappingKey,
    NewJob,
    SeenCustomer,
    SourceRow,
)

log = structlog.get_logger("ledgergate.dispatch")

ENSURE = "ensure_customer"
ENSURE_INVOICE = "ensure_invoice"
VOID_INVOICE = "void_invoice"
ENSURE_LINK = "ensure_payment_link"
RECORD_PAYMENT = "record_payment"
WRITE_BACK = "write_back"
CHECK = "check_mapping"
INVOICE = "invoice"
PAYMENT_LINK = "payment_link"
PAYMENT = "payment"


def lock_key(kind: str, source: str, entity_id: str, connection: str) -> str:
    """Return what keeps jobs about the same customer or invoice, on the same connection, apart."""
    return f"{kind}:{connection}:{source}:{entity_id}"


def dispatch(deliveries: Sequence[Delivery], registry: Registry, *, now: datetime) -> list[Dispatched]:
    """Decide about deliveries. No I/O: the same delivery always gives the same decision for the same configuration."""
    return [_dispatch_one(delivery, registry, now=now) for delivery in deliveries]


def _dispatch_one(delivery: Delivery, registry: Registry, *, now: datetime) -> Dispatched:
    try:
        adapter = registry.source(delivery.source)
        event = adapter.parse(delivery.body or b"")
    except (PayloadInvalidError, PluginError) as error:
        return _ended(delivery, DeliveryStatus.FAILED, f"{error.code}: {error.detail}")
    except Exception as error:
        log.exception("parse_failed", delivery_id=delivery.delivery_id, source=delivery.source)
        return _ended(delivery, DeliveryStatus.FAILED, f"internal: the parser failed ({type(error).__name__})")
    seen = _seen(delivery, event)
    if event.trigger is Trigger.NONE:
        return Dispatched(
            delivery_id=delivery.delivery_id, event_type=event.type, entity_id=event.customer_id, subject=event.subject,
            status=DeliveryStatus.IGNORED, reason=event.reason or "not a trigger", customer=seen,
        )  # fmt: skip
    row = registry.sources[delivery.source].row
    if event.trigger in {Trigger.INVOICE_VOIDED, Trigger.INVOICE_PAID}:
        return _overtaken(delivery, event, row, registry, seen=seen, now=now)
    if event.trigger is Trigger.PAYMENT:
        return _paid(delivery, event, row, registry, now=now)
    routes = registry.routes(row, outbound_only=adapter.needs_outbound)
    if not routes:
        wanted = "with invoice_sync.outbound = true " if adapter.needs_outbound else ""
        return Dispatched(
            delivery_id=delivery.delivery_id, event_type=event.type, entity_id=event.customer_id, subject=event.subject,
            status=DeliveryStatus.IGNORED, customer=seen,
            reason=f"no connection {wanted}in this tenant and environment",
        )  # fmt: skip
    jobs = [
        ensure_job(row, event, connection=live.row.name, delivery_id=delivery.delivery_id,
                   forced=delivery.replays > 0, now=now)
        for live in routes
    ]  # fmt: skip
    return Dispatched(
        delivery_id=delivery.delivery_id, event_type=event.type, entity_id=event.customer_id, subject=event.subject,
        jobs=jobs, customer=seen,
    )  # fmt: skip


def _overtaken(
    delivery: Delivery, event: Event, source: SourceRow, registry: Registry, *, seen: SeenCustomer | None, now: datetime
) -> Dispatched:
    """Return the jobs that void an invoice where it was made, and switch off a payment link that asks for too much."""
    invoice_id, here = event.subject or "", registry.routes(source, outbound_only=False)
    booked = [live for live in here if live.books_invoices and event.trigger is Trigger.INVOICE_VOIDED]
    jobs = [_void_job(delivery, source, invoice_id, live.row.name, now=now) for live in booked]
    jobs += [
        link_job(
            source, invoice_id, connection=live.row.name, delivery_id=delivery.delivery_id, trigger=event.trigger,
            now=now,
        )
        for live in here if live.makes_links
    ]  # fmt: skip
    return Dispatched(
        delivery_id=delivery.delivery_id, event_type=event.type, entity_id=event.customer_id, subject=event.subject,
        status=DeliveryStatus.PENDING if jobs else DeliveryStatus.IGNORED, jobs=jobs, customer=seen,
        reason=None if jobs else f"{event.type}: no connection here makes invoices or payment links",
    )  # fmt: skip


def _paid(delivery: Delivery, event: Event, source: SourceRow, registry: Registry, *, now: datetime) -> Dispatched:
    """Return the jobs that look at each payment, on the connection that the source is bound to."""
    connection = registry.bound_connection(source)
    payments = event.data.get("payments", ()) if connection is not None else ()
    jobs = [
        payment_job(source, connection, payment, account=account, delivery_id=delivery.delivery_id, now=now)
        for payment, account in payments
        if connection is not None
    ]
    return Dispatched(
        delivery_id=delivery.delivery_id, event_type=event.type, subject=event.subject, jobs=jobs,
        status=DeliveryStatus.PENDING if jobs else DeliveryStatus.FAILED,
        reason=None if jobs else "the source's `connection` is not there, in its tenant and environment",
    )  # fmt: skip


def payment_job(
    source: SourceRow, connection: str, payment: str, *, account: str, delivery_id: str | None, now: datetime
) -> NewJob:
    """Return the job that looks at a payment which a provider tells of; `account` is whose, where it says that."""
    return NewJob(
        job_id=new_id("job", now), kind=RECORD_PAYMENT, source=source.name, tenant_id=source.tenant_id,
        environment_id=source.environment_id, gate=connection, connection=connection, delivery_id=delivery_id,
        entity_type=PAYMENT, entity_id=payment, subject=payment,
        # One after the other on a connection: two payments may be for one invoice.
        lock_key=lock_key(RECORD_PAYMENT, "", "", connection), payload={"account": account} if account else None,
        due_at=now,
    )  # fmt: skip


def place_job(job: Job, place: int, *, now: datetime) -> NewJob:
    """Return the job for one of the records that a payment was for: `job` is that for the payment."""
    payload = job.payload if isinstance(job.payload, dict) else {}
    return NewJob(
        job_id=new_id("job", now), kind=RECORD_PAYMENT, source=job.source, tenant_id=job.tenant_id,
        environment_id=job.environment_id, gate=job.gate, connection=job.connection, delivery_id=job.delivery_id,
        entity_type=PAYMENT, entity_id=job.entity_id, subject=job.subject, lock_key=job.lock_key,
        payload={**payload, "place": place}, due_at=now,
    )  # fmt: skip


def _void_job(delivery: Delivery, source: SourceRow, invoice_id: str, connection: str, *, now: datetime) -> NewJob:
    return NewJob(
        job_id=new_id("job", now), kind=VOID_INVOICE, source=source.name, tenant_id=source.tenant_id,
        environment_id=source.environment_id, gate=connection, connection=connection, delivery_id=delivery.delivery_id,
        entity_type=INVOICE, entity_id=invoice_id, subject=invoice_id,
        # One invoice is made and voided by one job at a time.
        lock_key=lock_key(ENSURE_INVOICE, source.name, invoice_id, connection),
        payload={"trigger": str(Trigger.INVOICE_VOIDED)}, due_at=now,
    )  # fmt: skip


def next_void_job(job: Job, *, now: datetime) -> NewJob:
    """Return the job that voids an invoice which was linked after the platform had voided it: `job` has linked it."""
    return NewJob(
        job_id=new_id("job", now), kind=VOID_INVOICE, source=job.source, tenant_id=job.tenant_id,
        environment_id=job.environment_id, gate=job.gate, connection=job.connection, delivery_id=job.delivery_id,
        entity_type=INVOICE, entity_id=job.entity_id, subject=job.entity_id, lock_key=job.lock_key,
        payload={"trigger": str(Trigger.INVOICE_VOIDED)}, due_at=now,
    )  # fmt: skip


def invoice_job(job: Job, *, now: datetime) -> NewJob:
    """Return the job that makes the invoice exist for which a customer was wanted: `job` is the customer's."""
    payload = job.payload if isinstance(job.payload, dict) else {}
    invoice_id, forced = job.subject or "", bool(payload.get("forced"))
    trigger = str(payload.get("trigger", Trigger.INVOICE_FINALIZED))
    return NewJob(
        job_id=new_id("job", now), kind=ENSURE_INVOICE, source=job.source, tenant_id=job.tenant_id,
        environment_id=job.environment_id, gate=job.gate, connection=job.connection, delivery_id=job.delivery_id,
        entity_type=INVOICE, entity_id=invoice_id, subject=invoice_id,
        lock_key=lock_key(ENSURE_INVOICE, job.source, invoice_id, job.connection or ""),
        payload={"trigger": trigger, **({"forced": True} if forced else {})}, due_at=now,
    )  # fmt: skip


def link_job(
    asked_by: SourceRow | Job,
    invoice_id: str,
    *,
    connection: str,
    delivery_id: str | None,
    now: datetime,
    trigger: Trigger = Trigger.PAYMENT_LINK,
) -> NewJob:
    """Return the job that makes the one payment link of an invoice exist, or be gone where nothing is to be paid.

    `asked_by` is the invoice's source, or the job about its customer or itself that came before.
    """
    source = asked_by.source if isinstance(asked_by, Job) else asked_by.name
    return NewJob(
        job_id=new_id("job", now), kind=ENSURE_LINK, source=source, tenant_id=asked_by.tenant_id,
        environment_id=asked_by.environment_id, gate=connection, connection=connection, delivery_id=delivery_id,
        entity_type=PAYMENT_LINK, entity_id=invoice_id, subject=invoice_id,
        lock_key=lock_key(ENSURE_LINK, source, invoice_id, connection),
        payload={"trigger": str(trigger), "forced": True}, due_at=now,
    )  # fmt: skip


def check_job(mapping: EntityMapping, *, now: datetime) -> NewJob:
    """Return the job that looks at one linked customer, under that customer's lock."""
    return NewJob(
        job_id=new_id("job", now), kind=CHECK, source=mapping.source, tenant_id=mapping.tenant_id,
        environment_id=mapping.environment_id, gate=mapping.connection, connection=mapping.connection,
        lock_key=lock_key(ENSURE, mapping.source, mapping.entity_id, mapping.connection),
        entity_type=mapping.entity_type, entity_id=mapping.entity_id, due_at=now,
    )  # fmt: skip


def ensure_job(
    source: SourceRow, event: Event, *, connection: str, delivery_id: str | None, forced: bool, now: datetime
) -> NewJob:
    """Return the job that makes an event's customer exist on one connection."""
    entity_id = event.customer_id or ""
    return NewJob(
        job_id=new_id("job", now), kind=ENSURE, source=source.name, tenant_id=source.tenant_id,
        environment_id=source.environment_id, gate=connection, connection=connection, delivery_id=delivery_id,
        lock_key=lock_key(ENSURE, source.name, entity_id, connection), entity_id=entity_id, subject=event.subject,
        payload={"trigger": str(event.trigger), **({"forced": True} if forced else {})}, due_at=now,
    )  # fmt: skip


def write_back_job(source: SourceRow, key: MappingKey, *, now: datetime) -> NewJob:
    """Return the job that tells the platform of a link which no delivery has asked for."""
    return NewJob(
        job_id=new_id("job", now), kind=WRITE_BACK, source=source.name, tenant_id=source.tenant_id,
        environment_id=source.environment_id, gate=f"source:{source.name}",
        lock_key=lock_key(WRITE_BACK, source.name, key.entity_id, ""), connection=key.connection,
        entity_type=key.entity_type, entity_id=key.entity_id, due_at=now,
    )  # fmt: skip


def _ended(delivery: Delivery, status: DeliveryStatus, reason: str) -> Dispatched:
    return Dispatched(delivery_id=delivery.delivery_id, event_type=None, status=status, reason=reason[:500])


def _seen(delivery: Delivery, event: Event) -> SeenCustomer | None:
    if event.customer_id is None:
        return None
    return SeenCustomer(
        source=delivery.source, customer_id=event.customer_id, tenant_id=delivery.tenant_id,
        environment_id=delivery.environment_id,
    )  # fmt: skip
