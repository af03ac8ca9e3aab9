"""One worker of the kit: the real stage, store, matching and policy, with a clock that jumps instead of waiting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from connectors.base import Connector, Host, Limiter
from connectors.errors import Action, ConnectorError
from connectors.http import EXCHANGES, Exchange
from connectors.invoices import Invoice
from connectors.links import PaymentLinkRequest
from connectors.models import Customer
from connectors.testing.clock import Clock
from connectors.testing.engine import End, Outcome
from gateway.conformance.billing import (
    BILLING,
    CONNECTION,
    ENVIRONMENT,
    TENANT,
    KitSource,
    Told,
    connection_row,
    source_row,
)
from gateway.egress import USER_AGENT
from gateway.errors import RecordTakenError
from gateway.lending import StoredMemory, StoredTokens
from gateway.pipeline.creating import RefusedError
from gateway.pipeline.dispatch import (
    ENSURE,
    ENSURE_INVOICE,
    ENSURE_LINK,
    INVOICE,
    RECORD_PAYMENT,
    link_job,
    lock_key,
    payment_job,
)
from gateway.pipeline.ensure import EnsureCustomer
from gateway.pipeline.ensure_invoices import EnsureInvoice
from gateway.pipeline.ensure_links import EnsurePaymentLink
from gateway.pipeline.failing import failed
from gateway.pipeline.matching import Adopt, Ask, match
from gateway.pipeline.payments import RecordPayment
from gateway.pipeline.settling import Result, settlement
from gateway.pipeline.work import CUSTOMER, Stage, Work
from gateway.registry import LiveConnection, LiveSource, Registry
from gateway.secrets import Vault
from gateway.settings import DEFAULT_SCHEDULE
from gateway.sources.base import SourceConfig, SourceHost, Trigger, Verification
from storage import Store, store_for
from storage.errors import ConflictError
from storage.ids import new_id
from storage.records import Claimed, JobStatus, Link, MappingKey, NewJob, SourceRow

LEASE = timedelta(hours=1)
"""Connectors wait on the kit's clock, so that minutes may pass within one attempt."""
SCHEDULE = DEFAULT_SCHEDULE
ENDS = {
    JobStatus.NEEDS_REVIEW: End.REVIEW, JobStatus.FAILED: End.FAILED, JobStatus.CANCELLED: End.FAILED,
    JobStatus.SUCCEEDED: End.LINKED,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a node is made from; `database` and `key` are shared by the nodes of one gateway."""

    connector: type[Connector[Any]]
    config: Mapping[str, Any] = field(repr=False)
    database: Path
    key: str = field(repr=False)
    clock: Clock
    told: Told = field(default_factory=dict)


class Node:
    """One worker with a connector of its own. Several may share a database."""

    def __init__(
        self, setup: Setup, store: Store, session: aiohttp.ClientSession, limiter: Limiter, owner: str
    ) -> None:
        self.setup, self.store, self.clock, self.owner = setup, store, setup.clock, owner
        vault = Vault(setup.key)
        self._registry = Registry(store=store, vault=vault, session=session, now=self.clock.now, owner=owner)
        memory = StoredMemory(CONNECTION, store=store, now=self.clock.now)
        tokens = StoredTokens(CONNECTION, store=store, vault=vault, now=self.clock.now, owner=owner)
        host = Host(
            connection=CONNECTION, session=session, now=self.clock.now, sleep=self.clock.sleep, limiter=limiter,
            memory=memory, tokens=tokens, user_agent=USER_AGENT,
        )  # fmt: skip
        self.connector = setup.connector(setup.connector.config_model.model_validate(dict(setup.config)), host)
        self.row = connection_row(setup.connector.name, self.clock.now())
        self._registry.connections[CONNECTION] = LiveConnection(
            row=self.row, connector=self.connector, breaker=self._registry.breaker(CONNECTION)
        )
        self._source_host = SourceHost(session=session, now=self.clock.now)
        given: dict[str, Any] = {
            "store": store, "registry": self._registry, "now": self.clock.now, "schedule": SCHEDULE,
            "steady": lambda: self.clock.now().timestamp(),
        }  # fmt: skip
        self._stages: dict[str, Stage] = {
            ENSURE: EnsureCustomer(**given), ENSURE_INVOICE: EnsureInvoice(**given),
            ENSURE_LINK: EnsurePaymentLink(**given), RECORD_PAYMENT: RecordPayment(**given),
        }  # fmt: skip

    def know(self, customer: Customer) -> SourceRow:
        """Make the customer's source there, and return its row."""
        row, adapter = self._source(customer.source)
        adapter.customers[customer.customer_id] = customer
        return row

    def know_invoice(self, invoice: Invoice) -> SourceRow:
        """Make the invoice's source there, and return its row."""
        row, adapter = self._source(invoice.source)
        adapter.invoices[invoice.invoice_id] = invoice
        return row

    def _source(self, name: str) -> tuple[SourceRow, KitSource]:
        live = self._registry.sources.get(name)
        if live is None:
            row = source_row(name, self.clock.now())
            config = SourceConfig(
                name=row.name, platform=row.platform, tenant_id=row.tenant_id, environment_id=row.environment_id,
                verification=Verification.STANDARD_WEBHOOKS, secrets=(),
            )  # fmt: skip
            live = LiveSource(row=row, adapter=KitSource(config, self._source_host, self.setup.told))
            self._registry.sources[row.name] = live
        if not isinstance(live.adapter, KitSource):
            raise TypeError("the kit has no other sources")
        return live.row, live.adapter

    async def submit(self, customer: Customer, number: int) -> str:
        """Queue the job that makes a customer exist; return its id."""
        row, now = self.know(customer), self.clock.now()
        job_id = new_id("job", now)
        job = NewJob(
            job_id=job_id, kind=ENSURE, source=row.name, tenant_id=TENANT, environment_id=ENVIRONMENT, gate=CONNECTION,
            connection=CONNECTION, lock_key=lock_key(ENSURE, row.name, customer.customer_id, CONNECTION),
            entity_id=customer.customer_id, subject=f"invoice_{number}",
            payload={"trigger": str(Trigger.INVOICE_FINALIZED)}, due_at=now,
        )  # fmt: skip
        await self.store.add_job(job, now=now)
        return job_id

    async def submit_invoice(self, invoice: Invoice, customer_record: str) -> str:
        """Link the customer, and queue the job that makes an invoice exist; return its id."""
        row, now = self.know_invoice(invoice), self.clock.now()
        await self._given(row, CUSTOMER, invoice.customer_id, customer_record)
        job_id = new_id("job", now)
        await self.store.add_job(
            NewJob(
                job_id=job_id, kind=ENSURE_INVOICE, source=row.name, tenant_id=TENANT, environment_id=ENVIRONMENT,
                gate=CONNECTION, connection=CONNECTION, entity_type="invoice", entity_id=invoice.invoice_id,
                lock_key=lock_key(ENSURE_INVOICE, row.name, invoice.invoice_id, CONNECTION),
                subject=invoice.invoice_id, payload={"forced": True}, due_at=now,
            ),
            now=now,
        )  # fmt: skip
        return job_id

    async def submit_link(self, request: PaymentLinkRequest) -> str:
        """Link customer and invoice, and queue the job that makes a payment link exist; return its id."""
        invoice, now = request.invoice, self.clock.now()
        row = self.know_invoice(invoice)
        await self._given(row, CUSTOMER, invoice.customer_id, request.customer_record)
        if request.invoice_record is not None:
            await self._given(row, INVOICE, invoice.invoice_id, request.invoice_record)
        job = link_job(row, invoice.invoice_id, connection=CONNECTION, delivery_id=None, now=now)
        await self.store.add_job(job, now=now)
        return job.job_id

    async def submit_payment(self, payment: str) -> str:
        """Queue the job that looks at a payment; return its id."""
        now, (row, _) = self.clock.now(), self._source(BILLING)
        job = payment_job(row, CONNECTION, payment, account="", delivery_id=None, now=now)
        await self.store.add_job(job, now=now)
        return job.job_id

    async def _given(self, row: SourceRow, entity_type: str, entity_id: str, record: str) -> None:
        """Link what a rule takes for granted."""
        key = MappingKey(source=row.name, entity_type=entity_type, entity_id=entity_id, connection=CONNECTION)
        link = Link(
            key=key, connector=self.connector.name, tenant_id=TENANT, environment_id=ENVIRONMENT,
            provider_entity_id=record, origin="operator", why="given by the rule", shared=True,
        )  # fmt: skip
        await self.store.put_mapping(link, now=self.clock.now())

    async def claim(self) -> Sequence[Claimed]:
        """Take what is due."""
        return await self.store.claim_jobs({CONNECTION: 2}, owner=self.owner, now=self.clock.now(), lease=LEASE)

    async def attempt(self, claimed: Claimed) -> None:
        """Run one attempt and write what it has come to, as the worker does."""
        started, work, exchanges = self.clock.now(), Work(claimed=claimed, registry=self._registry), list[Exchange]()
        EXCHANGES.set(exchanges)
        try:
            result = await self._stages[claimed.job.kind](work)
        except RefusedError as refused:
            result = self._failed(work, refused.error, refused=refused)
        except Exception as error:  # noqa: BLE001 - settled like every other failure, as the worker does
            result = self._failed(work, error)
        try:
            await self._settle(claimed, result, started, exchanges)
        except ConflictError as error:
            taken = self._failed(work, RecordTakenError(error.detail))
            await self._settle(claimed, taken, started, exchanges)
        finally:
            work.end()

    def _failed(self, work: Work, error: BaseException, *, refused: RefusedError | None = None) -> Result:
        return failed(
            work, error, schedule=SCHEDULE, now=self.clock.now(), spread=0.0,
            refused=refused.intent if refused is not None else None,
        )  # fmt: skip

    async def _settle(self, claimed: Claimed, result: Result, started: datetime, exchanges: Sequence[Exchange]) -> None:
        written = settlement(
            claimed, result, owner=self.owner, started_at=started, finished_at=self.clock.now(), exchanges=exchanges
        )
        await self.store.settle(written)

    async def outcome(self, job_id: str) -> Outcome:
        """Return what became of a job."""
        job = await self.store.get_job(job_id)
        attempts = tuple(attempt.outcome for attempt in await self.store.list_attempts(job_id))
        error = job.error if isinstance(job.error, Mapping) else {}
        key = MappingKey(
            source=job.source, entity_type=job.entity_type, entity_id=job.entity_id or "", connection=CONNECTION
        )
        mapping = await self.store.get_mapping(key)
        end = ENDS.get(job.status, End.PAUSED)
        if end is End.LINKED and job.outcome == "ignored":
            end = End.IGNORED
        linked = end in {End.LINKED, End.IGNORED} and mapping is not None
        return Outcome(
            end=end, record=mapping.provider_entity_id if linked and mapping else None,
            origin=mapping.origin if linked and mapping else None, attempts=attempts,
            code=str(error["code"]) if error.get("code") else None, reason=job.reason or "",
        )  # fmt: skip

    async def plan(self, customer: Customer) -> Outcome:
        """Decide, without a write."""
        try:
            self.connector.validate_customer(customer)
            candidates = await self.connector.find_customers(customer)
            holders = await self.store.holders(CONNECTION, "customer", [c.provider_entity_id for c in candidates])
            taken = {record: f"{key.source}:{key.entity_id}" for record, key in holders.items()}
            decision = match(customer, candidates, policy=self.connector.match_policy(), taken=taken)
        except ConnectorError as error:
            ends = {Action.REVIEW: End.REVIEW, Action.PAUSE: End.PAUSED}
            return Outcome(end=ends.get(error.action, End.FAILED), code=error.code, reason=error.detail)
        match decision:
            case Adopt():
                return Outcome(
                    end=End.LINKED, record=decision.candidate.provider_entity_id, origin=decision.origin,
                    reason=decision.why,
                )  # fmt: skip
            case Ask():
                return Outcome(end=End.REVIEW, reason=decision.why)
        return Outcome(end=End.CREATE, reason=decision.why)


async def open_node(
    setup: Setup, *, session: aiohttp.ClientSession, limiter: Limiter, owner: str, customers: Sequence[Customer] = ()
) -> Node:
    """Open the store and put the connection into it. The caller closes `node.store`."""
    store = store_for(f"sqlite:///{setup.database}")
    await store.open()
    node = Node(setup, store, session, limiter, owner)
    if not await store.list_connections():
        await store.put_connection(node.row)
    for customer in customers:
        node.know(customer)
    return node
