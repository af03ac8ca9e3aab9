"""Jobs: claims, leases, settlements."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from storage.records import (
    EVERYWHERE,
    Attempt,
    Backlog,
    Claimed,
    Job,
    JobStatus,
    NewJob,
    Page,
    Scope,
    Settlement,
)


class JobStore(Protocol):
    """Jobs: claims, leases, settlements."""

    async def claim_jobs(
        self, room: Mapping[str, int], *, owner: str, now: datetime, lease: timedelta
    ) -> Sequence[Claimed]:
        """Take due jobs, up to `room[gate]` for each gate; jobs with a lock key that is running elsewhere wait.

        Jobs of a paused or removed connection are not taken. Leases that have ended are given back first.
        """
        ...

    async def extend_leases(self, held: Mapping[str, int], *, owner: str, until: datetime) -> set[str]:
        """Keep the leases of running jobs (id → fence); return the ids that were lost to another worker."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Write all that an attempt changes, in one transaction.

        Raises LeaseLostError when another worker has the job by now; ConflictError when the record that it wants to
        link belongs to another customer, or the customer was linked to another record meanwhile; GuardBusyError when
        the record may be what an open create for an equal customer has made; RecordMovedError when what it notes, or
        calls dead, is about a record that the mapping has no more. In all cases nothing was written.
        A link makes the other jobs due that wait for a person's answer about the same: it may be known by now.
        """
        ...

    async def release_jobs(self, held: Mapping[str, int], *, owner: str, now: datetime) -> None:
        """Hand back jobs that were claimed and not begun, or whose attempt was stopped: they are due at once."""
        ...

    async def next_due(self, gates: Sequence[str], *, after: datetime) -> datetime | None:
        """Return when the next job of these gates falls due, later than `after`, or a lease ends; None for never.

        A lease that has ended by `after` is returned too: its job can be had at once. The end of a claim on deliveries
        counts as well, and the moment at which a circuit of these gates lets a job begin.
        """
        ...

    async def get_job(self, job_id: str, scope: Scope = EVERYWHERE) -> Job:
        """Return a job. Raises NotFoundError."""
        ...

    async def list_attempts(self, job_id: str, scope: Scope = EVERYWHERE) -> Sequence[Attempt]:
        """Return a job's attempts, oldest first. Raises NotFoundError when there is no such job in the scope."""
        ...

    async def list_jobs(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: JobStatus | None = None,
        connection: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        delivery_id: str | None = None,
        entity_id: str | None = None,
        error_code: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        about: Sequence[str] | None = None,
    ) -> Page[Job]:
        """Return jobs, newest first; `since` and `until` are about when they were queued.

        `about` are ids: of the job, its delivery or entity, or the subject of its delivery. A page looks through at
        most MAX_LOOKED rows: it may have fewer than `limit`, even none, and a cursor nonetheless.
        """
        ...

    async def retry_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> Job:
        """Make a job due at once and give it a whole retry schedule again. Raises NotFoundError, ConflictError."""
        ...

    async def cancel_job(self, job_id: str, scope: Scope = EVERYWHERE, *, now: datetime, reason: str) -> Job:
        """End a job that waits, has failed or is under review. Raises NotFoundError, ConflictError.

        A job with an open intent may have created a record: its mapping stays `intended`.
        """
        ...

    async def add_job(self, job: NewJob, *, now: datetime) -> None:
        """Queue a job that no delivery asked for. Raises ConflictError when there is one with this id."""
        ...

    async def backlog(self) -> Backlog:
        """Return how much waits, and since when."""
        ...
