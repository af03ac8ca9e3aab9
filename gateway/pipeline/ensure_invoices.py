"""The stage of invoices: one at the provider for each final one, and a person where that cannot be told."""

from dataclasses import replace

from connectors.errors import NotOfferedError, StaleCustomerError
from gateway.errors import CustomerNotLinkedError
from gateway.pipeline.asking import unless_asked
from gateway.pipeline.creating import RefusedError, wait_for_equal
from gateway.pipeline.dispatch import ENSURE_INVOICE, INVOICE, check_job
from gateway.pipeline.ensure import Ensure
from gateway.pipeline.entities import ignored
from gateway.pipeline.failing import failed
from gateway.pipeline.gift_days import FOLLOWING_SECONDS, GiftDays
from gateway.pipeline.invoices import CHANGED, NOT_OFFERED, InvoiceEntity, customer_key, customer_mapping
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.sources.base import Event, Trigger
from storage.records import Intent, MappingStatus, ReviewStatus


class EnsureInvoice(Ensure):
    """The stage `ensure_invoice`: queued by the customer's own job, in the transaction that links it."""

    entity_kind = InvoiceEntity

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. An account without invoices ends it as ignored; a customer that is gone is looked at."""
        try:
            result = await self._beside_others(work) or await super().__call__(work)
            if result.link is not None:
                await self._tell(work, "")
            changed = result.review is not None and result.review.kind == CHANGED
            return await unless_asked(self.store, work, result) if changed else result
        except RefusedError as refused:
            if isinstance(refused.error, NotOfferedError):
                return await self._not_offered(work, refused.error, refused.intent)
            if isinstance(refused.error, StaleCustomerError):
                return await self._customer_gone(work, refused.error, refused.intent)
            raise
        except NotOfferedError as error:
            if work.claimed.intent is not None:
                raise  # an invoice may have been made: a person looks
            return await self._not_offered(work, error, None)
        except StaleCustomerError as error:
            return await self._customer_gone(work, error, None)
        except CustomerNotLinkedError as error:
            return self._waiting(work, failed(work, error, schedule=self.schedule, now=self.now(), spread=0.0))

    async def _beside_others(self, work: Work) -> Result | None:
        """Return how the attempt ends where another job sees to the same document; None where it goes on."""
        if await GiftDays(self.store, self.now).is_led_by_another(work):
            return wait_for_equal(attempts=work.claimed.job.attempts, now=self.now(), seconds=FOLLOWING_SECONDS)
        if await self._is_asked_about(work):
            return ignored("a person is asked about this invoice already, for another event")
        return None

    async def _is_asked_about(self, work: Work) -> bool:
        """Whether another event about the same invoice has led to a question: what was made may not be visible yet."""
        claimed, job = work.claimed, work.claimed.job
        linked = claimed.mapping is not None and claimed.mapping.status is MappingStatus.LINKED
        again = work.payload.get("trigger", Trigger.INVOICE_FINALIZED) == Trigger.INVOICE_FINALIZED
        if linked or claimed.intent is not None or work.decision is not None or not again:
            return False
        page = await self.store.list_reviews(
            status=ReviewStatus.OPEN, entity_id=job.entity_id, connection=job.connection, source=job.source, limit=200
        )
        return any(each.entity_type == INVOICE and each.job_id != job.job_id for each in page.items)

    async def event_of(self, work: Work) -> Event:
        """Return an event that stands for the invoice: the webhook was the customer's. A gift is its own delivery."""
        job = work.claimed.job
        if work.payload.get("trigger") == Trigger.TRANSACTION:
            return await super().event_of(work)
        return Event(type=ENSURE_INVOICE, trigger=Trigger.INVOICE_FINALIZED, subject=job.entity_id)

    async def _tell(self, work: Work, detail: str) -> None:
        """Keep what the connection warns of: empty once an invoice was made after all."""
        owner = f"connection:{work.claimed.job.connection}"
        if (await self.store.get_fact(owner, NOT_OFFERED) or "") != detail:
            await self.store.put_fact(owner, NOT_OFFERED, detail, now=self.now())

    async def _not_offered(self, work: Work, error: NotOfferedError, refused: Intent | None) -> Result:
        """Book nothing, and say so on the connection: the customer's sync must not suffer."""
        await self._tell(work, error.detail)
        result = ignored(f"the provider's account has no invoices: {error.detail}")
        return result if refused is None else replace(result, close_intent=refused.intent_id, intent_result="refused")

    async def _customer_gone(self, work: Work, error: StaleCustomerError, refused: Intent | None) -> Result:
        """Have the customer's link looked at, which asks a person where it has died; the invoice comes back later."""
        result = failed(work, error, schedule=self.schedule, now=self.now(), spread=0.0, refused=refused)
        mapping = None
        if work.invoice is not None:
            mapping = await customer_mapping(self.store, work, work.invoice.customer_id)
        if mapping is None or mapping.status is not MappingStatus.LINKED:
            return self._waiting(work, result)
        return self._waiting(work, replace(result, follow_ups=(check_job(mapping, now=self.now()),)))

    @staticmethod
    def _waiting(work: Work, result: Result) -> Result:
        """Have the job run again as soon as the customer is linked anew, also where it has given up by then."""
        customer_id = work.invoice.customer_id if work.invoice is not None else ""
        return replace(result, waits_for=customer_key(work, customer_id)) if customer_id else result
