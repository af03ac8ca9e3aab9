"""Payments: read at the provider, compared with what was asked for, told to the platform, kept with our record; once.

The webhook is a hint. What is believed is the payment as the provider has it now, and what it was for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.money import MoneyError, parse, shown, total
from connectors.payments import PaidFor, PaidKind, Payment, Payments, PaymentStatus
from gateway.errors import CapabilityMissingError, PaymentDiffersError, SourceRejectedError
from gateway.pipeline.asking import unless_asked
from gateway.pipeline.dispatch import place_job
from gateway.pipeline.entities import ignored
from gateway.pipeline.failing import failed
from gateway.pipeline.keeping import PAYMENTS, TELLING, TOLD, invoice_given_up, payments_of
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Stage, Work
from gateway.sources.base import Dropped
from storage.records import EntityMapping, JobStatus, MappingStatus, Note, Review, ReviewStatus, Scope

LOOKS = (60.0, 900.0)
"""Seconds after a webhook at which a payment is looked at again that the provider shows as under way, or not at all."""
COMING = (15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, 259_200.0)
"""Seconds after a webhook at which a record is looked for again while it is in doubt whether it is one of ours."""
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
        """Run one attempt: for the payment's record, or for a job for each where there are several.

        A payment that differs is put before a person. Raises ConnectorError, GatewayError kinds.
        """
        job, connector = work.claimed.job, work.connector
        if not isinstance(connector, Payments):
            raise CapabilityMissingError(f"{connector.name} tells of no payments")
        account, ours = str(work.payload.get("account") or ""), connector.idempotency_scope()
        if account and ours and account != ours:
            return ignored("the payment is of another company than the connection's")
        payment = await connector.get_payment(job.entity_id or "")
        if payment is None:
            return self._later(work, LOOKS, "the provider has no such payment")
        if payment.status in {PaymentStatus.PENDING, PaymentStatus.FAILED}:
            looks = LOOKS if payment.status is PaymentStatus.PENDING else ()
            return self._later(work, looks, f"the payment is {payment.status} at the provider")
        several, place = len(payment.paid_for) > 1, work.payload.get("place")
        if several and place is None:
            return _split(work, len(payment.paid_for), now=self.now())
        if int(place or 0) >= len(payment.paid_for):
            return ignored("it is for none of the provider's invoices and links")
        paid = payment.paid_for[int(place or 0)]
        try:
            return await self._record(work, payment, paid)
        except PaymentDiffersError as error:
            named = PaymentDiffersError(f"{paid.kind.replace('_', ' ')} {paid.provider_entity_id}: {error.detail}")
            asks = failed(work, named, schedule=self.schedule, now=self.now(), spread=0.0)
            return await unless_asked(self.store, work, asks)

    def _later(self, work: Work, steps: Sequence[float], why: str) -> Result:
        """Come back at the next of these times after the job began; after the last there is nothing to do."""
        begun = work.claimed.job.created_at
        age = (self.now() - begun).total_seconds()
        coming = next((step for step in steps if step > age), None)
        if coming is None:
            return ignored(why)
        return Result(
            status=JobStatus.PENDING, outcome="waiting", reason=f"{why}; looked at again later",
            next_attempt_at=begun + timedelta(seconds=coming),
        )  # fmt: skip

    async def _record(self, work: Work, payment: Payment, paid: PaidFor) -> Result:
        """Count the payment for one of our records, in two attempts.

        The first keeps with our record that it is being told; so the second, whose answer may be lost, is not taken for
        another payment when it comes again.
        """
        mapping = await self._mapping(work, paid)
        returned = payment.status is PaymentStatus.RETURNED
        if mapping is None and not returned:
            await self._refuse_given_up(work, payment, paid)
        if mapping is None:
            why = f"paid for {paid.kind.replace('_', ' ')} {paid.provider_entity_id}, which is not ours"
            coming = not returned and await self._is_coming(work, paid)
            return self._later(work, COMING if coming else (), why)
        received = Received(payment=payment, paid=paid, mapping=mapping)
        known = [dict(each) for each in payments_of(mapping)]
        if returned:
            return _returned(received, known)
        entry = next((each for each in known if each.get("id") == payment.provider_entity_id), None)
        if entry is None:
            check(received)
            under_way = total(parse(each.get("amount")) for each in known if each.get("platform") == TELLING)
            refused = await self._not_told(work, received, under_way=under_way)
            entry = _entry(received, refused or TELLING)
            known.append(entry)
            if refused is None:
                return Result(
                    status=JobStatus.PENDING, outcome="recorded", note=_kept(mapping, known),
                    next_attempt_at=self.now(),
                )  # fmt: skip
        else:
            _unchanged(received, entry)
            if entry.get("platform") != TELLING:
                return ignored("the payment was recorded before")
        if entry["platform"] == TELLING:
            entry["platform"] = await self._tell(work, received)
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done", note=_kept(mapping, known),
            decision={"decision": "payment", "record": paid.provider_entity_id, "why": entry["platform"]},
        )  # fmt: skip

    async def _mapping(self, work: Work, paid: PaidFor) -> EntityMapping | None:
        """Return whose record was paid; what is linked there no more (a link that was switched off) counts as well.

        Where it was one's record before it became another's, it is the other's.
        """
        job = work.claimed.job
        page = await self.store.list_mappings(
            Scope(tenant_id=job.tenant_id, environment_id=job.environment_id), connection=job.connection,
            entity_type=str(paid.kind), provider_entity_id=paid.provider_entity_id, limit=200,
        )  # fmt: skip
        return max(page.items, key=lambda each: each.status is MappingStatus.LINKED, default=None)

    async def _refuse_given_up(self, work: Work, payment: Payment, paid: PaidFor) -> None:
        """Raise PaymentDiffersError for money by a link that was given up: what is open may be asked for by another."""
        connection, record = work.claimed.job.connection or "", paid.provider_entity_id
        if paid.kind is not PaidKind.PAYMENT_LINK:
            return
        invoice = await invoice_given_up(self.store, connection, record)
        if invoice is not None:
            came = shown(paid.amount, payment.currency)
            raise PaymentDiffersError(f"{came} were paid for invoice {invoice} by a link that was given up before")

    async def _is_coming(self, work: Work, paid: PaidFor) -> bool:
        """Whether the record may yet become one of ours: a create is in doubt, or a person is asked about it."""
        job = work.claimed.job
        scope = Scope(tenant_id=job.tenant_id, environment_id=job.environment_id)
        doubtful = await self.store.list_mappings(
            scope, connection=job.connection, entity_type=str(paid.kind), status=MappingStatus.INTENDED, limit=1
        )
        if doubtful.items:
            return True
        cursor: str | None = None
        while True:
            asked = await self.store.list_reviews(
                scope, connection=job.connection, status=ReviewStatus.OPEN, limit=200, cursor=cursor
            )
            if any(_shows(review, paid.provider_entity_id) for review in asked.items):
                return True
            cursor = asked.next_cursor
            if cursor is None:
                return False

    async def _not_told(self, work: Work, received: Received, *, under_way: Decimal) -> str | None:
        """Return in words why the platform is not told, or None. Raises PaymentDiffersError.

        `under_way` is how much it is being told of other payments: it may not have counted that yet.
        """
        mapping, paid, payment = received.mapping, received.paid, received.payment
        source, came = work.registry.source(mapping.source), shown(paid.amount, payment.currency)
        if not work.source.reports_payments:
            return "not told: the source's `report` is off"
        if not source.has_invoices:
            return "not told: the platform has no invoices"
        open_now = await source.payable(mapping.entity_id)
        if isinstance(open_now, Dropped):
            if open_now.voided:
                raise PaymentDiffersError(f"{came} were paid, and {open_now.reason}")
            return f"not told: {open_now.reason}"
        left = total((open_now.amount_due, under_way.copy_negate()))
        if payment.currency != open_now.currency or paid.amount > left:
            raise PaymentDiffersError(
                f"{came} were paid, and the platform says that {shown(left, open_now.currency)} are open"
            )
        return None

    async def _tell(self, work: Work, received: Received) -> str:
        """Tell the platform; return in words what came of it. Raises PaymentDiffersError, GatewayError kinds."""
        try:
            return await self._reported(work, received)
        except SourceRejectedError:  # something has come in between: the invoice was paid elsewhere, for example
            refused = await self._not_told(work, received, under_way=Decimal(0))
            if refused is None:
                raise
            return refused

    async def _reported(self, work: Work, received: Received) -> str:
        mapping, paid, payment = received.mapping, received.paid, received.payment
        done = await work.registry.source(mapping.source).report_payment(
            invoice_id=mapping.entity_id, key=received.key, amount=paid.amount, currency=payment.currency,
            connector=mapping.connector, payment=payment.provider_entity_id,
        )  # fmt: skip
        return "not told: the platform has no place for payments" if done is None else TOLD


def _shows(review: Review, record: str) -> bool:
    """Whether a record is among those that a question is about."""
    shown = review.candidates if isinstance(review.candidates, list) else ()
    return any(isinstance(each, dict) and each.get("provider_entity_id") == record for each in shown)


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


def _unchanged(received: Received, entry: Mapping[str, Any]) -> None:
    """Compare a payment with what was counted of it before. Raises PaymentDiffersError with both."""
    paid, currency, counted = received.paid, received.payment.currency, parse(entry.get("amount"))
    if (paid.amount, currency) != (counted, entry.get("currency")):
        raise PaymentDiffersError(
            f"{shown(counted, str(entry.get('currency')))} were counted of this payment, which by now is over"
            f" {shown(paid.amount, currency)}"
        )


def _returned(received: Received, known: Sequence[dict[str, Any]]) -> Result:
    """Note with our record that money was given back: the platform is not told of that.

    Also of a link whose money was never counted: it was paid, and what is open is to be asked for by another.
    """
    mapping, paid, payment = received.mapping, received.paid, received.payment
    entry = next((each for each in known if each.get("id") == payment.provider_entity_id), None)
    untold = ignored("the payment is returned at the provider")
    if entry is None and paid.kind is PaidKind.PAYMENT_LINK:
        entry = _entry(received, "not told: it was given back before", status=PaymentStatus.RETURNED)
        return replace(untold, note=_kept(mapping, [*known, entry]))
    if entry is None or entry.get("status") == PaymentStatus.RETURNED:
        return untold
    entry["status"] = str(PaymentStatus.RETURNED)
    if entry.get("platform") == TELLING:
        entry["platform"] = "unknown: it was given back while the platform was being told"
    return Result(
        status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done", note=_kept(mapping, known),
        decision={"decision": "payment", "record": mapping.provider_entity_id, "why": "given back, some or all of it"},
    )  # fmt: skip


def _entry(received: Received, platform: str, **more: str) -> dict[str, Any]:
    """Return what is kept of a payment: its sum, and in words what the platform knows."""
    paid, payment = received.paid, received.payment
    return {
        "id": payment.provider_entity_id, "amount": f"{paid.amount:f}", "currency": payment.currency,
        "paid_at": payment.paid_at.isoformat() if payment.paid_at else None, "platform": platform, **more,
    }  # fmt: skip


def _kept(mapping: EntityMapping, payments: Sequence[Mapping[str, Any]]) -> Note:
    """Return what keeps the payments with the record that was paid, also with one that is switched off by now."""
    return Note(about=mapping.held, notes={PAYMENTS: list(payments)})


def _split(work: Work, places: int, *, now: datetime) -> Result:
    """Give each record that was paid a job of its own: whatever is wrong with one, the others were paid as well."""
    jobs = tuple(place_job(work.claimed.job, place, now=now) for place in range(places))
    return replace(ignored(f"it is for {places} records: each has a job of its own"), follow_ups=jobs)
