"""Voiding at the provider what the platform has voided: idempotent, and proven by reading it afterwards."""

from datetime import timedelta

from connectors.errors import StaleRecordError, UnexpectedResponseError
from connectors.invoices import InvoiceStatus
from gateway.pipeline.entities import ignored
from gateway.pipeline.invoices import invoice_sync
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Stage, Work
from gateway.sources.base import Dropped
from storage.records import EntityMapping, JobStatus, Link, MappingStatus

WAIT = timedelta(seconds=15), timedelta(hours=1)
"""How long voiding waits for a create whose outcome is not known: at first, and at most after many tries."""


class VoidInvoice(Stage):
    """The stage `void_invoice`."""

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises StaleRecordError for a record that is gone, RejectedError for one that was paid."""
        mapping = work.claimed.mapping
        if work.claimed.intent is not None:
            first, most = WAIT
            wait = min(most, first * 2 ** min(work.claimed.job.attempts, 10))
            return Result(
                status=JobStatus.PENDING, outcome="waiting", next_attempt_at=self.now() + wait,
                reason="the invoice's create has an unknown outcome, which is settled first",
            )  # fmt: skip
        if mapping is None or mapping.status is not MappingStatus.LINKED or mapping.provider_entity_id is None:
            return ignored("the invoice is not linked here: there is nothing to void")
        found = await work.source.invoice(mapping.entity_id)
        if not isinstance(found, Dropped) or not found.voided:
            return ignored("the invoice is not void at the platform (any more)")
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
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done", link=self._voided(mapping),
            decision={"decision": "void", "record": record, "why": why},
        )  # fmt: skip

    def _voided(self, mapping: EntityMapping) -> Link:
        """Return the same link, with a note that its record is void."""
        details = dict(mapping.details) if isinstance(mapping.details, dict) else {}
        return mapping.with_details({"voided_at": self.now().isoformat(), **details})
