"""The stage of payment links: one open link for just what is to be paid, and none where nothing is."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.invoices import Invoice
from connectors.links import LinkCandidate, PaymentLinkRequest
from connectors.money import shown as money
from gateway.pipeline.dispatch import ENSURE_LINK, PAYMENT_LINK
from gateway.pipeline.ensure import Ensure
from gateway.pipeline.entities import ignored
from gateway.pipeline.keeping import LinkedLink, is_being_told, is_over, keep_given_up, payments_of
from gateway.pipeline.link_matching import difference
from gateway.pipeline.links import ENDING, LinkEntity, payment_links, shown_link
from gateway.pipeline.matching import Ask, Judged
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.sources.base import Dropped, Event, Trigger
from storage.records import EntityMapping, JobStatus, MappingStatus, Note, Review, ReviewStatus


class EnsurePaymentLink(Ensure):
    """The stage `ensure_payment_link`: one open link for just what is to be paid, and none where nothing is."""

    entity_kind = LinkEntity
    entity: LinkEntity

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. A link for another amount, or for nothing any more, is switched off before all else."""
        mapping = work.claimed.mapping
        unsettled = work.claimed.intent is not None or work.decision is not None
        if mapping is not None and self._is_asked_for(work) and not unsettled and is_being_told(mapping):
            return ignored(f"the link {mapping.provider_entity_id} has been paid, and the platform is being told")
        if mapping is None or mapping.status is not MappingStatus.LINKED or unsettled:
            if not self._is_asked_for(work) and not unsettled:
                return await self._in_review(work)
            return await self._answering(work, await super().__call__(work))
        wanted = await work.source.payable(mapping.entity_id)
        found = await payment_links(work).get_link(mapping.provider_entity_id or "")
        if found is not None and found.used:
            return await self._paid(work, mapping, wanted)
        if isinstance(wanted, Dropped):
            return await self._ended(work, mapping, found, f"switched off: {wanted.reason}", again=None)
        if found is None or not found.active:
            again = self.now() if self._is_asked_for(work) else None
            return await self._retired(mapping, "it is switched off at the provider", again=again)
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
        return work.payload.get("trigger") not in ENDING

    def _mapped(self, work: Work, mapping: EntityMapping, found: LinkCandidate, wanted: Invoice) -> Result:
        """Keep what a link asks for that a person has mapped; ask whether it was meant where that is another sum."""
        request = PaymentLinkRequest(
            invoice=wanted, amount=wanted.amount_due, currency=wanted.currency, customer_record=""
        )  # fmt: skip
        differing = difference(request, found)
        if differing is None:
            return _kept(mapping, self.entity.details(found))
        work.asked = shown_link(wanted, wanted.amount_due)
        told = f"{differing}, and was mapped by hand; adopt gives it as it is, create makes another, ignore gives none"
        asked = Ask(kind="amount_differs", why=told, candidates=(Judged(candidate=found, why=differing),))
        return replace(self.ask(work, asked), stale=mapping.held)

    async def _paid(self, work: Work, mapping: EntityMapping, wanted: Invoice | Dropped) -> Result:
        """Leave a link that was paid. Where the platform has counted it, what is open is another sum: another link."""
        if isinstance(wanted, Invoice) and is_over(mapping) and self._is_asked_for(work):
            why = "it was paid, and the platform knows, or it was given back; another is made for what is open"
            return await self._retired(mapping, why, again=self.now())
        return ignored(f"the link {mapping.provider_entity_id} has been paid")

    async def _ended(
        self, work: Work, mapping: EntityMapping, found: LinkCandidate | None, why: str, *, again: datetime | None
    ) -> Result:
        """Switch the link off, unless its payment comes first."""
        after = await self.entity.switched_off(work, found) if found is not None else None
        if after is not None and after.used:
            return ignored(f"the link {mapping.provider_entity_id} was paid before it could be switched off")
        return await self._retired(mapping, why, again=again)

    async def _in_review(self, work: Work) -> Result:
        """Switch off what a person is asked about, which nobody was given, where nothing is to be paid any more.

        Only what carries the mark of this very invoice. A link that a person has left where it is stays there.
        """
        asked = [each for each in await self._reviews(work) if each.decision != "ignore"]
        wanted = await work.source.payable(work.claimed.job.entity_id or "") if asked else None
        if not isinstance(wanted, Dropped):
            return ignored("the invoice has no payment link here")
        work.voided_at = self.now() if wanted.voided else None
        requests = {each.reference: each for review in asked if (each := self.entity.asked_in(work, review))}
        gone: list[str] = []
        for request in requests.values():
            found = await self.entity.find(work, request)
            taken = await self.taken(work, [each.provider_entity_id for each in found])
            mine = [each for each in found if each.marker == request.reference]
            free = [each for each in mine if each.provider_entity_id not in taken]
            gone += [each.provider_entity_id for each in await self.entity.take_back(work, request, free)]
        if not gone:
            return ignored("the invoice has no payment link here")
        why = f"switched off: {wanted.reason}"
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done", reason=why,
            decision={"decision": "retire", "record": ", ".join(gone), "why": why},
        )  # fmt: skip

    async def _answering(self, work: Work, result: Result) -> Result:
        """Have those run again who ask what became of a create, where that is known by now, and nothing is wanted."""
        over = work.voided_at is not None and result.close_intent is not None and result.link is None
        if not over or result.review is not None:
            return result
        others = [each.job_id for each in await self._reviews(work) if each.status is ReviewStatus.OPEN]
        return replace(result, answers=tuple(each for each in others if each and each != work.claimed.job.job_id))

    async def _reviews(self, work: Work) -> list[Review]:
        """Return what a person is, or was, asked about this invoice's link."""
        job = work.claimed.job
        page = await self.store.list_reviews(
            source=job.source, entity_id=job.entity_id, connection=job.connection, limit=200
        )
        return [each for each in page.items if each.entity_type == PAYMENT_LINK]

    async def _retired(self, mapping: EntityMapping, why: str, *, again: datetime | None) -> Result:
        """Return the result that ends the mapping's link: the job comes back for another one, where one is wanted."""
        if not payments_of(mapping):
            await keep_given_up(self.store, mapping, now=self.now())
        return Result(
            status=JobStatus.SUCCEEDED if again is None else JobStatus.PENDING, outcome="retired",
            job_outcome="done" if again is None else None, reason=why, stale=mapping.held, next_attempt_at=again,
            decision={"decision": "retire", "record": mapping.provider_entity_id, "why": why},
        )  # fmt: skip

    async def event_of(self, work: Work) -> Event:
        """Return an event that stands for the link: it has none of its own."""
        return Event(type=ENSURE_LINK, trigger=Trigger.PAYMENT_LINK, subject=work.claimed.job.entity_id)


def _kept(mapping: EntityMapping, details: Mapping[str, Any] | None) -> Result:
    """Return the result of a link that is right as it is; `details` where it was only now read."""
    return Result(
        status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
        note=Note(about=mapping.held, details=details) if details is not None else None,
        decision={"decision": "linked", "record": mapping.provider_entity_id},
    )  # fmt: skip
