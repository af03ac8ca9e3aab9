"""A delivery's status, worked out from the jobs of its last dispatch. Pure, and the same in every backend."""

from collections.abc import Sequence

from storage.records import DeliveryStatus, JobStatus
from storage.rows import Row

_UNDER_WAY = (JobStatus.PENDING, JobStatus.RUNNING)


def rolled_up(jobs: Sequence[Row]) -> tuple[DeliveryStatus, str | None]:
    """Return status and reason for rows of status, outcome and reason, oldest first; there must be at least one.

    What needs a person comes before what is done: failed, then under review, then processed, then ignored.
    """
    states = {row["status"] for row in jobs}
    if not states.isdisjoint(_UNDER_WAY):
        return DeliveryStatus.PENDING, _told(jobs)
    if JobStatus.FAILED in states:
        return DeliveryStatus.FAILED, _told(jobs, JobStatus.FAILED)
    if JobStatus.NEEDS_REVIEW in states:
        return DeliveryStatus.NEEDS_REVIEW, _told(jobs, JobStatus.NEEDS_REVIEW)
    if any(row["outcome"] == "done" for row in jobs):
        return DeliveryStatus.PROCESSED, None
    return DeliveryStatus.IGNORED, _told(jobs)


def _told(jobs: Sequence[Row], status: JobStatus | None = None) -> str | None:
    """Return the first reason, of the jobs with this status where one of those says it."""
    reasons = [row["reason"] for row in jobs if row["reason"] and (status is None or row["status"] == status)]
    return reasons[0] if reasons else (None if status is None else _told(jobs))
