"""Taking deliveries out of the inbox: claimed, dispatched, settled; one that cannot be stored holds up no other."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from gateway.pipeline.dispatch import dispatch
from gateway.registry import Registry
from gateway.tracing import Tracing
from storage import Store
from storage.errors import StorageError, StoreUnavailableError
from storage.records import DeliveryStatus, Dispatched

log = structlog.get_logger("ledgergate.dispatch")


class Intake:
    """Dispatches what has arrived."""

    def __init__(
        self, store: Store, registry: Registry, *, now: Callable[[], datetime], lease: timedelta,
        tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self._store, self._registry, self._now, self._lease = store, registry, now, lease
        self._tracing = tracing

    async def turn(self, most: int) -> bool:
        """Dispatch what waits, at most so many; return whether there was any. Raises StoreUnavailableError."""
        deliveries = await self._store.claim_deliveries(now=self._now(), lease=self._lease, limit=most)
        if not deliveries:
            return False
        if any(delivery.source not in self._registry.sources for delivery in deliveries):
            await self._registry.refresh()  # another process has taken in what this one has not heard of yet
        started = self._now()
        results = dispatch(deliveries, self._registry, now=started)
        try:
            await self._store.settle_dispatch(results, now=self._now())
        except StoreUnavailableError:
            raise
        except StorageError:
            await self._settle_each(results)
        if self._tracing is not None:
            self._tracing.dispatched(results, started=started, finished=self._now())
        return True

    async def _settle_each(self, results: Sequence[Dispatched]) -> None:
        """Settle one by one, so that the delivery which cannot be settled is the only one that fails."""
        for result in results:
            try:
                await self._store.settle_dispatch([result], now=self._now())
            except StoreUnavailableError:
                raise
            except StorageError as error:
                log.exception("dispatch_not_settled", delivery_id=result.delivery_id, code=error.code)
                failed = Dispatched(
                    delivery_id=result.delivery_id, event_type=None, status=DeliveryStatus.FAILED,
                    reason=f"{error.code}: {error.title}",
                )  # fmt: skip
                await self._store.settle_dispatch([failed], now=self._now())
