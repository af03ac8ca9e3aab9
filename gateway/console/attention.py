"""What needs a person, counted: reviews, dead letters, paused connections."""

from dataclasses import dataclass

from storage import Store
from storage.records import JobStatus, ReviewStatus, Scope

MOST = 100
"""Counting stops here: nobody reads the difference between 100 and 101."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """How much needs a person. `more` says that a count stopped at its bound."""

    reviews: int
    dead_letters: int
    paused: int
    more: bool = False

    @property
    def total(self) -> int:
        """Return all together."""
        return self.reviews + self.dead_letters + self.paused

    @property
    def shown(self) -> str:
        """Return the number for people."""
        return f"{self.total}{'+' if self.more else ''}"

    @property
    def sentence(self) -> str:
        """Return the one sentence of the overview."""
        if not self.total:
            return "All quiet."
        return "1 needs you." if self.total == 1 and not self.more else f"{self.shown} need you."

    @property
    def parts(self) -> list[str]:
        """Return what it is made of, in words."""
        counted = (
            (self.reviews, "decision to take", "decisions to take"),
            (self.dead_letters, "dead letter", "dead letters"),
            (self.paused, "paused connection", "paused connections"),
        )
        return [
            f"{count}{'+' if count >= MOST else ''} {one if count == 1 else many}"
            for count, one, many in counted
            if count
        ]


async def look_for_needs(store: Store, scope: Scope) -> Needs:
    """Return what needs a person in a tenant and environment."""
    reviews = await store.list_reviews(scope, status=ReviewStatus.OPEN, limit=MOST)
    failed = await store.list_jobs(scope, status=JobStatus.FAILED, limit=MOST)
    paused = sum(row.status == "paused" for row in await store.list_connections(scope))
    more = reviews.next_cursor is not None or failed.next_cursor is not None
    return Needs(reviews=len(reviews.items), dead_letters=len(failed.items), paused=paused, more=more)
