"""What tests look up in the gateway's store, and what a person does there."""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any

from storage import Store
from storage.records import Delivery, EntityMapping, Job, MappingStatus, Review, ReviewStatus
from tests.invariants import every

NOMOD, QUICKBOOKS = "nomod-prod", "qbo-prod"
Record = dict[str, Any]


class Looking(ABC):
    """Looks into a store."""

    @property
    @abstractmethod
    def store(self) -> Store:
        """The store of a gateway that runs."""

    @abstractmethod
    async def refresh(self) -> None:
        """Have every gateway take up what has changed, and wake it."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the time by which the gateways live."""

    async def delivery(self, delivery_id: str) -> Delivery:
        """Return a delivery."""
        return await self.store.get_delivery(delivery_id)

    async def jobs(self, **where: Any) -> list[Job]:
        """Return jobs, oldest first."""
        return list(reversed(await every(self.store.list_jobs, **where)))

    async def job(self, **where: Any) -> Job:
        """Return the one job that there is."""
        found = await self.jobs(**where)
        assert len(found) == 1, found
        return found[0]

    async def outcomes(self, job_id: str) -> list[str]:
        """Return what became of each attempt of a job."""
        return [attempt.outcome for attempt in await self.store.list_attempts(job_id)]

    async def mappings(self, **where: Any) -> list[EntityMapping]:
        """Return mappings."""
        return await every(self.store.list_mappings, **where)

    async def linked(self, customer_id: str, connection: str = NOMOD) -> str | None:
        """Return the record that a customer is linked to, or None."""
        found = await self.mappings(entity_id=customer_id, connection=connection, status=MappingStatus.LINKED)
        return found[0].provider_entity_id if found else None

    async def open_review(self, **where: Any) -> Review:
        """Return the one open review."""
        found: list[Review] = await every(self.store.list_reviews, status=ReviewStatus.OPEN, **where)
        assert len(found) == 1, found
        return found[0]

    async def resolve(self, decision: str, record: str | None = None, **where: Any) -> None:
        """Decide the one open review, as a person does."""
        review = await self.open_review(**where)
        await self.store.resolve_review(
            review.review_id, decision=decision, provider_entity_id=record, by="tests", now=self.now()
        )
        await self.refresh()

    async def retry(self, job_id: str) -> None:
        """Retry a job, as a person does."""
        await self.store.retry_job(job_id, now=self.now())
        await self.refresh()
