"""What an attempt tells: one log line that holds every fact, the metrics, and the state of the connection's circuit."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from connectors.errors import EdgeBlockedError, ProviderError, UnexpectedResponseError, UnreachableError
from connectors.http import Exchange
from gateway.metrics import Metrics
from gateway.pipeline.dispatch import WRITE_BACK
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.registry import Registry
from gateway.tracing import Tracing
from storage.errors import StorageError

log = structlog.get_logger("ledgergate.worker")

PROVIDER_TROUBLE = frozenset(
    kind.code for kind in (ProviderError, UnexpectedResponseError, UnreachableError, EdgeBlockedError)
)
PROVIDER_ANSWERED = frozenset({"created", "adopted", "review", "looking"})


class Telling:
    """Tells of attempts that have ended."""

    def __init__(self, registry: Registry, metrics: Metrics, tracing: Tracing | None = None) -> None:
        self._registry, self._metrics, self._tracing = registry, metrics, tracing

    async def attempt(
        self, work: Work, result: Result, *, started: datetime, finished: datetime, exchanges: Sequence[Exchange]
    ) -> None:
        """Write the line, count, and trace."""
        job = work.claimed.job
        code = str(result.error.get("code")) if result.error else ""
        seconds = (finished - started).total_seconds()
        self._metrics.attempted(
            kind=job.kind, source=job.source, connection=job.connection, outcome=result.outcome, code=code or None,
            seconds=seconds, exchanges=exchanges,
        )  # fmt: skip
        if self._tracing is not None:
            self._tracing.attempted(
                job, started=started, finished=finished, outcome=result.outcome, code=code, exchanges=exchanges
            )
        await self._watch(job.connection, job.kind, result)
        if result.pause is not None:
            log.error("connection_paused", connection=result.pause[0], reason=result.pause[1])
        log.info(
            "attempt", job_id=job.job_id, delivery_id=job.delivery_id, attempt=job.attempts + 1, kind=job.kind,
            source=job.source, connection=job.connection, entity_type=job.entity_type, entity_id=job.entity_id,
            subject=job.subject, outcome=result.outcome, status=str(result.status), code=code or None,
            reason=result.reason, milliseconds=round(seconds * 1000, 1), requests=len(exchanges),
            record=result.link.provider_entity_id if result.link else None,
            origin=result.link.origin if result.link else None,
            next_attempt_at=result.next_attempt_at.isoformat() if result.next_attempt_at else None,
        )  # fmt: skip

    async def _watch(self, connection: str | None, kind: str, result: Result) -> None:
        """Open or close the connection's circuit; one log line down, one up."""
        live = self._registry.connections.get(connection or "")
        if live is None or kind == WRITE_BACK or connection is None:
            return
        code = str(result.error.get("code")) if result.error else ""
        try:
            if code in PROVIDER_TROUBLE:
                if await live.breaker.failed():
                    log.error("provider_down", connection=connection, code=code)
            elif result.outcome not in PROVIDER_ANSWERED:
                await live.breaker.undecided()
            elif await live.breaker.succeeded():
                log.info("provider_up", connection=connection)
        except StorageError as error:  # the next attempt says the same
            log.warning("circuit_not_told", connection=connection, code=error.code)
