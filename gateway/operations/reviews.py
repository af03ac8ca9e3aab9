"""Reviews: what only a person may decide, and the decision, checked before it is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from gateway.errors import InvoiceVoidedError, RequestInvalidError
from gateway.operations.acting import Desk
from gateway.operations.comparing import Choice, choices, differing, undo
from gateway.operations.records import Records
from gateway.operations.search import ids_for
from gateway.operations.views import Listed, View, listed
from gateway.registry import Registry
from storage.errors import ConflictError
from storage.records import EVERYWHERE, MappingKey, Review, ReviewStatus, Scope


class Decision(StrEnum):
    """What a person decides: link this record, make a new one, or do nothing."""

    ADOPT = "adopt"
    CREATE = "create"
    IGNORE = "ignore"


class CandidateView(View):
    """A record at the provider which may be the one that is looked for: a customer or an invoice."""

    provider_entity_id: str
    name: str | None
    email: str | None
    phone: str | None
    active: bool
    kind: str | None
    number: str | None = Field(default=None, description="Of an invoice: the number it is filed under.")
    total: str | None = Field(default=None, description="Of an invoice: its sum with its currency.")
    state: str | None = Field(default=None, description="Of an invoice: `open`, `paid`, `void`.")
    why: str = Field(description="Why it is a candidate, or why it was left.")
    differs: Sequence[str] = Field(description="Fields in which it differs from what the platform has.")
    created_at: str | None = Field(description="The provider's own time.")


class AskedAbout(View):
    """The billing customer, or the invoice, as the platform had it when the question was asked."""

    customer_id: str | None
    name: str | None
    email: str | None
    phone: str | None
    currency: str | None
    invoice_id: str | None = None
    number: str | None = Field(default=None, description="Of an invoice: its number.")
    total: str | None = Field(default=None, description="Of an invoice: the platform's sum with its currency.")


class ReviewView(View):
    """A question to a person, and what was decided."""

    review_id: str
    job_id: str | None
    source: str
    tenant_id: str
    environment_id: str
    connection: str | None
    entity_type: str
    entity_id: str | None
    kind: str = Field(
        description="`ambiguous`, `outcome_unknown`, `stale`, `conflict`, `inactive`, `amount_differs`, `changed`, …"
    )
    reason: str
    candidates: Sequence[CandidateView]
    customer: AskedAbout | None
    status: ReviewStatus
    decision: str | None
    provider_entity_id: str | None = Field(description="The record that was adopted.")
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    voided_at: datetime | None = Field(
        description="When the platform was seen to have voided the invoice meanwhile: none is created any more."
    )
    choices: Sequence[Choice] = Field(description="Of an open one: what can be decided, and what follows.")
    undo: str | None = Field(description="Of a resolved one: how the decision is taken back.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFilter:
    """Which reviews. An empty filter means all."""

    status: ReviewStatus | None = None
    connection: str | None = None
    kind: str | None = None
    entity_id: str | None = None
    job_id: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews(Desk):
    """The use-cases of reviews. Without a registry no provider is asked about a record."""

    registry: Registry | None = None

    async def list(
        self,
        scope: Scope = EVERYWHERE,
        chosen: ReviewFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Listed[ReviewView]:
        """Return reviews, newest first. Raises CursorInvalidError."""
        wanted = chosen or ReviewFilter()
        about = await ids_for(wanted.text, self.store, scope) if wanted.text else None
        page = await self.store.list_reviews(
            scope, limit=limit, cursor=cursor, status=wanted.status, connection=wanted.connection, kind=wanted.kind,
            entity_id=wanted.entity_id, job_id=wanted.job_id, source=wanted.source, since=wanted.since,
            until=wanted.until, about=about,
        )  # fmt: skip
        return listed(page, review_view)

    async def get(self, review_id: str, scope: Scope = EVERYWHERE) -> ReviewView:
        """Return a review. Raises NotFoundError."""
        return review_view(await self.store.get_review(review_id, scope))

    async def resolve(
        self,
        review_id: str,
        scope: Scope = EVERYWHERE,
        *,
        decision: Decision,
        provider_entity_id: str | None = None,
        actor: str,
    ) -> ReviewView:
        """Record a decision; its job carries it out at once.

        `adopt` needs the record's id, and asks the provider for it where that can be asked. Nothing is created for an
        invoice that the platform has voided, and what is adopted for one is voided. Raises NotFoundError,
        ConflictError for a review that was resolved before, RequestInvalidError, InvoiceVoidedError,
        RecordUnknownError, RecordTakenError, and ConnectorError kinds when the provider was asked and did not answer:
        nothing was decided then.
        """
        review = await self.store.get_review(review_id, scope)
        if review.status is ReviewStatus.RESOLVED:
            msg = f"it was resolved before: {review.decision}"
            raise ConflictError(msg)
        if (decision is Decision.ADOPT) != (provider_entity_id is not None):
            raise RequestInvalidError("provider_entity_id goes with the decision adopt, and only with it")
        if decision is Decision.CREATE and review.voided_at is not None:
            raise InvoiceVoidedError(f"the platform has voided invoice {review.entity_id} since the question was asked")
        if provider_entity_id is not None:
            await self._check(review, provider_entity_id)
        resolved = await self.store.resolve_review(
            review_id, scope, decision=decision, provider_entity_id=provider_entity_id, by=actor, now=self.now()
        )
        home = Scope(tenant_id=review.tenant_id, environment_id=review.environment_id)
        detail = {"decision": str(decision), "record": provider_entity_id, "customer": review.entity_id}
        await self.note(actor, "review.resolved", review_id, home, detail)
        self.wake()
        return review_view(resolved)

    async def _check(self, review: Review, provider_entity_id: str) -> None:
        """Raise what speaks against adopting the record: it is somebody else's, or not there."""
        if review.connection is None:
            return
        records = Records(self.store, self.registry)
        key = MappingKey(
            source=review.source, entity_type=review.entity_type, entity_id=review.entity_id or "",
            connection=review.connection,
        )  # fmt: skip
        await records.refuse_taken(key, provider_entity_id)
        await records.verify(review.connection, provider_entity_id, entity_type=review.entity_type)


def review_view(review: Review) -> ReviewView:
    """Return a review as it is shown."""
    own = ReviewView.model_fields.keys() - {"choices", "undo"}
    shown: dict[str, Any] = {name: getattr(review, name) for name in own}
    found = review.candidates if isinstance(review.candidates, list) else []
    asked = review.customer if isinstance(review.customer, dict) else None
    shown["candidates"] = [_candidate(each, asked or {}) for each in found if isinstance(each, dict)]
    shown["customer"] = None if asked is None else AskedAbout(**{n: asked.get(n) for n in AskedAbout.model_fields})
    shown["choices"] = choices(review) if review.status is ReviewStatus.OPEN else []
    shown["undo"] = undo(review)
    return ReviewView(**shown)


def _candidate(found: dict[str, Any], asked: dict[str, Any]) -> CandidateView:
    shown = {name: found.get(name) for name in CandidateView.model_fields}
    told: dict[str, Any] = {
        **shown, "provider_entity_id": shown["provider_entity_id"] or "", "active": shown["active"] is not False,
        "why": shown["why"] or "", "differs": differing(asked, found),
    }  # fmt: skip
    return CandidateView(**told)
