"""Settling a create whose outcome is in doubt: by repeating it where that is safe, else by looking, never by hoping."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gateway.errors import RecordTakenError
from gateway.pipeline.contesting import Contesting
from gateway.pipeline.creating import as_create_intent, confirming_look, next_look
from gateway.pipeline.entities import ignored
from gateway.pipeline.linking import OPERATOR
from gateway.pipeline.looked import Looked
from gateway.pipeline.matching import Adopt, Ask, Create, Judged
from gateway.pipeline.settling import Result
from gateway.pipeline.snapshots import undecided
from gateway.pipeline.work import Work
from storage.records import Intent

MAX_LOST = 1
"""After so many creates that were lost and proven absent, the next lost one goes to a person."""


class Recovering(Contesting):
    """What happens to an open intent on a later attempt."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._looked = Looked()

    async def recover(self, work: Work, intent: Intent) -> Result:
        """Settle the open intent. Raises ConnectorError kinds when a look-up fails: the intent then stays open."""
        self.entity.show(work, self._subject(intent))
        lapsed, decided = await self.entity.lapsed(work), work.decided
        if decided is not None and decided.decision == "adopt":
            return await self.adopt_by_hand(work, decided.provider_entity_id or "")
        if lapsed:
            return await self._look(work, intent) if intent.refused_at is None else _nothing_came(intent, "refused")
        if decided is not None:
            return await self.create(
                work, self._subject(intent), Create(why="decided by a person"), searched_since=self.now(),
                variant=intent.variant, replaces=intent, replaces_result="absent",
            )  # fmt: skip
        if intent.refused_at is not None:
            return await self.contest(work, intent, None)
        window, age = work.connector.recovery().replay_window, self.now() - intent.started_at
        if window is not None and timedelta() <= age < window:
            return await self.send(work, intent, why="repeated with the same key", again=True)
        return await self._look(work, intent)

    async def adopt_by_hand(self, work: Work, record: str) -> Result:
        """Link the record that a person has named; ask again where the provider says that there is none.

        Raises RecordTakenError when it is somebody else's.
        """
        taken = await self.taken(work, [record])
        if record in taken and not self.entity.shared(work):
            msg = f"record {record} is linked to {taken[record]}"
            raise RecordTakenError(msg)
        details = None
        if self.entity.reads_by_id(work):
            found = await self.entity.get(work, record)
            if found is None:
                why = f"the provider has no record {record}, which a person wanted to adopt"
                return self.ask(work, Ask(kind="stale", why=why, candidates=()))
            details = self.entity.accepted(work, found)
        return self.link(work, record=record, origin=OPERATOR, why="decided by a person", details=details)

    def _subject(self, intent: Intent) -> Any:
        return self.entity.from_snapshot(undecided(intent.snapshot))

    async def _look(self, work: Work, intent: Intent) -> Result:
        """Look for what the create may have made. Only complete look-ups to the end of the schedule prove absence.

        What the platform has taken back meanwhile is looked for all the same, and never sent again.
        """
        subject, recovery, begun = self._subject(intent), work.connector.recovery(), self.now()
        steadily = self.steady()
        candidates = await self.entity.find(work, subject, as_create_intent(intent))
        taken = await self.taken(work, [c.provider_entity_id for c in candidates])
        free: Sequence[Any] = [c for c in candidates if c.provider_entity_id not in taken]
        if work.voided_at is not None:
            free = await self.entity.take_back(work, subject, free)
        match self.entity.recovered(work, subject, free, intent.started_at):
            case Adopt() as found:
                return await self.adopt(work, found, subject=subject, searched_since=begun)
            case Ask() as asked:
                return self.ask(work, asked, close_intent=intent.intent_id, intent_result="created")
        # A look-up proves what held when it began, however long its answer took.
        looking = self._looked.seconds(intent.intent_id, begun=steadily)
        again = next_look(replace(intent, looked_at=begun), recovery)
        again = again or confirming_look(intent, recovery, at=begun, looking=looking)
        if again is not None:
            return self.look_again(intent, max(again, self.now()))
        late = self.entity.recovered(work, subject, free, intent.started_at, at_last=True)
        if isinstance(late, Adopt):
            return await self.adopt(work, late, subject=subject, searched_since=begun)
        if work.voided_at is not None:
            return _nothing_came(intent, "absent")
        if recovery.replay_window is not None:
            why = "not there by complete look-ups; repeated with the same key"
            return await self.send(work, intent, why=why, again=True)
        if intent.lost_before >= MAX_LOST:
            why = "two creates were lost, and no record of either can be seen"
            judged = tuple(Judged(candidate=c, why="found, but not proven to be of this create") for c in free)
            return self.ask(work, Ask(kind="outcome_unknown", why=why, candidates=judged))
        return await self.begin(work, replaces=intent)

    async def begin(self, work: Work, *, replaces: Intent | None) -> Result:
        """Start from the trigger: confirm, read the customer, search. Provided by ensure.py."""
        raise NotImplementedError


def _nothing_came(intent: Intent, result: str) -> Result:
    """Return the end of a create that has made nothing, of a thing that the platform has voided meanwhile."""
    done = ignored("the platform has voided it meanwhile, and its create has made nothing")
    return replace(done, close_intent=intent.intent_id, intent_result=result)
