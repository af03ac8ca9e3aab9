"""Reviews: what only a person may decide."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from storage.records import EVERYWHERE, Page, Review, ReviewStatus, Scope


class ReviewStore(Protocol):
    """Reviews: what only a person may decide."""

    async def get_review(self, review_id: str, scope: Scope = EVERYWHERE) -> Review:
        """Return a review. Raises NotFoundError."""
        ...

    async def list_reviews(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: ReviewStatus | None = None,
        connection: str | None = None,
        kind: str | None = None,
        entity_id: str | None = None,
        job_id: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        about: Sequence[str] | None = None,
    ) -> Page[Review]:
        """Return reviews, newest first; `about` are ids: of the review, its job, delivery or entity."""
        ...

    async def resolve_review(
        self,
        review_id: str,
        scope: Scope = EVERYWHERE,
        *,
        decision: str,
        provider_entity_id: str | None,
        by: str,
        now: datetime,
    ) -> Review:
        """Record a decision and make the job due, which carries it out; `ignore` cancels the job instead.

        Raises NotFoundError, and ConflictError when somebody has decided before.
        """
        ...
