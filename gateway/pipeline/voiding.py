"""Voiding at the provider what the platform has voided: idempotent, and proven by reading it afterwards."""

from datetime import timedelta

from connectors.errors import StaleRecordError, UnexpectedResponseError
from connectors.invoices import InvoiceStatus
from gateway.pipeline.dispatch import ENSURE_INVOICE, INVOICE
from gateway.pipeline.entities import ignored
from gateway.pipeline.invoices import invoice_sync
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Stage, Work
from gateway.sources.base import Dropped
from storage.records import JobStatus, MappingStatus, Note, ReviewStatus

WAIT = timedelta(seconds=15), timedelta(hours=1)
"""How long voiding waits for a create whose outcome is not known: at first, and at most after many tries."""
VOIDED = "voided_at"
"""The note of when an invoice was seen to be void at the provider, for the first time."""
ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.CANCELLED})


class VoidInvoice(Stage):
    """The stage `void_invoice`."""

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises StaleRecordError for a record that is gone, RejectedError for one that was paid."""
        job, mapping = work.claimed.job, work.claimed.mapping
        found = await work.source.invoice(job.entity_id or "")
        if not isinstance(found, Dropped) or not found.voided:
            return ignored("the invoice is not void at the platform (any more)")
        work.voided_at = self.now()
        if work.claimed.intent is not None:
            return await self._in_doubt(work)
        if mapping is None or mapping.status is not MappingStatus.LINKED or mapping.provider_entity_id is None:
            return ignored("the invoice is not linked here: there is nothing to void")
        syncs, record = invoice_sync(work), mapping.provider_entity_id
        before = await syncs.get_invoice(record)
        if before is None:
            raise StaleRecordError(f"invoice {record} is gone")
        if before.status is not InvoiceStatus.VOID:
            await syncs.void_invoice(record)
            after = await syncs.get_invoice(record)
            if after is None or after.status is not InvoiceStatus.VOID:
                raise UnexpectedResponseError(f"invoice {record} was voided, and is not void")
        why = "was void already" if before.status is InvoiceStatus.VOID else "voided, since the platform has voided it"
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
            note=Note(about=mapping.held, notes={} if VOIDED in mapping.notes else {VOIDED: self.now().isoformat()}),
            decision={"decision": "void", "record": record, "why": why},
        )  # fmt: skip

    async def _in_doubt(self, work: Work) -> Result:
        """Wait until the invoice's own job knows what the create has made, and have it look where it has given up.

        That job sends nothing any more, links what it finds, and asks anew where it cannot tell: a question that says
        already that the invoice was voided is a person's. Where a person has ended the job, nothing is left to do.
        """
        job, (first, most) = work.claimed.job, WAIT
        jobs = (
            await self.store.list_jobs(
                kind=ENSURE_INVOICE, entity_id=job.entity_id, connection=job.connection, source=job.source, limit=200
            )
        ).items
        if all(each.status in ENDED for each in jobs):
            return ignored("what became of its create is not known, and a person has ended its job")
        asked = await self.store.list_reviews(
            status=ReviewStatus.OPEN, entity_id=job.entity_id, connection=job.connection, source=job.source, limit=200
        )
        answered = [each.job_id for each in asked.items if each.entity_type == INVOICE and each.voided_at is None]
        if job.attempts == 0:
            answered += [each.job_id for each in jobs if each.status is JobStatus.FAILED]
        return Result(
            status=JobStatus.PENDING, outcome="waiting", reason="the invoice's create has an unknown outcome",
            next_attempt_at=self.now() + min(most, first * 2 ** min(job.attempts, 10)),
            answers=tuple(each for each in answered if each is not None),
        )  # fmt: skip
