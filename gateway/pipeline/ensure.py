"""Exactly one customer: mapping, hint, find, match, intent, create. The dangerous order, written once.

mapping linked?   done, no provider call
open intent?      settled first, by repeating or by looking (recovery.py)
trigger           confirmed at the platform, customer read from it
hint?             verified at the provider by id, then adopted
find              candidates, or an error: an error is never "not found"
match             adopt, create, or ask a person (matching.py)
create            the intent is committed before the first byte (creating.py)
"""

from dataclasses import replace

from connectors.models import Customer
from gateway.pipeline.dispatch import ENSURE, lock_key
from gateway.pipeline.matching import Adopt, Ask, Create, judge_hint, match
from gateway.pipeline.recovery import Recovering
from gateway.pipeline.settling import Result
from gateway.pipeline.snapshots import decision_in
from gateway.pipeline.work import Work
from gateway.sources.base import Confirmed, Dropped, Event, Trigger
from storage.records import Intent, JobStatus, MappingStatus, Review, ReviewStatus


class EnsureCustomer(Recovering):
    """The stage `ensure_customer`."""

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises ConnectorError, GatewayError and StorageError kinds; the worker settles those."""
        claimed = work.claimed
        work.decided = await self._decision(work)
        if claimed.intent is not None:
            return await self.recover(work, claimed.intent)
        if claimed.done_before and work.decided is None and not work.payload.get("forced"):
            return _ignored("already synced: another delivery about it was processed")
        return await self.begin(work, replaces=None)

    async def begin(self, work: Work, *, replaces: Intent | None) -> Result:
        """Start from the trigger. `replaces` is an intent whose create was proven absent."""
        job, mapping = work.claimed.job, work.claimed.mapping
        event = await self.event_of(work)
        confirmed = await self._confirm(work, event)
        if isinstance(confirmed, Dropped):
            return _closing(_ignored(confirmed.reason), replaces)
        if confirmed.customer_id != job.entity_id:
            return _closing(self._moved(work, confirmed.customer_id), replaces)
        if mapping is not None and mapping.status is MappingStatus.LINKED:
            return self._linked_before(work)
        customer = await work.source.customer(confirmed.customer_id, event)
        if confirmed.currency and not customer.currency:
            customer = replace(customer, currency=confirmed.currency)
        work.customer = customer
        work.connector.validate_customer(customer)
        if work.decided is not None or decision_in(replaces) is not None:
            return await self._by_decision(work, customer, replaces)
        if replaces is None:
            work.source.screen(customer)
        hinted = await self._hinted(work, customer)
        return hinted if hinted is not None else await self._search(work, customer, replaces=replaces)

    async def _search(self, work: Work, customer: Customer, *, replaces: Intent | None) -> Result:
        """Find, match, and act on the decision."""
        searched_since = self.now()
        candidates = await work.connector.find_customers(customer)
        taken = await self.taken(work, [c.provider_entity_id for c in candidates])
        decision = match(customer, candidates, policy=work.connector.match_policy(), taken=taken)
        match decision:
            case Adopt():
                return await self.adopt(work, decision, customer=customer, searched_since=searched_since)
            case Ask():
                return _closing(self.ask(work, decision), replaces)
            case Create() if _is_stale(work):
                why = "the linked record is gone, and no other record is this customer's"
                return _closing(self.ask(work, Ask(kind="stale", why=why, candidates=decision.others)), replaces)
            case Create():
                return await self.create(
                    work, customer, decision, searched_since=searched_since, replaces=replaces, replaces_result="absent"
                )

    async def _confirm(self, work: Work, event: Event) -> Confirmed | Dropped:
        """Ask the platform whether the trigger still holds; a check of ours has no trigger that could lapse."""
        if event.trigger is Trigger.CHECK:
            return Confirmed(customer_id=event.customer_id or "")
        return await work.source.confirm(event)

    async def event_of(self, work: Work) -> Event:
        """Return the event again: from the delivery's own bytes, else from what the job was queued with."""
        job = work.claimed.job
        if job.delivery_id is not None:
            delivery = await self.store.get_delivery(job.delivery_id)
            if delivery.body is not None:
                return work.source.parse(delivery.body)
        trigger = Trigger(work.payload.get("trigger", Trigger.INVOICE_FINALIZED))
        return Event(type=str(trigger), trigger=trigger, subject=job.subject, customer_id=job.entity_id)

    def _moved(self, work: Work, customer_id: str) -> Result:
        """The invoice belongs to another customer than the webhook said: go on under that one's lock."""
        job = work.claimed.job
        return Result(
            status=JobStatus.PENDING, outcome="moved", next_attempt_at=self.now(), entity_id=customer_id,
            reason="the platform names another customer than the webhook",
            lock_key=lock_key(ENSURE, job.source, customer_id, job.connection or ""),
        )  # fmt: skip

    async def _decision(self, work: Work) -> Review | None:
        """Return the decision that this attempt is to carry out: the newest one, unless its create was begun already.

        A decision to create is good for one create. What became of that one is found out like of any other.
        """
        if work.decision is None:
            return None
        page = await self.store.list_reviews(job_id=work.claimed.job.job_id, status=ReviewStatus.RESOLVED, limit=1)
        review = page.items[0] if page.items else None
        if review is None or review.decision not in {"adopt", "create"}:
            return None
        return review if decision_in(work.claimed.intent) != review.review_id else None

    async def _by_decision(self, work: Work, customer: Customer, replaces: Intent | None) -> Result:
        """Carry out what a person has decided in a review."""
        if work.decided is not None and work.decided.decision == "adopt":
            return await self.adopt_by_hand(work, work.decided.provider_entity_id or "")
        return await self.create(
            work, customer, Create(why="decided by a person"), searched_since=self.now(), replaces=replaces,
            replaces_result="absent",
        )  # fmt: skip

    async def _hinted(self, work: Work, customer: Customer) -> Result | None:
        """Adopt the record that the platform's metadata names, once the provider has confirmed it."""
        hint = work.source.hint(customer, work.connector.name)
        candidate = await work.connector.get_customer(hint) if hint is not None else None
        if candidate is None:
            return None
        taken = await self.taken(work, [candidate.provider_entity_id])
        match judge_hint(customer, candidate, policy=work.connector.match_policy(), taken=taken):
            case Adopt() as decision:
                return await self.adopt(work, decision, customer=customer, searched_since=self.now())
            case Ask() as decision:
                return self.ask(work, decision)
            case _:
                return None

    def _linked_before(self, work: Work) -> Result:
        """Nothing to do at the provider; a write-back that is owed is made up for."""
        mapping = work.claimed.mapping
        owed = mapping is not None and mapping.written_back_at is None
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
            decision={"decision": "linked", "record": mapping.provider_entity_id if mapping else None},
            follow_ups=self.write_back_jobs(work) if owed else (),
        )  # fmt: skip


def _is_stale(work: Work) -> bool:
    """Whether the customer was linked to a record that has died: only a person decides to make another."""
    mapping = work.claimed.mapping
    return mapping is not None and mapping.status is MappingStatus.STALE


def _ignored(reason: str) -> Result:
    return Result(status=JobStatus.SUCCEEDED, outcome="ignored", job_outcome="ignored", reason=reason)


def _closing(result: Result, intent: Intent | None) -> Result:
    """Close an intent that was proven absent together with a result that creates nothing."""
    return result if intent is None else replace(result, close_intent=intent.intent_id, intent_result="absent")
