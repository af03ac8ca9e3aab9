"""Customers, as the dangerous order asks about them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.base import Connector
from connectors.invoices import InvoiceSync
from connectors.links import PaymentLinks
from connectors.models import Candidate, CreateIntent, Customer
from gateway.pipeline.dispatch import ENSURE, invoice_job, link_job, lock_key
from gateway.pipeline.entities import Entity, Made, ignored
from gateway.pipeline.matching import Adopt, Ask, Decision, judge_hint, match, normal_email, recovered
from gateway.pipeline.settling import Result
from gateway.pipeline.snapshots import decision_in, from_snapshot, guards, shown, to_snapshot
from gateway.pipeline.work import Work
from gateway.sources.base import Confirmed, Dropped, Event, Trigger
from storage.records import JobStatus, MappingStatus, NewJob


class CustomerEntity(Entity[Customer, Candidate]):
    """A customer: found by e-mail address, name or mark, and the first link of the chain."""

    entity_type = "customer"

    async def confirm(self, work: Work, event: Event) -> Result | None:
        """Ask the platform whether the trigger still holds; a check of ours has no trigger that could lapse."""
        job = work.claimed.job
        if event.trigger is Trigger.CHECK:
            confirmed: Confirmed | Dropped = Confirmed(customer_id=event.customer_id or "")
        else:
            confirmed = await work.source.confirm(event)
        if isinstance(confirmed, Dropped):
            return ignored(confirmed.reason)
        work.confirmed = confirmed
        return None if confirmed.customer_id == job.entity_id else self._moved(work, confirmed.customer_id)

    def _moved(self, work: Work, customer_id: str) -> Result:
        """The invoice belongs to another customer than the webhook said: go on under that one's lock."""
        job = work.claimed.job
        return Result(
            status=JobStatus.PENDING, outcome="moved", next_attempt_at=self.now(), entity_id=customer_id,
            reason="the platform names another customer than the webhook",
            lock_key=lock_key(ENSURE, job.source, customer_id, job.connection or ""),
        )  # fmt: skip

    def done_once(self, work: Work) -> bool:
        """Whether no invoice follows: one that is finalized again may have another sum by now. No customer is made."""
        finalized = work.payload.get("trigger", Trigger.INVOICE_FINALIZED) == Trigger.INVOICE_FINALIZED
        mapping = work.claimed.mapping
        linked = mapping is not None and mapping.status is MappingStatus.LINKED
        return not (finalized and linked and work.books_invoices)

    async def read(self, work: Work, event: Event, *, adopting: bool) -> Customer:
        """Read the customer from the platform."""
        customer = await work.source.customer(work.claimed.job.entity_id or "", event)
        if work.confirmed is not None and work.confirmed.currency and not customer.currency:
            customer = replace(customer, currency=work.confirmed.currency)
        self.show(work, customer)
        if not adopting:
            work.connector.validate_customer(customer)
        return customer

    def screen(self, work: Work, subject: Customer) -> None:
        """Ask the source's adapter."""
        work.source.screen(subject)

    def show(self, work: Work, subject: Customer) -> None:
        """Show the customer."""
        work.customer, work.asked = subject, shown(subject)

    def to_snapshot(self, subject: Customer) -> dict[str, Any]:
        """Return the customer as JSON."""
        return to_snapshot(subject)

    def from_snapshot(self, snapshot: Mapping[str, Any]) -> Customer:
        """Return the customer that a snapshot holds."""
        return from_snapshot(snapshot)

    def guards(self, work: Work, subject: Customer) -> tuple[str, ...]:
        """Return e-mail and name."""
        return guards(subject)

    async def find(self, work: Work, subject: Customer, intent: CreateIntent | None = None) -> Sequence[Candidate]:
        """Look the customer up."""
        return await work.connector.find_customers(subject, intent=intent)

    async def get(self, work: Work, record: str) -> Candidate | None:
        """Read a customer by id."""
        return await work.connector.get_customer(record)

    def reads_by_id(self, work: Work) -> bool:
        """Whether the connector knows how to: the base class answers None for every id."""
        return type(work.connector).get_customer is not Connector.get_customer

    def hint(self, work: Work, subject: Customer) -> str | None:
        """Return what stands in the customer's metadata."""
        return work.source.hint(subject, work.connector.name)

    def match(
        self, work: Work, subject: Customer, candidates: Sequence[Candidate], taken: Mapping[str, str]
    ) -> Decision:
        """Decide by mark, e-mail and name: matching.py."""
        return match(subject, candidates, policy=work.connector.match_policy(), taken=taken)

    def judge_hint(
        self, work: Work, subject: Customer, candidate: Candidate, taken: Mapping[str, str]
    ) -> Adopt | Ask | None:
        """Decide about a hint: matching.py."""
        return judge_hint(subject, candidate, policy=work.connector.match_policy(), taken=taken)

    def recovered(
        self,
        work: Work,
        subject: Customer,
        candidates: Sequence[Candidate],
        started_at: datetime,
        *,
        at_last: bool = False,
    ) -> Adopt | Ask | None:
        """Recognise the record by mark, or by mail, name and time: matching.py."""
        # Before a create that no person has asked for, a record with this mail and name would have been adopted.
        undated = decision_in(work.claimed.intent) is None
        return recovered(subject, candidates, started_at=started_at, undated=undated, at_last=at_last)

    def is_seen(self, work: Work, subject: Customer, candidates: Sequence[Candidate], *, by_name_only: bool) -> bool:
        """Whether somebody with the refused name, or with the e-mail address, is among them."""
        email = normal_email(subject.email)
        has_email = bool(email) and not by_name_only
        return any(c.holds_name or (has_email and email in map(normal_email, c.emails)) for c in candidates)

    def variants(self, work: Work) -> int:
        """Return what the connector says."""
        return work.connector.variants

    def next_variant(self, work: Work, candidates: Sequence[Candidate], *, after: int = -1) -> int:
        """Pass over the names that a look-up has shown to be held; the last is tried in any case."""
        last = self.variants(work) - 1
        held = frozenset[int]().union(*(c.holds_variants for c in candidates))
        return next((variant for variant in range(after + 1, last) if variant not in held), last)

    async def create(self, work: Work, subject: Customer, intent: CreateIntent) -> Made:
        """Create the customer."""
        created = await work.connector.create_customer(subject, intent=intent)
        return Made(provider_entity_id=created.provider_entity_id, warnings=created.warnings)

    async def reactivate(self, work: Work, record: str) -> None:
        """Make the customer active again."""
        await work.connector.reactivate_customer(record)

    def shared(self, work: Work) -> bool:
        """Return what the connection's settings say."""
        return work.connector.match_policy().shared

    def chain(self, work: Work) -> tuple[NewJob, ...]:
        """Return the job that the customer was wanted for: an invoice where the connection books those, or a link.

        An invoice that was confirmed to have no lines, or to ask for nothing, has none.
        """
        job, trigger = work.claimed.job, work.payload.get("trigger", Trigger.INVOICE_FINALIZED)
        if job.kind != ENSURE or not job.subject:
            return ()
        if trigger == Trigger.PAYMENT_LINK:
            return self._link_jobs(work, job.subject)
        if trigger == Trigger.TRANSACTION:
            return (invoice_job(job, now=self.now()),) if work.books_receipts else ()
        empty = work.confirmed is not None and not work.confirmed.has_charges
        if trigger != Trigger.INVOICE_FINALIZED or empty or not work.books_invoices:
            return ()
        return (invoice_job(job, now=self.now()),)

    def _link_jobs(self, work: Work, invoice_id: str) -> tuple[NewJob, ...]:
        job, connector = work.claimed.job, work.connector
        if not isinstance(connector, PaymentLinks):
            return ()
        if connector.links_need_invoice and isinstance(connector, InvoiceSync):
            return (invoice_job(job, now=self.now()),)
        return (
            link_job(
                job, invoice_id, connection=job.connection or "", delivery_id=job.delivery_id, now=self.now()
            ),
        )  # fmt: skip
