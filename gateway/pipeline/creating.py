"""Sending a create: the intent is committed before the first byte, and an answer that was lost leaves it open."""

import asyncio
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connectors.errors import ConnectorError, DuplicateRefusedError
from connectors.models import CreateIntent, Recovery
from connectors.sending import IN_TIME
from gateway.errors import problem
from gateway.pipeline.linking import Linking
from gateway.pipeline.matching import Ask, Create
from gateway.pipeline.settling import Result
from gateway.pipeline.snapshots import decision_in, digest, undecided, with_decision
from gateway.pipeline.work import Work
from storage.errors import GuardBusyError
from storage.ids import new_id
from storage.records import Intent, JobStatus, NewIntent

GUARD_SECONDS = (0.4, 60.0)
"""How long a job waits for the create of an equal customer: at first, and at most after many tries."""
FRESH = timedelta(seconds=10)
"""A create is sent only this soon after its intent, however long the process was stopped in between: later, another
worker may have proven it absent already. Asked right before the first byte."""


class RefusedError(Exception):
    """A create was refused for certain; carries the intent that is to be closed with the attempt."""

    def __init__(self, intent: Intent, error: ConnectorError) -> None:
        super().__init__(str(error))
        self.intent = intent
        self.error = error


class Creating(Linking):
    """The create, once it is decided."""

    async def create(
        self,
        work: Work,
        subject: Any,
        decision: Create,
        *,
        searched_since: datetime,
        variant: int = 0,
        replaces: Intent | None = None,
        replaces_result: str = "replaced",
    ) -> Result:
        """Commit a new intent and send it. Raises RefusedError for a definite refusal, StorageError kinds."""
        job, connector, now = work.claimed.job, work.connector, self.now()
        snapshot = self.entity.to_snapshot(subject)
        mark = digest(snapshot)
        review_id = work.decided.review_id if work.decided is not None else decision_in(replaces)
        seed = "|".join(
            (connector.name, job.connection or "", connector.idempotency_scope(), job.source, job.entity_type,
             job.entity_id or "", mark)
        )  # fmt: skip
        new = NewIntent(
            intent_id=new_id("int", now), key=work.mapping_key, connector=connector.name, tenant_id=job.tenant_id,
            environment_id=job.environment_id, variant=variant, seed=seed,
            snapshot=with_decision(snapshot, review_id), digest=mark,
            guards=self.entity.guards(work, subject), started_at=now, searched_since=searched_since,
            replaces=replaces.intent_id if replaces is not None else None, replaces_result=replaces_result,
        )  # fmt: skip
        try:
            intent = await self.store.begin_intent(new, job_id=job.job_id, fence=job.fence)
        except GuardBusyError:
            return wait_for_equal(attempts=job.attempts, now=now)
        return await self.send(work, intent, why=decision.why)

    async def send(self, work: Work, intent: Intent, *, why: str, again: bool = False) -> Result:
        """Send a create whose intent is committed. `again`: it was sent before, and its answer was lost.

        The same intent sends the same bytes. Only a refusal of the first sending proves that nothing was written: one
        of a repetition says nothing about the first, so that the intent stays open. Raises RefusedError for a definite
        refusal of the first, ConnectorError kinds for those of a repetition.
        """
        subject = self.entity.from_snapshot(undecided(intent.snapshot))
        before, ours = intent.started_at + FRESH, IN_TIME.get()
        asked = IN_TIME.set(lambda: (again or self.now() <= before) and (ours is None or ours()))
        try:
            made = await self.entity.create(work, subject, as_create_intent(intent, repeated=again))
        except DuplicateRefusedError as error:
            if not again:
                refused_at = self.now()
                await self.store.refuse_intent(intent.intent_id, now=refused_at)
                intent = replace(intent, refused_at=refused_at, looked_at=None)
            return await self.contest(work, intent, error)
        except ConnectorError as error:
            if error.may_have_written:
                return self.unknown(work, intent, error)
            if again:
                raise
            raise RefusedError(intent, error) from error
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a connector's bug proves nothing about what was written
            return self.unknown(work, intent, error)
        finally:
            IN_TIME.reset(asked)
        if not made.provider_entity_id:
            return self.unknown(work, intent, ConnectorError("the connector returned no id"))
        if made.objection is not None:
            return self.ask(work, made.objection, close_intent=intent.intent_id, intent_result="created")
        return self.link(
            work, record=made.provider_entity_id, origin="created", why=why, warnings=made.warnings,
            details=made.details, intent_id=intent.intent_id,
        )  # fmt: skip

    def unknown(self, work: Work, intent: Intent, error: BaseException) -> Result:
        """The answer was lost: the intent stays open, and the job comes back to look, or to repeat."""
        now, recovery, failures = self.now(), work.connector.recovery(), work.claimed.job.failures
        told = problem(error)
        reason = f"outcome unknown: {told['code']}"
        window = recovery.replay_window
        late = window is not None and now - intent.started_at >= window
        if late and failures >= len(self.schedule):
            asked = self.ask(
                work, Ask(kind="outcome_unknown", why="the provider has not answered for long", candidates=())
            )
            return replace(asked, error=told)
        at = next_try(intent, recovery, now=now)
        return Result(
            status=JobStatus.PENDING, outcome="outcome_unknown", error=told, burn=late, reason=reason,
            next_attempt_at=max(at, now + timedelta(seconds=self.schedule[failures])) if late else at,
            decision={"decision": "create", "why": "sent; the answer was lost"}, customer=self.seen(work),
        )  # fmt: skip

    async def contest(self, work: Work, intent: Intent, error: DuplicateRefusedError | None) -> Result:
        """Find out who holds what was refused. Provided by contesting.py."""
        raise NotImplementedError


def wait_for_equal(*, attempts: int, now: datetime, seconds: tuple[float, float] = GUARD_SECONDS) -> Result:
    """Return the result of an attempt that has to wait for the create of an equal record; it burns nothing.

    `seconds`: how long at first, and at most after many tries.
    """
    first, most = seconds
    wait = min(most, first * 2 ** min(attempts, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads who wait
    return Result(
        status=JobStatus.PENDING, outcome="waiting", next_attempt_at=now + timedelta(seconds=wait),
        reason="a create for an equal record is under way",
    )  # fmt: skip


def as_create_intent(intent: Intent, *, repeated: bool = False) -> CreateIntent:
    """Return the intent as connectors see it."""
    return CreateIntent(
        key=intent.idempotency_key, variant=intent.variant, epoch=intent.epoch, attempt=intent.attempt,
        started_at=intent.started_at, repeated=repeated,
    )  # fmt: skip


def next_look(intent: Intent, recovery: Recovery) -> datetime | None:
    """Return when to look next, or None when every look-up of the schedule was made, completely."""
    begun = intent.started_at
    looked = (intent.looked_at - begun).total_seconds() if intent.looked_at is not None else -1.0
    coming = [step for step in recovery.lookups if step > looked]
    return begun + timedelta(seconds=coming[0]) if coming else None


def confirming_look(intent: Intent, recovery: Recovery, *, at: datetime, looking: float) -> datetime | None:
    """Return when to look once more, though the look-up that began at `at` was the schedule's last; None when not.

    The last two look-ups must lie about as far apart as the schedule has them. A process that was away for long, or
    whose clock was set forth, comes after the end of the schedule without having waited for what is still hidden.
    `looking` is for how many seconds this process has been looking, by a clock that cannot be set.
    """
    gap = recovery.lookups[-1] - recovery.lookups[-2] if len(recovery.lookups) > 1 else 0.0
    apart = (at - intent.looked_at).total_seconds() if intent.looked_at is not None else 0.0
    return at + timedelta(seconds=gap) if min(apart, looking) < gap / 2 else None


def next_try(intent: Intent, recovery: Recovery, *, now: datetime) -> datetime:
    """Return when to come back after an answer was lost just now.

    Inside the replay window soon, and later each time; else at the next step of the schedule of look-ups.
    """
    elapsed = max(0.0, (now - intent.started_at).total_seconds())
    if recovery.replay_window is not None:
        return now + timedelta(seconds=min(30.0, max(2.0, elapsed)))
    coming = [step for step in recovery.lookups if step > elapsed]
    return intent.started_at + timedelta(seconds=coming[0]) if coming else now
