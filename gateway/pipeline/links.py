"""Payment links, as the dangerous order asks about them, and the stage that makes one exist, or be gone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from connectors.errors import AmountInexactError, ConfigurationError, UnexpectedResponseError
from connectors.invoices import Invoice
from connectors.links import LinkCandidate, PaymentLinkRequest, PaymentLinks
from connectors.models import CreateIntent
from connectors.money import MoneyError, exact
from connectors.money import shown as money
from gateway.errors import CustomerNotLinkedError
from gateway.pipeline.dispatch import ENSURE_LINK, INVOICE, PAYMENT_LINK
from gateway.pipeline.ensure import Ensure
from gateway.pipeline.entities import Entity, Made, ignored
from gateway.pipeline.invoices import customer_mapping
from gateway.pipeline.keeping import LinkedLink, was_told
from gateway.pipeline.link_matching import difference, link_guards, match_link, recovered_link
from gateway.pipeline.matching import Adopt, Ask, Decision, Judged
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.sources.base import Dropped, Event, Trigger
from storage.records import EntityMapping, JobStatus, MappingKey, MappingStatus, Note

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
            return ignored(found.reason)
        work.invoice, work.asked = found, _shown(found, found.amount_due)
        return None

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
        work.invoice, work.asked = subject.invoice, _shown(subject.invoice, subject.amount)

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
        self, work: Work, subject: PaymentLinkRequest, candidates: Sequence[LinkCandidate], started_at: datetime
    ) -> Adopt | Ask | None:
        """Recognise the record by its mark: link_matching.py."""
        return recovered_link(subject, candidates)

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

    def details(self, candidate: LinkCandidate) -> Mapping[str, Any] | None:
        """Return amount and address."""
        return {"amount": f"{candidate.amount:f}", "currency": candidate.currency, "url": candidate.url}

    def accepted(self, work: Work, candidate: LinkCandidate) -> Mapping[str, Any] | None:
        """Return the same, and what was open of the invoice when the person was asked, or else by now."""
        shown = work.decided.customer if work.decided is not None else None
        asked = shown if isinstance(shown, dict) and "amount_due" in shown else work.asked or {}
        taken = {"amount": asked.get("amount_due"), "currency": asked.get("currency")}
        return {**(self.details(candidate) or {}), "accepted_for": taken}


class EnsurePaymentLink(Ensure):
    """The stage `ensure_payment_link`: one open link for just what is to be paid, and none where nothing is."""

    entity_kind = LinkEntity

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. A link for another amount, or for nothing any more, is switched off before all else."""
        mapping = work.claimed.mapping
        unsettled = work.claimed.intent is not None or work.decision is not None
        if mapping is None or mapping.status is not MappingStatus.LINKED or unsettled:
            if not self._is_asked_for(work) and not unsettled:
                return ignored("the invoice has no payment link here")
            return await super().__call__(work)
        wanted = await work.source.payable(mapping.entity_id)
        found = await payment_links(work).get_link(mapping.provider_entity_id or "")
        if found is not None and found.used:
            return self._paid(work, mapping, wanted)
        if isinstance(wanted, Dropped):
            return await self._ended(work, mapping, found, f"switched off: {wanted.reason}", again=None)
        if found is None or not found.active:
            again = self.now() if self._is_asked_for(work) else None
            return _retired(mapping, "it is switched off at the provider", again=again)
        linked = LinkedLink.of(mapping)
        if linked is None:
            return self._mapped(work, mapping, found, wanted)
        if linked.serves(wanted):
            return _kept(mapping, None)
        why = f"switched off: the invoice asks for {money(wanted.amount_due, wanted.currency)} by now"
        return await self._ended(work, mapping, found, why, again=self.now() if self._is_asked_for(work) else None)

    @staticmethod
    def _is_asked_for(work: Work) -> bool:
        """Whether somebody wants the link: the platform's events only end one."""
        return work.payload.get("trigger") not in {Trigger.INVOICE_VOIDED, Trigger.INVOICE_PAID}

    def _mapped(self, work: Work, mapping: EntityMapping, found: LinkCandidate, wanted: Invoice) -> Result:
        """Keep what a link asks for that a person has mapped; ask whether it was meant where that is another sum."""
        request = PaymentLinkRequest(
            invoice=wanted, amount=wanted.amount_due, currency=wanted.currency, customer_record=""
        )  # fmt: skip
        differing = difference(request, found)
        if differing is None:
            return _kept(mapping, self.entity.details(found))
        work.asked = _shown(wanted, wanted.amount_due)
        told = f"{differing}, and was mapped by hand; adopt gives it as it is, create makes another, ignore gives none"
        asked = Ask(kind="amount_differs", why=told, candidates=(Judged(candidate=found, why=differing),))
        return replace(self.ask(work, asked), stale=mapping.held)

    def _paid(self, work: Work, mapping: EntityMapping, wanted: Invoice | Dropped) -> Result:
        """Leave a link that was paid. Where the platform has counted it, what is open is another sum: another link."""
        if isinstance(wanted, Invoice) and was_told(mapping) and self._is_asked_for(work):
            why = "it was paid, and the platform knows; another is made for what is open"
            return _retired(mapping, why, again=self.now())
        return ignored(f"the link {mapping.provider_entity_id} has been paid")

    async def _ended(
        self, work: Work, mapping: EntityMapping, found: LinkCandidate | None, why: str, *, again: datetime | None
    ) -> Result:
        """Switch the link off, unless its payment comes first."""
        after = await self._switched_off(work, found)
        if after is not None and after.used:
            return ignored(f"the link {mapping.provider_entity_id} was paid before it could be switched off")
        return _retired(mapping, why, again=again)

    async def event_of(self, work: Work) -> Event:
        """Return an event that stands for the link: it has none of its own."""
        return Event(type=ENSURE_LINK, trigger=Trigger.PAYMENT_LINK, subject=work.claimed.job.entity_id)

    async def _switched_off(self, work: Work, found: LinkCandidate | None) -> LinkCandidate | None:
        """Make the link unusable; return how it reads then. Raises UnexpectedResponseError, ConnectorError kinds."""
        if found is None or not found.active:
            return found
        links = payment_links(work)
        await links.disable_link(found.provider_entity_id)
        after = await links.get_link(found.provider_entity_id)
        if after is not None and after.active:
            raise UnexpectedResponseError(f"link {found.provider_entity_id} was switched off, and is open")
        return after


def payment_links(work: Work) -> PaymentLinks:
    """Return the connection's connector. Raises ConfigurationError where it makes no links."""
    connector = work.connector
    if not isinstance(connector, PaymentLinks):
        raise ConfigurationError(f"{connector.name} makes no payment links")
    return connector


def _shown(invoice: Invoice, amount: Decimal) -> dict[str, str]:
    """Return what a review shows of a request; `amount_due` is for reckoning."""
    return {
        "customer_id": invoice.customer_id, "invoice_id": invoice.invoice_id,
        "name": f"Payment link for invoice {invoice.number or invoice.invoice_id}", "number": invoice.number,
        "total": money(amount, invoice.currency), "currency": invoice.currency, "amount_due": f"{amount:f}",
    }  # fmt: skip


def _kept(mapping: EntityMapping, details: Mapping[str, Any] | None) -> Result:
    """Return the result of a link that is right as it is; `details` where it was only now read."""
    return Result(
        status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
        note=Note(about=mapping.held, details=details) if details is not None else None,
        decision={"decision": "linked", "record": mapping.provider_entity_id},
    )  # fmt: skip


def _retired(mapping: EntityMapping, why: str, *, again: datetime | None) -> Result:
    """Return the result that ends the mapping's link: the job comes back for another one, where one is wanted."""
    return Result(
        status=JobStatus.SUCCEEDED if again is None else JobStatus.PENDING, outcome="retired",
        job_outcome="done" if again is None else None, reason=why, stale=mapping.held, next_attempt_at=again,
        decision={"decision": "retire", "record": mapping.provider_entity_id, "why": why},
    )  # fmt: skip
