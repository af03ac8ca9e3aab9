"""Payment links, as the dangerous order asks about them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from connectors.errors import AmountInexactError, UnexpectedResponseError
from connectors.invoices import Invoice
from connectors.links import LinkCandidate, PaymentLinkRequest, PaymentLinks
from connectors.models import CreateIntent
from connectors.money import MoneyError, exact
from connectors.money import shown as money
from gateway.errors import CapabilityMissingError, CustomerNotLinkedError
from gateway.pipeline.dispatch import INVOICE, PAYMENT_LINK, link_job
from gateway.pipeline.entities import Entity, Made, ignored
from gateway.pipeline.invoices import customer_mapping
from gateway.pipeline.link_matching import difference, link_guards, match_link, recovered_link
from gateway.pipeline.matching import Adopt, Ask, Decision, Judged
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.sources.base import Dropped, Event, Trigger
from storage.records import MappingKey, MappingStatus, NewJob, Review

ENDING = frozenset({Trigger.INVOICE_VOIDED, Trigger.INVOICE_PAID})
"""What the platform tells of that only ends a link."""
_REQUEST = TypeAdapter(PaymentLinkRequest)


class LinkEntity(Entity[PaymentLinkRequest, LinkCandidate]):
    """The one payment link of an invoice: found by its mark, compared by its amount."""

    entity_type = PAYMENT_LINK
    written_back = False
    made_again = True

    async def confirm(self, work: Work, event: Event) -> Result | None:
        """Read at the platform what is still to be paid."""
        found = await work.source.payable(work.claimed.job.entity_id or "")
        if isinstance(found, Dropped):
            work.voided_at = self.now() if found.voided else None
            return ignored(found.reason)
        work.invoice, work.asked = found, shown_link(found, found.amount_due)
        return None

    async def lapsed(self, work: Work) -> bool:
        """Ask whether the invoice was voided."""
        if work.voided_at is None:
            found = await work.source.payable(work.claimed.job.entity_id or "")
            work.voided_at = self.now() if isinstance(found, Dropped) and found.voided else None
        return work.voided_at is not None

    async def read(self, work: Work, event: Event, *, adopting: bool) -> PaymentLinkRequest:
        """Return what is asked for, with the records of customer and invoice.

        Raises AmountInexactError, CustomerNotLinkedError, and what the connector refuses.
        """
        invoice = work.invoice
        if invoice is None:
            raise AssertionError("confirm has read the invoice")
        customer = await customer_mapping(self.store, work, invoice.customer_id)
        linked = customer is not None and customer.status is MappingStatus.LINKED
        if not linked and not adopting:
            msg = f"customer {invoice.customer_id} is {customer.status if customer else 'not known'} here"
            raise CustomerNotLinkedError(msg)
        record = customer.provider_entity_id if customer is not None and linked else None
        request = PaymentLinkRequest(
            invoice=invoice, amount=invoice.amount_due, currency=invoice.currency, customer_record=record or "",
            invoice_record=await self._invoice_record(work, invoice.invoice_id),
        )  # fmt: skip
        if not adopting:
            try:
                exact(request.amount, request.currency)
            except MoneyError as error:
                raise AmountInexactError(str(error)) from error
            payment_links(work).validate_link(request)
        return request

    async def _invoice_record(self, work: Work, invoice_id: str) -> str | None:
        job = work.claimed.job
        key = MappingKey(
            source=job.source, entity_type=INVOICE, entity_id=invoice_id, connection=job.connection or ""
        )  # fmt: skip
        mapping = await self.store.get_mapping(key)
        linked = mapping is not None and mapping.status is MappingStatus.LINKED
        return mapping.provider_entity_id if mapping is not None and linked else None

    def show(self, work: Work, subject: PaymentLinkRequest) -> None:
        """Show the invoice, and the amount that the link is for."""
        work.invoice, work.asked = subject.invoice, shown_link(subject.invoice, subject.amount)

    def to_snapshot(self, subject: PaymentLinkRequest) -> dict[str, Any]:
        """Return it as JSON, decimals as text."""
        snapshot: dict[str, Any] = _REQUEST.dump_python(subject, mode="json")
        return snapshot

    def from_snapshot(self, snapshot: Mapping[str, Any]) -> PaymentLinkRequest:
        """Return what a snapshot holds."""
        return _REQUEST.validate_python(snapshot)

    def guards(self, work: Work, subject: PaymentLinkRequest) -> tuple[str, ...]:
        """Return invoice and amount."""
        return link_guards(subject)

    async def find(
        self, work: Work, subject: PaymentLinkRequest, intent: CreateIntent | None = None
    ) -> Sequence[LinkCandidate]:
        """Look for links with this mark."""
        return await payment_links(work).find_links(subject, intent=intent)

    async def get(self, work: Work, record: str) -> LinkCandidate | None:
        """Read a link by id."""
        return await payment_links(work).get_link(record)

    def match(
        self, work: Work, subject: PaymentLinkRequest, candidates: Sequence[LinkCandidate], taken: Mapping[str, str]
    ) -> Decision:
        """Decide by mark and amount: link_matching.py."""
        return match_link(subject, candidates, taken=taken)

    def judge_hint(
        self, work: Work, subject: PaymentLinkRequest, candidate: LinkCandidate, taken: Mapping[str, str]
    ) -> Adopt | Ask | None:
        """Follow none: no platform names a link of ours."""
        return None

    def recovered(
        self,
        work: Work,
        subject: PaymentLinkRequest,
        candidates: Sequence[LinkCandidate],
        started_at: datetime,
        *,
        at_last: bool = False,
    ) -> Adopt | Ask | None:
        """Recognise the record by its mark: link_matching.py."""
        return recovered_link(subject, candidates, taken_back=work.voided_at is not None)

    def is_seen(
        self, work: Work, subject: PaymentLinkRequest, candidates: Sequence[LinkCandidate], *, by_name_only: bool
    ) -> bool:
        """Whether a link with the refused mark is among them."""
        return any(candidate.marker == subject.reference for candidate in candidates)

    async def create(self, work: Work, subject: PaymentLinkRequest, intent: CreateIntent) -> Made:
        """Create the link, and compare what it asks for with what was wanted; nobody has seen it yet."""
        created = await payment_links(work).create_link(subject, intent=intent)
        differing, objection = difference(subject, created.record), None
        if differing is not None:
            why = (
                f"{differing}: it was created, and is given to nobody yet; adopt gives it as it is, create makes"
                " another (switch this one off first), ignore leaves it where it is"
            )
            judged = (Judged(candidate=created.record, why=differing),)
            objection = Ask(kind="amount_differs", why=why, candidates=judged)
        return Made(
            provider_entity_id=created.record.provider_entity_id, warnings=created.warnings, objection=objection,
            details=self.details(created.record),
        )  # fmt: skip

    async def take_back(
        self, work: Work, subject: PaymentLinkRequest, candidates: Sequence[LinkCandidate]
    ) -> Sequence[LinkCandidate]:
        """Switch off what carries the request's mark: nobody was given it, and nobody should pay it any more."""
        return [
            each if each.marker != subject.reference else await self.switched_off(work, each) for each in candidates
        ]

    async def switched_off(self, work: Work, found: LinkCandidate) -> LinkCandidate:
        """Make the link unusable; return how it reads then, which may be paid, or gone.

        Raises UnexpectedResponseError, ConnectorError kinds.
        """
        if not found.active:
            return found
        links = payment_links(work)
        await links.disable_link(found.provider_entity_id)
        after = await links.get_link(found.provider_entity_id)
        if after is not None and after.active:
            raise UnexpectedResponseError(f"link {found.provider_entity_id} was switched off, and is open")
        return replace(found, active=False, used=after is not None and after.used)

    def asked_in(self, work: Work, review: Review) -> PaymentLinkRequest | None:
        """Return what a person is asked about, as far as its mark and currency need it."""
        shown = review.customer if isinstance(review.customer, dict) else {}
        if not {"amount_due", "currency"} <= shown.keys():
            return None
        amount, currency = Decimal(shown["amount_due"]), str(shown["currency"])
        invoice = Invoice(
            source=review.source, platform=work.source.platform, environment_id=review.environment_id,
            invoice_id=review.entity_id or "", customer_id=str(shown.get("customer_id") or ""), currency=currency,
            lines=(), total=amount, amount_due=amount, number=str(shown.get("number") or ""),
        )  # fmt: skip
        return PaymentLinkRequest(invoice=invoice, amount=amount, currency=currency, customer_record="")

    def chain(self, work: Work) -> tuple[NewJob, ...]:
        """Return the job that switches the link off where it is wanted no more: it was in doubt until now."""
        job, trigger = work.claimed.job, work.payload.get("trigger")
        if work.voided_at is None and trigger not in ENDING:
            return ()
        return (
            link_job(
                job, job.entity_id or "", connection=job.connection or "", delivery_id=job.delivery_id, now=self.now(),
                trigger=Trigger.INVOICE_VOIDED if work.voided_at is not None else Trigger(str(trigger)),
            ),
        )  # fmt: skip

    def details(self, candidate: LinkCandidate) -> Mapping[str, Any] | None:
        """Return amount and address."""
        return {"amount": f"{candidate.amount:f}", "currency": candidate.currency, "url": candidate.url}

    def accepted(self, work: Work, candidate: LinkCandidate) -> Mapping[str, Any] | None:
        """Return the same, and what was open of the invoice when the person was asked, or else by now."""
        shown = work.decided.customer if work.decided is not None else None
        asked = shown if isinstance(shown, dict) and "amount_due" in shown else work.asked or {}
        taken = {"amount": asked.get("amount_due"), "currency": asked.get("currency")}
        return {**(self.details(candidate) or {}), "accepted_for": taken}


def payment_links(work: Work) -> PaymentLinks:
    """Return the connection's connector. Raises CapabilityMissingError where it makes no links."""
    connector = work.connector
    if not isinstance(connector, PaymentLinks):
        raise CapabilityMissingError(f"{connector.name} makes no payment links")
    return connector


def shown_link(invoice: Invoice, amount: Decimal) -> dict[str, str]:
    """Return what a review shows of a request; `amount_due` is for reckoning."""
    return {
        "customer_id": invoice.customer_id, "invoice_id": invoice.invoice_id,
        "name": f"Payment link for invoice {invoice.number or invoice.invoice_id}", "number": invoice.number,
        "total": money(amount, invoice.currency), "currency": invoice.currency, "amount_due": f"{amount:f}",
    }  # fmt: skip
