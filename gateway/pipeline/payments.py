"""Payments: read at the provider, compared with what was asked for, told to the platform, kept with our record; once.

The webhook is a hint. What is believed is the payment as the provider has it now, and what it was for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.errors import ConfigurationError
from connectors.money import MoneyError, parse, shown
from connectors.payments import PaidFor, PaidKind, Payment, Payments, PaymentStatus
from gateway.errors import PaymentDiffersError
from gateway.pipeline.dispatch import next_payment_job
from gateway.pipeline.entities import ignored
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Stage, Work
from gateway.sources.base import Dropped
from storage.records import EntityMapping, JobStatus, Link, MappingStatus, Scope

SUM = {PaidKind.INVOICE: "total", PaidKind.PAYMENT_LINK: "amount"}
"""Kind of record → where its mapping's details keep what it asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One payment for one of our records."""

    payment: Payment
    paid: PaidFor
    mapping: EntityMapping

    @property
    def key(self) -> str:
        """What it is counted by, here and at the platform: at most once."""
        return f"{self.mapping.connection}:{self.payment.provider_entity_id}:{self.paid.provider_entity_id}"


class RecordPayment(Stage):
    """The stage `record_payment`."""

    async def __call__(self, work: Work) -> Result:
        """Run one attempt: one of the payment's records, and a job for the next.

        Raises PaymentDiffersError, which a person decides about, and ConnectorError, GatewayError kinds.
        """
        job, connector = work.claimed.job, work.connector
        if not isinstance(connector, Payments):
            raise ConfigurationError(f"{connector.name} tells of no payments")
        account, ours = str(work.payload.get("account") or ""), connector.idempotency_scope()
        if account and ours and account != ours:
            return ignored("the payment is of another company than the connection's")
        payment = await connector.get_payment(job.entity_id or "")
        if payment is None:
            return ignored("the provider has no such payment")
        if payment.status is not PaymentStatus.SETTLED:
            return ignored(f"the payment is {payment.status} at the provider")
        place = int(work.payload.get("place") or 0)
        if place >= len(payment.paid_for):
            return ignored("it is for none of the provider's invoices and links")
        result = await self._record(work, payment, payment.paid_for[place])
        if place + 1 == len(payment.paid_for):
            return result
        return _and_then(result, work, place + 1, now=self.now())

    async def _record(self, work: Work, payment: Payment, paid: PaidFor) -> Result:
        mapping = await self._mapping(work, paid)
        if mapping is None:
            return ignored(f"paid for {paid.kind.replace('_', ' ')} {paid.provider_entity_id}, which is not ours")
        received = Received(payment=payment, paid=paid, mapping=mapping)
        known = _payments_of(mapping)
        if any(each.get("id") == payment.provider_entity_id for each in known):
            return ignored("the payment was recorded before")
        check(received)
        told = await self._report(work, received)
        entry = {
            "id": payment.provider_entity_id, "amount": f"{paid.amount:f}", "currency": payment.currency,
            "paid_at": payment.paid_at.isoformat() if payment.paid_at else None, "platform": told,
        }  # fmt: skip
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done", link=_kept(mapping, [*known, entry]),
            decision={"decision": "payment", "record": paid.provider_entity_id, "why": told},
        )  # fmt: skip

    async def _mapping(self, work: Work, paid: PaidFor) -> EntityMapping | None:
        """Return whose record was paid; what is linked there no more (a link that was switched off) counts as well."""
        job = work.claimed.job
        page = await self.store.list_mappings(
            Scope(tenant_id=job.tenant_id, environment_id=job.environment_id), connection=job.connection,
            entity_type=str(paid.kind), provider_entity_id=paid.provider_entity_id, limit=2,
        )  # fmt: skip
        return page.items[0] if page.items else None

    async def _report(self, work: Work, received: Received) -> str:
        """Tell the platform, where it can be told; return in words what came of it. Raises PaymentDiffersError."""
        mapping, paid, payment = received.mapping, received.paid, received.payment
        source = work.registry.source(mapping.source)
        if not work.source.reports_payments:
            return "not told: the source's `report` is off"
        if not source.has_invoices:
            return "not told: the platform has no invoices"
        open_now = await source.payable(mapping.entity_id)
        if isinstance(open_now, Dropped):
            return f"not told: {open_now.reason}"
        if paid.amount > open_now.amount_due:
            raise PaymentDiffersError(
                f"{shown(paid.amount, payment.currency)} were paid, and the platform says that"
                f" {shown(open_now.amount_due, open_now.currency)} are open"
            )
        done = await source.report_payment(
            invoice_id=mapping.entity_id, key=received.key, amount=paid.amount, currency=payment.currency,
            connector=mapping.connector, payment=payment.provider_entity_id,
        )  # fmt: skip
        return "not told: the platform has no place for payments" if done is None else "told"


def check(received: Received) -> None:
    """Compare a payment with what our record asks for. Raises PaymentDiffersError with both.

    An invoice may be paid in parts; a link asks for one payment, and for no other sum.
    """
    mapping, paid, payment = received.mapping, received.paid, received.payment
    details = mapping.details if isinstance(mapping.details, dict) else {}
    currency = str(details.get("currency") or "")
    try:
        asked = parse(details.get(SUM[paid.kind]))
    except MoneyError:
        return  # linked by hand: what it asks for is not known here, and the platform's own sum is compared
    right_sum = paid.amount == asked if paid.kind is PaidKind.PAYMENT_LINK else Decimal(0) < paid.amount <= asked
    if payment.currency != currency or not right_sum:
        raise PaymentDiffersError(
            f"{shown(paid.amount, payment.currency)} were paid, {shown(asked, currency)} asked for"
        )


def _payments_of(mapping: EntityMapping) -> Sequence[Mapping[str, Any]]:
    details = mapping.details if isinstance(mapping.details, dict) else {}
    known = details.get("payments")
    return [each for each in known if isinstance(each, dict)] if isinstance(known, list) else []


def _kept(mapping: EntityMapping, payments: Sequence[Mapping[str, Any]]) -> Link | None:
    """Return the same link with its payments; one that is linked no more keeps what it has."""
    if mapping.status is not MappingStatus.LINKED:
        return None
    details = dict(mapping.details) if isinstance(mapping.details, dict) else {}
    return mapping.with_details({**details, "payments": list(payments)})


def _and_then(result: Result, work: Work, place: int, *, now: datetime) -> Result:
    """Queue the job for the payment's next record, in the transaction that ends this one."""
    return replace(result, follow_ups=(*result.follow_ups, next_payment_job(work.claimed.job, place, now=now)))
