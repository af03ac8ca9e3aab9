"""Drift: linked records that are gone, merged or inactive at the provider, found by looking, settled by a person.

A scan reads every linked record of a connection by its id, within the connection's budget. What looks wrong becomes a
`check_mapping` job under the customer's lock, which looks again and then asks; nothing is changed by the scan itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import structlog

from connectors.base import Connector
from connectors.errors import StaleRecordError
from connectors.models import Inactive
from gateway.pipeline.dispatch import CHECK, check_job
from gateway.pipeline.ensure import EnsureCustomer
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.registry import LiveConnection
from gateway.sources.base import Event, Trigger
from storage import Store
from storage.records import EntityMapping, JobStatus, MappingStatus

log = structlog.get_logger("ledgergate.drift")

PAGE = 100
REPORT = "drift_report"


@dataclass(slots=True, kw_only=True)
class DriftReport:
    """What one scan of a connection has found."""

    connection: str
    checked: int = 0
    gone: int = 0
    inactive: int = 0


class DriftScan:
    """Looks at every linked record of a connection."""

    def __init__(self, *, store: Store, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now

    async def run(self, live: LiveConnection) -> DriftReport:
        """Scan one connection and keep the report. Raises ConnectorError kinds when the provider fails."""
        report, connector, cursor = DriftReport(connection=live.row.name), live.usable(), None
        while reads_by_id(connector):
            page = await self._store.list_mappings(
                connection=live.row.name, entity_type="customer", status=MappingStatus.LINKED, limit=PAGE, cursor=cursor
            )
            for mapping in page.items:
                await self._look(connector, mapping, report)
            cursor = page.next_cursor
            if cursor is None:
                break
        kept = {
            "at": self._now().isoformat(),
            "checked": report.checked,
            "gone": report.gone,
            "inactive": report.inactive,
        }
        await self._store.put_fact(f"connection:{live.row.name}", REPORT, orjson.dumps(kept).decode(), now=self._now())
        log.info("drift_scanned", connection=live.row.name, checked=report.checked, gone=report.gone,
                 inactive=report.inactive)  # fmt: skip
        return report

    async def _look(self, connector: Connector[Any], mapping: EntityMapping, report: DriftReport) -> None:
        found = await connector.get_customer(mapping.provider_entity_id or "")
        report.checked += 1
        if found is not None and found.active:
            return
        report.gone += found is None
        report.inactive += found is not None
        now = self._now()
        await self._store.add_job(check_job(mapping, now=now), now=now)


class CheckMapping(EnsureCustomer):
    """The stage `check_mapping`: looks at one linked record, and carries out what a person then decides."""

    async def __call__(self, work: Work) -> Result:
        """Run one attempt. Raises StaleRecordError for a record that is gone, which becomes a review."""
        mapping = work.claimed.mapping
        if work.claimed.intent is not None or work.decision is not None:
            return await super().__call__(work)
        if mapping is None or mapping.status is not MappingStatus.LINKED or mapping.provider_entity_id is None:
            return Result(
                status=JobStatus.SUCCEEDED, outcome="ignored", job_outcome="ignored",
                reason="the mapping is no longer linked",
            )  # fmt: skip
        connector, record = work.connector, mapping.provider_entity_id
        found = await connector.get_customer(record)
        if found is None:
            msg = f"record {record} is gone: deleted or merged"
            raise StaleRecordError(msg)
        if not found.active:
            if connector.match_policy().inactive is not Inactive.REACTIVATE:
                msg = f"record {record} was made inactive"
                raise StaleRecordError(msg)
            await connector.reactivate_customer(record)
            return Result(
                status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
                decision={"decision": "reactivated", "record": record, "why": "the setting asks for it"},
            )  # fmt: skip
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
            decision={"decision": "linked", "record": record},
        )  # fmt: skip

    async def event_of(self, work: Work) -> Event:
        """Return an event that stands for a person's question: there is no invoice behind it."""
        job = work.claimed.job
        return Event(type=CHECK, trigger=Trigger.CHECK, customer_id=job.entity_id)


def reads_by_id(connector: Connector[Any]) -> bool:
    """Whether the connector can look up a record by its id at all."""
    return type(connector).get_customer is not Connector.get_customer
