"""Writing the end of an attempt: also when the store is in trouble, or has changed since the attempt decided."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from connectors.http import Exchange
from gateway.errors import RecordTakenError
from gateway.pipeline.creating import wait_for_equal
from gateway.pipeline.settling import Result, settlement
from gateway.pipeline.work import Work
from storage import Store
from storage.errors import ConflictError, GuardBusyError, RecordMovedError, StoreUnavailableError, UnstorableError
from storage.records import JobStatus

log = structlog.get_logger("ledgergate.worker")

AGAIN_SECONDS = 0.25
CHOSEN = frozenset({"adopted_email", "adopted_name", "adopted_inactive", "adopted_marker", "hint"})
"""Origins of links that the gateway has chosen: where somebody was quicker, it looks again and chooses anew."""


class Ending:
    """Settles attempts."""

    def __init__(
        self,
        store: Store,
        *,
        owner: str,
        now: Callable[[], datetime],
        lease: timedelta,
        failed: Callable[[Work, BaseException], Result],
    ) -> None:
        self._store, self._owner, self._now, self._lease, self._failed = store, owner, now, lease, failed

    async def write(self, work: Work, result: Result, *, started: datetime, exchanges: Sequence[Exchange]) -> Result:
        """Settle, and return the result that was written. Raises LeaseLostError, and StorageError when nothing helps.

        The result may hold the id of a record that was just created, so a store in trouble is waited for.
        """
        finished, mended = self._now(), False
        while True:
            written = settlement(
                work.claimed, result, owner=self._owner, started_at=started, finished_at=finished, exchanges=exchanges,
                voided_at=work.voided_at,
            )  # fmt: skip
            try:
                await self._store.settle(written)
            except GuardBusyError:
                result = wait_for_equal(attempts=work.claimed.job.attempts, now=self._now())
            except RecordMovedError:
                result = _from_the_beginning(self._now())
            except ConflictError as error:
                result = self._taken(work, result, error)
            except StoreUnavailableError:
                if self._now() - finished > self._lease:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)
            except UnstorableError as error:
                if mended:
                    raise
                mended, result = True, self._failed(work, error)
            else:
                return result

    def _taken(self, work: Work, result: Result, error: ConflictError) -> Result:
        """The record has become another customer's, or the customer another record's, while this attempt ran."""
        if result.link is not None and result.link.origin in CHOSEN:
            return wait_for_equal(attempts=work.claimed.job.attempts, now=self._now())
        made = result.link.provider_entity_id if result.link is not None and result.link.origin == "created" else None
        told = f"{error.detail}; record {made} was created and is linked to nobody" if made else error.detail
        return self._failed(work, RecordTakenError(told))


def _from_the_beginning(now: datetime) -> Result:
    """Return the result of an attempt whose record is linked no more: the next one begins with what is there now."""
    return Result(
        status=JobStatus.PENDING, outcome="waiting", reason="the record was linked elsewhere, or unlinked, meanwhile",
        next_attempt_at=now,
    )  # fmt: skip
