"""Settling a create whose outcome is in doubt: by repeating it where that is safe, else by looking, never by hoping."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.errors import DuplicateRefusedError
from connectors.models import Candidate, Customer
from gateway.errors import RecordTakenError, problem
from gateway.pipeline.creating import Creating, as_create_intent, next_look
from gateway.pipeline.matching import Adopt, Ask, Create, Decision, Judged, match, normal_email, recovered
from gateway.pipeline.settling import Result
from gateway.pipeline.snapshots import from_snapshot
from gateway.pipeline.work import Work
from storage.records import Intent, JobStatus

CONTEST_GAP = timedelta(seconds=5)
CONTEST_LOOKS = 3
MAX_LOST = 1
"""After so many creates that were lost and proven absent, the next lost one goes to a person."""


class Recovering(Creating):
    """What happens to an open intent on a later attempt."""

    async def recover(self, work: Work, intent: Intent) -> Result:
        """Settle the open intent. Raises ConnectorError kinds when a look-up fails: the intent then stays open."""
        if work.decision is not None:
            return await self._decided(work, intent)
        if intent.refused_at is not None:
            return await self.contest(work, intent, None)
        window, age = work.connector.recovery().replay_window, self.now() - intent.started_at
        if window is not None and timedelta() <= age < window:
            return await self.send(work, intent, why="repeated with the same key")
        return await self._look(work, intent)

    async def _decided(self, work: Work, intent: Intent) -> Result:
        """A person has looked: the record is this one, or there is none."""
        decision = work.decision or {}
        if decision.get("decision") == "adopt":
            return await self.adopt_by_hand(work, str(decision.get("record") or ""))
        customer = from_snapshot(intent.snapshot)
        return await self.create(
            work, customer, Create(why="decided by a person"), searched_since=self.now(), variant=intent.variant,
            replaces=intent, replaces_result="absent",
        )  # fmt: skip

    async def adopt_by_hand(self, work: Work, record: str) -> Result:
        """Link the record that a person has named. Raises RecordTakenError when it is somebody else's."""
        taken = await self.taken(work, [record])
        if record in taken and not work.connector.match_policy().shared:
            msg = f"record {record} is linked to {taken[record]}"
            raise RecordTakenError(msg)
        return self.link(work, record=record, origin="operator", why="decided by a person")

    async def _look(self, work: Work, intent: Intent) -> Result:
        """Look for what the create may have made. Only complete look-ups to the end of the schedule prove absence."""
        customer, recovery = from_snapshot(intent.snapshot), work.connector.recovery()
        candidates = await work.connector.find_customers(customer, intent=as_create_intent(intent))
        taken = await self.taken(work, [c.provider_entity_id for c in candidates])
        free = [c for c in candidates if c.provider_entity_id not in taken]
        found = recovered(customer, free, started_at=intent.started_at)
        if found is not None:
            return await self.adopt(work, found)
        now = self.now()
        again = next_look(replace(intent, looked_at=now), recovery)
        if again is not None:
            return self._look_again(intent, max(again, now))
        if recovery.replay_window is not None:
            return await self.send(work, intent, why="not there by complete look-ups; repeated with the same key")
        if intent.lost_before >= MAX_LOST:
            why = "two creates were lost, and no record of either can be seen"
            judged = tuple(Judged(candidate=c, why="found, but not proven to be of this create") for c in free)
            return self.ask(work, Ask(kind="outcome_unknown", why=why, candidates=judged))
        return await self.begin(work, replaces=intent)

    async def begin(self, work: Work, *, replaces: Intent | None) -> Result:
        """Start from the trigger: confirm, read the customer, search. Provided by ensure.py."""
        raise NotImplementedError

    async def contest(self, work: Work, intent: Intent, error: DuplicateRefusedError | None) -> Result:
        """The provider refused the name or the e-mail: find out who holds it, then adopt, take another name, or ask.

        Another name is taken only when the holder is proven to be somebody else: seen, or unseen by two complete
        look-ups at least five seconds apart. A lost answer or a race would otherwise become a duplicate.
        """
        customer, connector, now = from_snapshot(intent.snapshot), work.connector, self.now()
        refused_at = intent.refused_at or now
        candidates = list(await connector.find_customers(customer, intent=as_create_intent(intent)))
        named = error.provider_entity_id if error is not None else None
        if named and named not in {c.provider_entity_id for c in candidates}:
            holder = await connector.get_customer(named)
            candidates += [holder] if holder is not None else []
        taken = await self.taken(work, [c.provider_entity_id for c in candidates])
        decision: Decision = match(customer, candidates, policy=connector.match_policy(), taken=taken)
        by_hand = work.decision is not None
        match decision:
            case Adopt() if not by_hand or decision.origin == "adopted_marker":
                return await self.adopt(work, decision, intent_id=intent.intent_id)
            case Ask() if not by_hand:
                return self.ask(work, decision, close_intent=intent.intent_id)
        looks_left = _looks_left(connector.recovery().lookups, refused_at=refused_at, now=now)
        if intent.variant + 1 < connector.variants:
            twice = intent.looked_at is not None and now - refused_at >= CONTEST_GAP
            if by_hand or twice or any(c.holds_name for c in candidates):
                return await self.create(
                    work, customer, Create(why="the name is held by somebody else"), searched_since=now,
                    variant=intent.variant + 1, replaces=intent, replaces_result="name_taken",
                )  # fmt: skip
            return self._look_again(intent, refused_at + CONTEST_GAP)
        if looks_left is not None and not by_hand and not _holder_seen(customer, candidates):
            return self._look_again(intent, looks_left)
        refused = error or DuplicateRefusedError("the provider refused the create: an equal record exists")
        others = decision.others if isinstance(decision, Create) else getattr(decision, "candidates", ())
        asked = self.ask(
            work, Ask(kind="conflict", why="the provider has an equal record which is not known to be this customer",
                      candidates=tuple(others)), close_intent=intent.intent_id,
        )  # fmt: skip
        return replace(asked, error=problem(refused))

    @staticmethod
    def _look_again(intent: Intent, at: datetime) -> Result:
        return Result(
            status=JobStatus.PENDING, outcome="looking", reason="outcome unknown: nothing seen yet", next_attempt_at=at,
            looked=intent.intent_id, decision={"decision": "look_again", "why": "the record may not be visible yet"},
        )  # fmt: skip


def _holder_seen(customer: Customer, candidates: Sequence[Candidate]) -> bool:
    email = normal_email(customer.email)
    return any(c.holds_name or (email and email in map(normal_email, c.emails)) for c in candidates)


def _looks_left(lookups: Sequence[float], *, refused_at: datetime, now: datetime) -> datetime | None:
    """Return when to look again for a holder that hides, or None after a few complete look-ups."""
    elapsed = (now - refused_at).total_seconds()
    coming = [step for step in lookups[:CONTEST_LOOKS] if step > elapsed]
    return refused_at + timedelta(seconds=coming[0]) if coming else None
