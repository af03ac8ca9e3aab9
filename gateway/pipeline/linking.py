"""How an ensure ends well, or before a person: link, adopt, ask."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from connectors.invoices import InvoiceCandidate, InvoiceStatus
from connectors.links import LinkCandidate
from connectors.money import shown as money
from gateway.pipeline.dispatch import WRITE_BACK, lock_key
from gateway.pipeline.entities import Entity
from gateway.pipeline.matching import Adopt, Ask, Judged
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Stage, Work
from storage.ids import new_id
from storage.records import JobStatus, Link, NewJob, NewReview, SeenCustomer

OPERATOR = "operator"
"""Origin of a link that a person has made."""
MATCHED_BY = {"adopted_email": "e:", "adopted_name": "n:", "adopted_number": "i:"}
"""Origin of a link → the kind of guard that its record shares with a create which may have made it."""


class Linking(Stage):
    """What all ways to a linked mapping share."""

    entity_kind: ClassVar[type[Entity[Any, Any]]]
    """What kind of thing this stage makes exist."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.entity: Entity[Any, Any] = self.entity_kind(store=self.store, now=self.now)

    async def taken(self, work: Work, records: Sequence[str]) -> Mapping[str, str]:
        """Return which of these records are linked to other customers, and to whom."""
        job = work.claimed.job
        holders = await self.store.holders(job.connection or "", job.entity_type, records)
        return {record: f"{key.source}:{key.entity_id}" for record, key in holders.items() if key != work.mapping_key}

    async def adopt(
        self, work: Work, decision: Adopt, *, subject: Any, searched_since: datetime, intent_id: str | None = None
    ) -> Result:
        """Link an existing record; an inactive one is made active first, where the setting asks for it.

        A record that was matched by e-mail or name may be what a create for an equal customer has just made: linking
        waits while there is such a create, and when one has ended since `searched_since`, when the look-up began.
        """
        record = decision.candidate.provider_entity_id
        if decision.reactivate:
            await self.entity.reactivate(work, record)
        kind = MATCHED_BY.get(decision.origin)
        held = tuple(
            guard for guard in self.entity.guards(work, subject) if kind is not None and guard.startswith(kind)
        )
        return self.link(
            work, record=record, origin=decision.origin, why=decision.why, others=decision.others, intent_id=intent_id,
            held=held, searched_since=searched_since, details=self.entity.details(decision.candidate),
        )  # fmt: skip

    def link(
        self,
        work: Work,
        *,
        record: str,
        origin: str,
        why: str,
        others: Sequence[Judged] = (),
        warnings: Sequence[str] = (),
        details: Mapping[str, Any] | None = None,
        intent_id: str | None = None,
        held: tuple[str, ...] = (),
        searched_since: datetime | None = None,
    ) -> Result:
        """Return the result that links the mapping, closes its intent and queues the write-back: one transaction."""
        job, connector = work.claimed.job, work.connector
        intent = work.claimed.intent
        closing = intent_id or (intent.intent_id if intent is not None else None)
        made = Link(
            key=work.mapping_key, connector=connector.name, tenant_id=job.tenant_id,
            environment_id=job.environment_id, provider_entity_id=record, origin=origin, why=why,
            shared=self.entity.shared(work),
            details={**(details or {}), **({"warnings": list(warnings)} if warnings else {})} or None,
            guards=held, searched_since=searched_since if held else None,
        )  # fmt: skip
        return Result(
            status=JobStatus.SUCCEEDED, outcome="created" if origin == "created" else "adopted", job_outcome="done",
            decision={
                "decision": "link", "record": record, "origin": origin, "why": why, "others": _told(others),
                **({"warnings": list(warnings)} if warnings else {}),
            },
            link=made, close_intent=closing, intent_result="created" if origin == "created" else "adopted",
            follow_ups=(*self.write_back_jobs(work), *self.entity.chain(work)), customer=self.seen(work),
        )  # fmt: skip

    def ask(
        self, work: Work, decision: Ask, *, close_intent: str | None = None, intent_result: str = "refused"
    ) -> Result:
        """Put the decision before a person, with the candidates side by side."""
        review = NewReview(
            review_id=new_id("rev", self.now()), kind=decision.kind, reason=decision.why,
            candidates=[_candidate(judged) for judged in decision.candidates],
            customer=work.asked,
        )  # fmt: skip
        return Result(
            status=JobStatus.NEEDS_REVIEW, outcome="review", reason=f"{decision.kind}: {decision.why}", review=review,
            decision={"decision": "ask", "why": decision.why, "others": _told(decision.candidates)},
            close_intent=close_intent, intent_result=intent_result, customer=self.seen(work),
        )  # fmt: skip

    def write_back_jobs(self, work: Work) -> tuple[NewJob, ...]:
        """Return the job that tells the platform, where it can be told."""
        if not work.source.writes_back or not self.entity.written_back:
            return ()
        job, now = work.claimed.job, self.now()
        return (
            NewJob(
                job_id=new_id("job", now), kind=WRITE_BACK, source=job.source, tenant_id=job.tenant_id,
                environment_id=job.environment_id, gate=f"source:{job.source}",
                # One customer's metadata is written by one job at a time, for all connections: a PUT replaces it whole.
                lock_key=lock_key(WRITE_BACK, job.source, job.entity_id or "", ""),
                delivery_id=job.delivery_id, connection=job.connection, entity_type=job.entity_type,
                entity_id=job.entity_id, subject=job.subject, due_at=now,
            ),
        )  # fmt: skip

    def seen(self, work: Work) -> SeenCustomer | None:
        """Return what lists know of the customer from now on."""
        return work.seen


def _candidate(judged: Judged) -> dict[str, Any]:
    """Return a candidate as a review shows it."""
    match judged.candidate:
        case InvoiceCandidate() as found:
            facts: dict[str, Any] = {
                "name": f"Invoice {found.number}", "number": found.number, "total": money(found.total, found.currency),
                "active": found.status is not InvoiceStatus.VOID, "kind": "invoice", "state": found.status,
            }  # fmt: skip
        case LinkCandidate() as found:
            facts = {
                "name": "Payment link", "total": money(found.amount, found.currency), "active": found.active,
                "kind": "payment_link", "state": "paid" if found.used else None,
            }  # fmt: skip
        case found:
            facts = {
                "name": found.name, "email": ", ".join(found.emails) or None, "phone": found.phone or None,
                "active": found.active, "kind": found.kind,
            }  # fmt: skip
    created_at = judged.candidate.created_at
    return {
        "provider_entity_id": judged.candidate.provider_entity_id, **facts, "why": judged.why,
        "created_at": created_at.isoformat() if created_at else None,
    }  # fmt: skip


def _told(judged: Sequence[Judged]) -> list[dict[str, str]]:
    """Return what is kept with the attempt: ids and reasons, no personal data."""
    return [{"record": one.candidate.provider_entity_id, "why": one.why} for one in judged[:20]]
