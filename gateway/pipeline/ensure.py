"""Exactly one, of whatever kind: mapping, hint, find, match, intent, create. The dangerous order, written once.

mapping linked?   done, no provider call
open intent?      settled first, by repeating or by looking (recovery.py)
trigger           confirmed at the platform, customer or invoice read from it
hint?             verified at the provider by id, then adopted
line              equal records of this process go one after the other (lines.py)
find              candidates, or an error: an error is never "not found"
match             adopt, create, or ask a person (matching.py, invoice_matching.py)
create            the intent is committed before the first byte (creating.py)
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.pipeline.creating import wait_for_equal
from gateway.pipeline.customers import CustomerEntity
from gateway.pipeline.entities import ignored
from gateway.pipeline.lines import Lines
from gateway.pipeline.matching import Adopt, Ask, Create
from gateway.pipeline.recovery import Recovering
from gateway.pipeline.settling import Result
from gateway.pipeline.snapshots import decision_in
from gateway.pipeline.work import CUSTOMER, Work
from gateway.sources.base import Event, Trigger
from storage.records import EntityMapping, Intent, JobStatus, MappingStatus, Review, ReviewStatus

ASKED = 5
"""How many earlier questions are looked at."""
LINE_SECONDS = (0.3, 2.0)
"""How long a job stays away from a line that is full: it costs no request to come again."""


class Ensure(Recovering):
    """Makes one thing exist; `entity_kind` says of which kind. The order is the same for all."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._lines = Lines()

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises ConnectorError, GatewayError and StorageError kinds; the worker settles those."""
        claimed = work.claimed
        work.decided = await self._decision(work)
        if claimed.intent is not None:
            return await self.recover(work, claimed.intent)
        forced = bool(work.payload.get("forced"))
        if claimed.done_before and work.decided is None and not forced and self.entity.done_once(work):
            return ignored("already synced: another delivery about it was processed")
        return await self.begin(work, replaces=None)

    async def begin(self, work: Work, *, replaces: Intent | None) -> Result:
        """Start from the trigger. `replaces` is an intent whose create was proven absent."""
        mapping, event = work.claimed.mapping, await self.event_of(work)
        ended = await self.entity.confirm(work, event)
        linked = mapping if mapping is not None and mapping.status is MappingStatus.LINKED else None
        adopting = work.decided is not None and work.decided.decision == "adopt"
        if ended is not None and adopting and linked is None and work.voided_at is not None:
            return await self._by_decision(work, None, replaces)  # the record is there: it is linked, and voided
        if ended is not None:
            return _closing(ended, replaces)
        changed = self.entity.changed(work) if linked is not None and work.decided is None else None
        if changed is not None:
            return self.ask(work, changed)
        if linked is not None:
            return self._linked_before(work, linked)
        subject = await self.entity.read(work, event, adopting=adopting)
        if work.decided is not None or decision_in(replaces) is not None:
            return await self._by_decision(work, subject, replaces)
        if replaces is None:
            self.entity.screen(work, subject)
        work.leave_line = await self._lines.enter(
            f"{work.claimed.job.connection}|{guard}" for guard in self.entity.guards(work, subject)
        )
        if work.leave_line is None:
            return wait_for_equal(attempts=work.claimed.job.attempts, now=self.now(), seconds=LINE_SECONDS)
        named = await self._named(work, subject)
        followed = await self._follow(work, subject, named) if named is not None else None
        return followed or await self._search(work, subject, named, replaces=replaces)

    async def _search(self, work: Work, subject: Any, named: Any, *, replaces: Intent | None) -> Result:
        """Find, match, and act on the decision. What the platform has named is there, though no look-up may show it."""
        searched_since = self.now()
        candidates = await self.entity.find(work, subject)
        if named is not None:
            candidates = [*(c for c in candidates if c.provider_entity_id != named.provider_entity_id), named]
        if self.entity.entity_type != CUSTOMER:
            candidates = [*candidates, *await self._asked_about(work, candidates)]
        taken = await self.taken(work, [c.provider_entity_id for c in candidates])
        match self.entity.match(work, subject, candidates, taken):
            case Adopt() as decision:
                return await self.adopt(work, decision, subject=subject, searched_since=searched_since)
            case Ask() as decision:
                return _closing(self.ask(work, decision), replaces)
            case Create() as decision if _is_stale(work) and not self.entity.made_again:
                why = f"the linked record is gone, and no other record is this {self.entity.entity_type}'s"
                return _closing(self.ask(work, Ask(kind="stale", why=why, candidates=decision.others)), replaces)
            case Create() as decision:
                return await self.create(
                    work, subject, decision, searched_since=searched_since, replaces=replaces, replaces_result="absent",
                    variant=self.entity.next_variant(work, candidates),
                )  # fmt: skip

    async def _asked_about(self, work: Work, found: Sequence[Any]) -> list[Any]:
        """Return what was made here with another sum, was asked about, and is shown by no look-up yet."""
        shown = {c.provider_entity_id for c in found}
        records = _records(await self._differing(work))
        known = [await self.entity.get(work, record) for record in records if record not in shown]
        return [each for each in known if each is not None]

    async def _made_since(self, work: Work) -> list[str]:
        """Return what other events have made with another sum after the question that is answered to create."""
        decided = work.decided
        if decided is None:
            return []
        others = [each for each in await self._differing(work) if each.job_id != decided.job_id]
        return _records([each for each in others if each.created_at > decided.created_at])

    async def _differing(self, work: Work) -> list[Review]:
        """Return the questions about what was made with another sum, but those answered to make another."""
        job = work.claimed.job
        page = await self.store.list_reviews(
            source=job.source, entity_id=job.entity_id, connection=job.connection, kind="amount_differs", limit=ASKED
        )
        return [
            each for each in page.items
            if each.entity_type == self.entity.entity_type and each.decision != "create"
        ]  # fmt: skip

    async def event_of(self, work: Work) -> Event:
        """Return the event again: from what the job was queued with, or the delivery where more is needed."""
        job = work.claimed.job
        if job.delivery_id is not None and work.source.reads_delivery:
            delivery = await self.store.get_delivery(job.delivery_id)
            if delivery.body is not None:
                return work.source.parse(delivery.body)
        trigger = Trigger(work.payload.get("trigger", Trigger.INVOICE_FINALIZED))
        return Event(type=str(trigger), trigger=trigger, subject=job.subject, customer_id=job.entity_id)

    async def _decision(self, work: Work) -> Review | None:
        """Return the decision that this attempt is to carry out: the newest one, unless its create was begun already.

        A decision to create is good for one create. What became of that one is found out like of any other. What
        another event has begun since the question was put is settled first: whoever answered did not know of it.
        """
        if work.decision is None:
            return None
        page = await self.store.list_reviews(job_id=work.claimed.job.job_id, status=ReviewStatus.RESOLVED, limit=1)
        review = page.items[0] if page.items else None
        if review is None or review.decision not in {"adopt", "create"}:
            return None
        intent = work.claimed.intent
        if intent is not None and review.created_at < intent.started_at:
            return None
        return review if decision_in(intent) != review.review_id else None

    async def _by_decision(self, work: Work, subject: Any, replaces: Intent | None) -> Result:
        """Carry out what a person has decided in a review."""
        if work.decided is not None and work.decided.decision == "adopt":
            return await self.adopt_by_hand(work, work.decided.provider_entity_id or "")
        if made := await self._made_since(work):
            told = (
                f"since the question was put, another event has made {', '.join(made)}, which a person was asked about"
            )
            return _closing(ignored(told), replaces)
        return await self.create(
            work, subject, Create(why="decided by a person"), searched_since=self.now(), replaces=replaces,
            replaces_result="absent",
        )  # fmt: skip

    async def _named(self, work: Work, subject: Any) -> Any:
        """Return the record that the platform's metadata names, as the provider has it; None where there is none."""
        hint = self.entity.hint(work, subject)
        return await self.entity.get(work, hint) if hint is not None else None

    async def _follow(self, work: Work, subject: Any, candidate: Any) -> Result | None:
        """Adopt the record that the platform's metadata names; None where that alone is worth nothing."""
        taken = await self.taken(work, [candidate.provider_entity_id])
        match self.entity.judge_hint(work, subject, candidate, taken):
            case Adopt() as decision:
                return await self.adopt(work, decision, subject=subject, searched_since=self.now())
            case Ask() as decision:
                return self.ask(work, decision)
            case _:
                return None

    def _linked_before(self, work: Work, mapping: EntityMapping) -> Result:
        """Nothing to do at the provider; a write-back that is owed is made up for, and what follows is queued."""
        owed = self.write_back_jobs(work) if mapping.written_back_at is None else ()
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
            decision={"decision": "linked", "record": mapping.provider_entity_id},
            follow_ups=(*owed, *self.entity.chain(work)),
        )  # fmt: skip


class EnsureCustomer(Ensure):
    """The stage `ensure_customer`."""

    entity_kind = CustomerEntity


def _is_stale(work: Work) -> bool:
    """Whether it was linked to a record that has died: only a person decides to make another."""
    mapping = work.claimed.mapping
    return mapping is not None and mapping.status is MappingStatus.STALE


def _records(reviews: Sequence[Review]) -> list[str]:
    """Return the records that reviews show, each once."""
    shown = (each for review in reviews for each in (review.candidates if isinstance(review.candidates, list) else ()))
    return list(dict.fromkeys(str(each["provider_entity_id"]) for each in shown))


def _closing(result: Result, intent: Intent | None) -> Result:
    """Close an intent that was proven absent together with a result that creates nothing."""
    return result if intent is None else replace(result, close_intent=intent.intent_id, intent_result="absent")
