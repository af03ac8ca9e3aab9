"""When a provider refuses a name or an e-mail address: who holds it decides what comes next."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connectors.errors import DuplicateRefusedError
from gateway.errors import problem
from gateway.pipeline.creating import Creating, as_create_intent
from gateway.pipeline.matching import Adopt, Ask, Create, Decision, Judged
from gateway.pipeline.settling import Result
from gateway.pipeline.snapshots import decision_in, undecided
from gateway.pipeline.work import Work
from storage.records import Intent, JobStatus

CONTEST_GAP = 5.0
"""Seconds after a refusal at which a complete look-up that shows no holder proves that it is none of our records."""
CONTEST_LOOKS = 3
"""Look-ups of the schedule at which a holder may be seen before a person is asked, where there is no other name."""


class Contesting(Creating):
    """What follows a refusal because of an equal record."""

    async def contest(self, work: Work, intent: Intent, error: DuplicateRefusedError | None) -> Result:
        """Find out who holds the name or address, then adopt, take another name, or ask.

        Another name is taken only when the holder is proven to be somebody else: seen, or unseen by a complete look-up
        some seconds later. Where an earlier answer to this very create was lost, the holder may be our own record, and
        only the whole schedule of look-ups proves that it is not: such an intent has no `refused_at`.
        """
        subject, begun = self.entity.from_snapshot(undecided(intent.snapshot)), self.now()
        candidates = await self._suspects(work, subject, intent, error)
        taken = await self.taken(work, [c.provider_entity_id for c in candidates])
        decision: Decision = self.entity.match(work, subject, candidates, taken)
        by_hand, in_doubt = decision_in(intent) is not None, intent.refused_at is None
        closing = None if in_doubt else intent.intent_id
        match decision:
            case Adopt() if not by_hand or decision.origin == "adopted_marker":
                return await self.adopt(
                    work, decision, subject=subject, searched_since=begun, intent_id=intent.intent_id
                )
            case Ask() if not by_hand:
                return self.ask(work, decision, close_intent=closing)
        more_names = intent.variant + 1 < self.entity.variants(work)
        seen = self.entity.is_seen(work, subject, candidates, by_name_only=more_names)
        if not (by_hand and not in_doubt) and not seen:
            steps = self._steps(work, in_doubt=in_doubt, more_names=more_names)
            again = _next_step(steps, since=intent.refused_at or intent.started_at, begun=begun)
            if again is not None:
                waiting = self.look_again(intent, again)
                return waiting if in_doubt else _refused(waiting, problem(error or _refusal()))
        if more_names:
            return await self.create(
                work, subject, Create(why="the name is held by somebody else"), searched_since=begun,
                variant=self.entity.next_variant(work, candidates, after=intent.variant), replaces=intent,
                replaces_result="name_taken",
            )  # fmt: skip
        refused = error or _refusal()
        why = f"the provider has an equal record which is not known to be this {self.entity.entity_type}"
        asked = self.ask(work, Ask(kind="conflict", why=why, candidates=_judged(decision)), close_intent=closing)
        return replace(asked, error=problem(refused))

    async def _suspects(
        self, work: Work, subject: Any, intent: Intent, error: DuplicateRefusedError | None
    ) -> list[Any]:
        """Return all who may hold what was refused, the one included whom the refusal names."""
        found = list(await self.entity.find(work, subject, as_create_intent(intent)))
        named = error.provider_entity_id if error is not None else None
        if named and named not in {c.provider_entity_id for c in found}:
            holder = await self.entity.get(work, named)
            found += [holder] if holder is not None else []
        return found

    @staticmethod
    def _steps(work: Work, *, in_doubt: bool, more_names: bool) -> Sequence[float]:
        lookups = work.connector.recovery().lookups
        if in_doubt:
            return lookups
        return (CONTEST_GAP,) if more_names else lookups[:CONTEST_LOOKS]

    @staticmethod
    def look_again(intent: Intent, at: datetime) -> Result:
        """Return the result of a complete look-up that showed nothing, and does not prove anything yet."""
        return Result(
            status=JobStatus.PENDING, outcome="looking", reason="outcome unknown: nothing seen yet", next_attempt_at=at,
            looked=intent.intent_id, decision={"decision": "look_again", "why": "the record may not be visible yet"},
        )  # fmt: skip


def _refusal() -> DuplicateRefusedError:
    return DuplicateRefusedError("the provider refused the create: an equal record exists")


def _refused(waiting: Result, told: dict[str, Any]) -> Result:
    """Return the result with the refusal in it: nothing was written, and its holder is looked for."""
    return replace(waiting, error=told, reason=f"{told['code']}: nobody is seen yet who holds it")


def _next_step(steps: Sequence[float], *, since: datetime, begun: datetime) -> datetime | None:
    """Return when to look next, or None where the look-up that began at `begun` was the last that is needed."""
    coming = [step for step in steps if step > (begun - since).total_seconds()]
    return since + timedelta(seconds=coming[0]) if coming else None


def _judged(decision: Decision) -> tuple[Judged, ...]:
    match decision:
        case Adopt():
            return (Judged(candidate=decision.candidate, why=decision.why), *decision.others)
        case Ask():
            return decision.candidates
        case Create():
            return decision.others
