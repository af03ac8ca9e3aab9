"""Invoices, as the dangerous order asks about them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from connectors.errors import AmountInexactError
from connectors.invoices import Invoice, InvoiceCandidate, InvoiceLine, InvoiceSync, Reduction, TaxLine
from connectors.models import CreateIntent
from connectors.money import MoneyError, exact
from connectors.money import shown as money
from gateway.errors import AmountDiffersError, CapabilityMissingError, CustomerNotLinkedError
from gateway.pipeline.dispatch import INVOICE, link_job, next_void_job
from gateway.pipeline.entities import Entity, Made, ignored
from gateway.pipeline.gift_days import GiftDays
from gateway.pipeline.invoice_matching import (
    Billed,
    difference,
    invoice_guards,
    judge_invoice_hint,
    match_invoice,
    recovered_invoice,
)
from gateway.pipeline.linking import OPERATOR
from gateway.pipeline.matching import Adopt, Ask, Decision, Judged
from gateway.pipeline.settling import Result
from gateway.pipeline.work import CUSTOMER, Work
from gateway.sources.base import Dropped, Event, Trigger
from storage import Store
from storage.records import EntityMapping, MappingKey, MappingStatus, NewJob

NOT_OFFERED = "gateway.not_offered"
"""The fact of a connection whose account has answered that it has no API for invoices."""
CHANGED = "changed"
"""The question about a linked invoice that has another sum at the platform by now."""
_BILLED = TypeAdapter(Billed)


class InvoiceEntity(Entity[Billed, InvoiceCandidate]):
    """An invoice: found by number and customer, compared by its sum."""

    entity_type = INVOICE

    async def confirm(self, work: Work, event: Event) -> Result | None:
        """Read the invoice at the platform: it must be final, with lines, and ask for something."""
        if event.trigger is Trigger.TRANSACTION:
            receipt = work.source.receipt(event)
            found = receipt if isinstance(receipt, Dropped) else await GiftDays(self.store, self.now).of(work, receipt)
            if isinstance(found, Result):
                return found
        else:
            found = await work.source.invoice(work.claimed.job.entity_id or "")
        if isinstance(found, Dropped):
            work.voided_at = self.now() if found.voided else None
            return ignored(found.reason)
        work.invoice, work.asked = found, shown_invoice(found)
        linked = work.claimed.mapping is not None and work.claimed.mapping.status is MappingStatus.LINKED
        if invoice_sync(work).collects and found.paid >= found.total and not linked:
            return ignored("the invoice is paid at the platform: there is nothing to collect")
        return None

    def done_once(self, work: Work) -> bool:
        """Whether it is a gift, or linked to nothing: of an invoice the platform may have another sum by now."""
        mapping = work.claimed.mapping
        linked = mapping is not None and mapping.status is MappingStatus.LINKED
        return not linked or work.payload.get("trigger") == Trigger.TRANSACTION

    def changed(self, work: Work) -> Ask | None:
        """Compare the platform's sum with the one that was made; one that a person has linked is as that person saw it.

        It is not carried over: an invoice that was sent is not altered under the payer's eyes.
        """
        mapping, invoice = work.claimed.mapping, work.invoice
        details = mapping.details if mapping is not None and isinstance(mapping.details, dict) else {}
        final = work.payload.get("trigger", Trigger.INVOICE_FINALIZED) == Trigger.INVOICE_FINALIZED
        if not final or mapping is None or invoice is None or mapping.origin == OPERATOR or "total" not in details:
            return None
        was, currency = Decimal(str(details["total"])), str(details.get("currency") or invoice.currency)
        if (was, currency) == (invoice.total, invoice.currency):
            return None
        why = (
            f"invoice {mapping.provider_entity_id} was made over {money(was, currency)}, and the platform's total is"
            f" {money(invoice.total, invoice.currency)} by now: void it there, and finalize another"
        )
        return Ask(kind=CHANGED, why=why, candidates=())

    async def lapsed(self, work: Work) -> bool:
        """Ask whether the invoice was voided; nobody takes a gift back."""
        if work.voided_at is None and work.payload.get("trigger") != Trigger.TRANSACTION:
            found = await work.source.invoice(work.claimed.job.entity_id or "")
            work.voided_at = self.now() if isinstance(found, Dropped) and found.voided else None
        return work.voided_at is not None

    async def read(self, work: Work, event: Event, *, adopting: bool) -> Billed:
        """Compare the sums, and find the record of who has to pay.

        Raises AmountInexactError, AmountDiffersError, CustomerNotLinkedError, and what the connector refuses.
        """
        invoice, syncs = work.invoice, invoice_sync(work)
        if invoice is None:
            raise AssertionError("confirm has read the invoice")
        if not adopting:
            check_sums(invoice)
            syncs.validate_invoice(invoice)
            if syncs.collects and invoice.paid and work.decision is None:  # else a person has seen both sums
                raise AmountDiffersError(
                    f"of {money(invoice.total, invoice.currency)} {money(invoice.paid, invoice.currency)} were paid at"
                    " the platform already, and the provider would ask for all of it"
                )
        if not invoice.customer_id:
            return Billed(invoice=invoice, customer_record="", number=syncs.filed_number(invoice))
        mapping = await customer_mapping(self.store, work, invoice.customer_id)
        linked = mapping is not None and mapping.status is MappingStatus.LINKED
        if not linked and not adopting:
            msg = f"customer {invoice.customer_id} is {mapping.status if mapping else 'not known'} here"
            raise CustomerNotLinkedError(msg)
        record = mapping.provider_entity_id if mapping is not None and linked else None
        return Billed(invoice=invoice, customer_record=record or "", number=syncs.filed_number(invoice))

    def show(self, work: Work, subject: Billed) -> None:
        """Show the invoice."""
        work.invoice, work.asked = subject.invoice, shown_invoice(subject.invoice)

    def to_snapshot(self, subject: Billed) -> dict[str, Any]:
        """Return it as JSON, decimals as text."""
        snapshot: dict[str, Any] = _BILLED.dump_python(subject, mode="json")
        return snapshot

    def from_snapshot(self, snapshot: Mapping[str, Any]) -> Billed:
        """Return what a snapshot holds."""
        return _BILLED.validate_python(snapshot)

    def guards(self, work: Work, subject: Billed) -> tuple[str, ...]:
        """Return number and customer."""
        return invoice_guards(subject)

    async def find(self, work: Work, subject: Billed, intent: CreateIntent | None = None) -> Sequence[InvoiceCandidate]:
        """Look the invoice up by its number and customer."""
        return await invoice_sync(work).find_invoices(
            subject.invoice, customer_record=subject.customer_record, intent=intent
        )

    async def get(self, work: Work, record: str) -> InvoiceCandidate | None:
        """Read an invoice by id."""
        return await invoice_sync(work).get_invoice(record)

    def hint(self, work: Work, subject: Billed) -> str | None:
        """Return what stands in the invoice's metadata."""
        return work.source.invoice_hint(subject.invoice, work.connector.name)

    def match(
        self, work: Work, subject: Billed, candidates: Sequence[InvoiceCandidate], taken: Mapping[str, str]
    ) -> Decision:
        """Decide by number, customer and sum: invoice_matching.py."""
        return match_invoice(subject, candidates, taken=taken)

    def judge_hint(
        self, work: Work, subject: Billed, candidate: InvoiceCandidate, taken: Mapping[str, str]
    ) -> Adopt | Ask | None:
        """Follow a hint that is proven to be this invoice: invoice_matching.py."""
        return judge_invoice_hint(subject, candidate, taken=taken)

    def recovered(
        self,
        work: Work,
        subject: Billed,
        candidates: Sequence[InvoiceCandidate],
        started_at: datetime,
        *,
        at_last: bool = False,
    ) -> Adopt | Ask | None:
        """Recognise the record by number and customer: invoice_matching.py."""
        return recovered_invoice(subject, candidates, to_void=work.voided_at is not None)

    def is_seen(
        self, work: Work, subject: Billed, candidates: Sequence[InvoiceCandidate], *, by_name_only: bool
    ) -> bool:
        """Whether an invoice with the refused number is among them, whoever has to pay it."""
        return any(candidate.number == subject.number for candidate in candidates)

    async def create(self, work: Work, subject: Billed, intent: CreateIntent) -> Made:
        """Create the invoice, and compare what the provider has made of it with ours."""
        created = await invoice_sync(work).create_invoice(
            subject.invoice, customer_record=subject.customer_record, intent=intent
        )
        record, differing = created.record, difference(subject, created.record)
        objection = None
        if differing is not None:
            why = (
                f"{differing}: it was created, and is linked to nothing yet; adopt links it as it is, create makes"
                " another (cancel this one first), ignore leaves it where it is"
            )
            objection = Ask(kind="amount_differs", why=why, candidates=(Judged(candidate=record, why=differing),))
        return Made(
            provider_entity_id=record.provider_entity_id, warnings=created.warnings, objection=objection,
            details=self.details(record),
        )  # fmt: skip

    def details(self, candidate: InvoiceCandidate) -> Mapping[str, Any] | None:
        """Return number, sum and page."""
        told = {
            "number": candidate.number, "total": f"{candidate.total:f}", "currency": candidate.currency,
            "url": candidate.url, "customer_record": candidate.customer_record,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value}

    def chain(self, work: Work) -> tuple[NewJob, ...]:
        """Return the job for the payment link that the invoice was wanted for, or the one that voids it again."""
        job, now = work.claimed.job, self.now()
        if work.voided_at is not None:
            return (next_void_job(job, now=now),)
        if work.payload.get("trigger") != Trigger.PAYMENT_LINK:
            return ()
        invoice_id, connection = job.entity_id or "", job.connection or ""
        return (link_job(job, invoice_id, connection=connection, delivery_id=job.delivery_id, now=now),)


def invoice_sync(work: Work) -> InvoiceSync:
    """Return the connection's connector. Raises CapabilityMissingError where it makes no invoices."""
    connector = work.connector
    if not isinstance(connector, InvoiceSync):
        raise CapabilityMissingError(f"{connector.name} makes no invoices")
    return connector


def customer_key(work: Work, customer_id: str) -> MappingKey:
    """Return what the mapping of an invoice's customer on the job's connection is called."""
    job = work.claimed.job
    return MappingKey(source=job.source, entity_type=CUSTOMER, entity_id=customer_id, connection=job.connection or "")


async def customer_mapping(store: Store, work: Work, customer_id: str) -> EntityMapping | None:
    """Return the mapping of an invoice's customer on the job's connection."""
    return await store.get_mapping(customer_key(work, customer_id))


def check_sums(invoice: Invoice) -> None:
    """Recompute the total from its parts. Raises AmountInexactError, and AmountDiffersError with both sums."""
    parts: list[InvoiceLine | Reduction | TaxLine] = [*invoice.lines, *invoice.discounts]
    parts += [*invoice.credits, *invoice.taxes]
    try:
        for amount in (*(part.amount for part in parts), invoice.total):
            exact(amount, invoice.currency)
    except MoneyError as error:
        raise AmountInexactError(str(error)) from error
    if invoice.computed_total != invoice.total:
        raise AmountDiffersError(
            f"lines, discounts, credits and taxes come to {money(invoice.computed_total, invoice.currency)},"
            f" the platform's total is {money(invoice.total, invoice.currency)}"
        )


def shown_invoice(invoice: Invoice) -> dict[str, str]:
    """Return what a person sees of the invoice beside the candidates of a review."""
    return {
        "customer_id": invoice.customer_id, "invoice_id": invoice.invoice_id,
        "name": f"Invoice {invoice.number or invoice.invoice_id}", "number": invoice.number,
        "total": money(invoice.total, invoice.currency), "currency": invoice.currency,
        "due_on": invoice.due_on.isoformat() if invoice.due_on else "",
    }  # fmt: skip
