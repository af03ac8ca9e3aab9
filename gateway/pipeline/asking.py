"""Asking a person once: an event that comes again must not put the same question a second time."""

from gateway.pipeline.entities import ignored
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from storage import Store
from storage.records import ReviewStatus


async def unless_asked(store: Store, work: Work, result: Result) -> Result:
    """Return the result, or that there is nothing to do where the very question that it puts is open already.

    Only for questions on whose answer nothing else of this job waits.
    """
    job, review = work.claimed.job, result.review
    if review is None:
        return result
    page = await store.list_reviews(
        status=ReviewStatus.OPEN, kind=review.kind, entity_id=job.entity_id, connection=job.connection,
        source=job.source, limit=200,
    )  # fmt: skip
    others = [each for each in page.items if each.entity_type == job.entity_type and each.job_id != job.job_id]
    asked = any(each.reason == review.reason for each in others)
    return ignored("a person is asked just this already, for another event") if asked else result
