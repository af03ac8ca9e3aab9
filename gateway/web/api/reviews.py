"""Reviews over HTTP."""

from pydantic import Field

from connectors.errors import ConnectorError
from gateway.access import Role
from gateway.errors import RecordTakenError, RecordUnknownError
from gateway.operations.reviews import Decision, ReviewFilter, ReviewView
from gateway.operations.values import EntityId, Name, RecordId, Text
from gateway.operations.views import Listed
from gateway.web.api.endpoint import Call, endpoint
from gateway.web.api.lists import Given, TimedQuery
from storage.errors import ConflictError, CursorInvalidError, NotFoundError
from storage.records import ReviewStatus


class ReviewsQuery(TimedQuery):
    """Which reviews."""

    status: ReviewStatus | None = Field(None, description="`open` waits for a person.")
    connection: Name | None = Field(None, description="The connection that it is about.")
    kind: Text | None = Field(None, description="`ambiguous`, `outcome_unknown`, `stale`, …")
    entity_id: EntityId | None = Field(None, description="The platform's id of what it is about.")
    job_id: EntityId | None = Field(None, description="The job that asks.")
    source: Name | None = Field(None, description="The source of its delivery.")


class Resolve(Given):
    """What a person has decided."""

    decision: Decision
    provider_entity_id: RecordId | None = Field(None, description="The record to adopt; only with `adopt`.")


@endpoint("GET", "/reviews", role=Role.VIEWER, problems=(CursorInvalidError,))
async def list_reviews(call: Call, *, query: ReviewsQuery) -> Listed[ReviewView]:
    """List reviews, newest first."""
    chosen = ReviewFilter(
        status=query.status, connection=query.connection, kind=query.kind, entity_id=query.entity_id,
        job_id=query.job_id, source=query.source, since=query.since, until=query.until, text=query.text,
    )  # fmt: skip
    return await call.operations.reviews.list(call.scope, chosen, limit=query.limit, cursor=query.cursor)


@endpoint("GET", "/reviews/{review_id}", role=Role.VIEWER, problems=(NotFoundError,))
async def get_review(call: Call, *, review_id: EntityId) -> ReviewView:
    """Show a review with its candidates."""
    return await call.operations.reviews.get(review_id, call.scope)


@endpoint(
    "POST", "/reviews/{review_id}/resolve", role=Role.OPERATOR,
    problems=(NotFoundError, ConflictError, RecordTakenError, RecordUnknownError, ConnectorError),
)  # fmt: skip
async def resolve_review(call: Call, *, review_id: EntityId, body: Resolve) -> ReviewView:
    """Decide a review: adopt a record, create one, or ignore the event.

    The decision is carried out at once, and can be made once. A record to adopt is asked for at the provider, where the
    connection is active and its connector can look records up by id.
    """
    return await call.operations.reviews.resolve(
        review_id, call.scope, decision=body.decision, provider_entity_id=body.provider_entity_id, actor=call.actor
    )


ENDPOINTS = (list_reviews, get_review, resolve_review)
