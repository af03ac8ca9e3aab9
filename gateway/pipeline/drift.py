"""Drift: linked records that are gone, inactive, renamed or doubled at the provider, found by looking.

A scan reads every linked record of a connection by its id, within the connection's budget. What is gone or inactive
becomes a `check_mapping` job under the customer's lock, which looks again and then asks a person; what was renamed or
is there twice is reported. Nothing is changed by the scan itself.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

import orjson
import structlog

from connectors.base import Connector
from connectors.errors import ConnectorError, StaleRecordError
from connectors.models import Candidate, Inactive
from gateway.pipeline.dispatch import CHECK, check_job
from gateway.pipeline.ensure import EnsureCustomer
from gateway.pipeline.matching import normal_email, normal_name
from gateway.pipeline.settling import Result
from gateway.pipeline.work import Work
from gateway.registry import LiveConnection
from gateway.sources.base import Event, Trigger
from storage import Store
from storage.records import EntityMapping, Intent, JobStatus, MappingStatus, Scope, SeenCustomer

log = structlog.get_logger("ledgergate.drift")

PAGE = 100
REPORT = "drift_report"
MOST_FINDINGS = 500
"""Findings that one report names; its counts are of all."""
LATEST = 5
"""How many deliveries about a customer are looked at for what is known of them."""


class Drift(StrEnum):
    """In what a linked record differs from what the link says."""

    GONE = "gone"
    """Deleted, or merged into another: the provider knows no record of this id any more."""
    INACTIVE = "inactive"
    RENAMED = "renamed"
    """It has another name or e-mail address than the billing customer."""
    DOUBLED = "doubled"
    """Another linked record has the same e-mail address: one person, two billing customers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One finding. It holds ids only; names and addresses are looked up where they are shown."""

    kind: Drift
    source: str
    entity_id: str
    record: str
    fields: tuple[str, ...] = ()
    """Of a renamed record: `name`, `email`."""
    other: str | None = None
    """Of a doubled record: the one that was seen before."""


@dataclass(slots=True, kw_only=True)
class DriftReport:
    """What one scan of a connection has found."""

    connection: str
    begun_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    """The code of what has ended the scan before all was seen."""
    checked: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Found] = field(default_factory=list)

    def note(self, finding: Found) -> None:
        """Count a finding, and keep it unless there are too many."""
        self.counts[str(finding.kind)] += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def kept(self) -> str:
        """Return the report as the store keeps it."""
        return orjson.dumps({name: getattr(self, name) for name in self.__dataclass_fields__}).decode()


PageDone = Callable[[], Awaitable[object]]


async def _nothing() -> None:
    """Nobody waits for a page."""


class DriftScan:
    """Looks at every linked record of a connection."""

    def __init__(self, *, store: Store, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now

    async def run(self, live: LiveConnection, *, page_done: PageDone = _nothing) -> DriftReport:
        """Scan one connection and keep the report, also of a scan that was cut.

        `page_done` is awaited now and then: a scan may take hours. Raises ConnectorError kinds when the provider fails.
        """
        report = DriftReport(connection=live.row.name, begun_at=self._now())
        try:
            await self._all(live.usable(), report, page_done)
        except ConnectorError as error:
            report.error = error.code
            raise
        finally:
            report.ended_at = self._now()
            owner = f"connection:{live.row.name}"
            await self._store.put_fact(owner, REPORT, report.kept(), now=report.ended_at)
            log.info(
                "drift_scanned", connection=live.row.name, checked=report.checked, code=report.error,
                **{str(kind): report.counts[kind] for kind in Drift},
            )  # fmt: skip
        return report

    async def _all(self, connector: Connector[Any], report: DriftReport, page_done: PageDone) -> None:
        cursor: str | None = None
        seen: dict[str, str] = {}
        while reads_by_id(connector):
            page = await self._store.list_mappings(
                connection=report.connection, entity_type="customer", status=MappingStatus.LINKED, limit=PAGE,
                cursor=cursor,
            )  # fmt: skip
            for mapping in page.items:
                await self._look(connector, mapping, report, seen)
            await page_done()
            cursor = page.next_cursor
            if cursor is None:
                break

    async def _look(
        self, connector: Connector[Any], mapping: EntityMapping, report: DriftReport, seen: dict[str, str]
    ) -> None:
        """Look at one record. What is gone or inactive goes before a person; the rest is told."""
        record = mapping.provider_entity_id or ""
        about = partial(Found, source=mapping.source, entity_id=mapping.entity_id, record=record)
        found = await connector.get_customer(record)
        report.checked += 1
        if found is None or not found.active:
            report.note(about(kind=Drift.GONE if found is None else Drift.INACTIVE))
            now = self._now()
            await self._store.add_job(check_job(mapping, now=now), now=now)
            return
        scope = Scope(tenant_id=mapping.tenant_id, environment_id=mapping.environment_id)
        known = [each for each in await self._store.find_customers(mapping.entity_id, scope) if _same(each, mapping)]
        if known and (fields := differing(known[0], found)):
            report.note(about(kind=Drift.RENAMED, fields=fields))
        for email in found.emails:
            other = seen.setdefault(normal_email(email), record)
            if other != record:
                report.note(about(kind=Drift.DOUBLED, other=other))
                break


def differing(customer: SeenCustomer, record: Candidate) -> tuple[str, ...]:
    """Return which of `name` and `email` differ; what one side lacks does not.

    A name that only begins with the other's is no other one: where a name was taken, the gateway has added to it.
    """
    fields = []
    names = normal_name(customer.name), normal_name(record.name)
    if all(names) and not names[0].startswith(names[1]) and not names[1].startswith(names[0]):
        fields.append("name")
    emails = {normal_email(email) for email in record.emails}
    if customer.email and emails and normal_email(customer.email) not in emails:
        fields.append("email")
    return tuple(fields)


def _same(customer: SeenCustomer, mapping: EntityMapping) -> bool:
    return customer.source == mapping.source


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
                wakes=mapping.key,
            )  # fmt: skip
        return Result(
            status=JobStatus.SUCCEEDED, outcome="done", job_outcome="done",
            decision={"decision": "linked", "record": record},
        )  # fmt: skip

    async def begin(self, work: Work, *, replaces: Intent | None) -> Result:
        """Carry out a decision. To adopt takes nothing of the customer, which nobody may have kept any more."""
        if work.decided is not None and work.decided.decision == "adopt" and work.source.reads_delivery:
            return await self._by_decision(work, None, replaces)
        return await super().begin(work, replaces=replaces)

    async def event_of(self, work: Work) -> Event:
        """Return an event that stands for a person's question: there is no invoice behind it.

        Where only deliveries tell of a customer, it holds what the last one told that is kept.
        """
        job = work.claimed.job
        told = await self._last_told(work) if work.source.reads_delivery else None
        data = told.data if told is not None else {}
        return Event(type=CHECK, trigger=Trigger.CHECK, customer_id=job.entity_id, data=data)

    async def _last_told(self, work: Work) -> Event | None:
        source, customer = work.claimed.job.source, work.claimed.job.entity_id or ""
        for listed in (await self.store.list_deliveries(source=source, about=[customer], limit=LATEST)).items:
            delivery = await self.store.get_delivery(listed.delivery_id)
            event = work.source.parse(delivery.body) if delivery.body is not None else None
            if event is not None and event.customer_id == customer and event.data:
                return event
        return None


def reads_by_id(connector: Connector[Any]) -> bool:
    """Whether the connector can look up a record by its id at all."""
    return type(connector).get_customer is not Connector.get_customer
