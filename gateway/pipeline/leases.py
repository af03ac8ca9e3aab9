"""The leases of one process: until when each job is surely its own, and the sign of life that keeps it so."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from storage import Store
from storage.records import Claimed


class Leases:
    """What this process holds, by its own knowledge: never longer than the store's."""

    def __init__(self, store: Store, *, owner: str, now: Callable[[], datetime], lease: timedelta) -> None:
        self._store, self._owner, self._now, self._lease = store, owner, now, lease
        self._until: dict[tuple[str, int], datetime] = {}

    def take(self, claimed: Iterable[Claimed], *, at: datetime) -> None:
        """Note jobs that were claimed at `at`."""
        self._until.update(((one.job.job_id, one.job.fence), at + self._lease) for one in claimed)

    def drop(self, claimed: Claimed) -> None:
        """Forget a job whose attempt has ended."""
        self._until.pop((claimed.job.job_id, claimed.job.fence), None)

    def holds(self, claimed: Claimed) -> bool:
        """Whether nobody else can have taken the job over yet.

        Asked right before each write to a platform or provider: a process that was stopped for longer than its lease
        must not go on as if nothing had happened.
        """
        until = self._until.get((claimed.job.job_id, claimed.job.fence))
        return until is not None and self._now() < until

    async def keep(self, claimed: Iterable[Claimed]) -> set[tuple[str, int]]:
        """Say that these jobs are alive; return job and fence of those that another claim has taken over.

        That claim may be one of this process, which is why the fence is told. Raises StorageError kinds.
        """
        held = {one.job.job_id: one.job.fence for one in claimed}
        until = self._now() + self._lease
        gone = await self._store.extend_leases(held, owner=self._owner, until=until) if held else set()
        lost = {(job_id, held[job_id]) for job_id in gone}
        for key in held.items():
            if key in lost:
                self._until.pop(key, None)
            elif key in self._until:
                self._until[key] = until
        return lost
