"""One worker of the kit: the real stage, store, matching and policy, with a clock that jumps instead of waiting."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from connectors.base import Connector, Host, Limiter
from connectors.errors import Action, ConnectorError
from connectors.http import EXCHANGES, Exchange
from connectors.invoices import Invoice
from connectors.models import Customer
from connectors.testing.clock import Clock
from connectors.testing.engine import End, Outcome
from gateway.egress import USER_AGENT
from gateway.errors import RecordTakenError
from gateway.lending import StoredMemory, StoredTokens
from gateway.pipeline.creating import RefusedError
from gateway.pipeline.dispatch import ENSURE, ENSURE_INVOICE, lock_key
from gateway.pipeline.ensure import EnsureCustomer
from gateway.pipeline.failing import failed
from gateway.pipeline.invoices import EnsureInvoice
from gateway.pipeline.matching import Adopt, Ask, match
from gateway.pipeline.settling import Result, settlement
from gateway.pipeline.work import Stage, Work
from gateway.registry import LiveConnection, LiveSource, Registry
from gateway.secrets import Vault
from gateway.settings import DEFAULT_SCHEDULE
from gateway.sources.base import Confirmed, Event, Source, SourceConfig, SourceHost, Trigger, Verification
from storage import Store, store_for
from storage.errors import ConflictError
from storage.ids import new_id
from storage.records import Claimed, ConnectionRow, Job, JobStatus, Link, MappingKey, NewJob, SourceRow

CONNECTION = "kit"
TENANT, ENVIRONMENT = "kit", "prod"
LEASE = timedelta(hours=1)
"""Connectors wait on the kit's clock, so that minutes may pass within one attempt."""
SCHEDULE = DEFAULT_SCHEDULE
TURNS = 500
POLL_SECONDS = 0.005
ENDS = {
    JobStatus.NEEDS_REVIEW: End.REVIEW, JobStatus.FAILED: End.FAILED, JobStatus.CANCELLED: End.FAILED,
    JobStatus.SUCCEEDED: End.LINKED,
}  # fmt: skip


class KitSource(Source):
    """A platform whose customers are given by hand."""

    platform = "kit"
    title = "Conformance kit"

    def __init__(self, config: SourceConfig, host: SourceHost) -> None:
        super().__init__(config, host)
        self.customers: dict[str, Customer] = {}
        self.invoices: dict[str, Invoice] = {}

    def parse(self, body: bytes) -> Event:
        """No delivery comes here."""
        raise NotImplementedError

    async def confirm(self, event: Event) -> Confirmed:
        """Every event holds."""
        return Confirmed(customer_id=event.customer_id or "")

    async def customer(self, customer_id: str, event: Event) -> Customer:
        """Return the customer."""
        return self.customers[customer_id]

    async def invoice(self, invoice_id: str) -> Invoice:
        """Return the invoice."""
        return self.invoices[invoice_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a node is made from; `database` and `key` are shared by the nodes of one gateway."""

    connector: type[Connector[Any]]
    config: Mapping[str, Any] = field(repr=False)
    database: Path
    key: str = field(repr=False)
    clock: Clock


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
        self.row = _connection_row(setup.connector.name, self.clock.now())
        self._registry.connections[CONNECTION] = LiveConnection(
            row=self.row, connector=self.connector, breaker=self._registry.breaker(CONNECTION)
        )
        self._source_host = SourceHost(session=session, now=self.clock.now)
        given: dict[str, Any] = {
            "store": store, "registry": self._registry, "now": self.clock.now, "schedule": SCHEDULE,
        }  # fmt: skip
        self._stages: dict[str, Stage] = {ENSURE: EnsureCustomer(**given), ENSURE_INVOICE: EnsureInvoice(**given)}

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
            row = _source_row(name, self.clock.now())
            config = SourceConfig(
                name=row.name, platform=row.platform, tenant_id=row.tenant_id, environment_id=row.environment_id,
                verification=Verification.STANDARD_WEBHOOKS, secrets=(),
            )  # fmt: skip
            live = LiveSource(row=row, adapter=KitSource(config, self._source_host))
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
        key = MappingKey(source=row.name, entity_type="customer", entity_id=invoice.customer_id, connection=CONNECTION)
        link = Link(
            key=key, connector=self.connector.name, tenant_id=TENANT, environment_id=ENVIRONMENT,
            provider_entity_id=customer_record, origin="operator", why="given by the rule", shared=True,
        )  # fmt: skip
        await self.store.put_mapping(link, now=now)
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


async def drive(
    nodes: Sequence[Node], job_ids: Sequence[str], *, outage: float = 0.0, shared: Callable[[], bool] = lambda: False
) -> None:
    """Let nodes work until every job has ended, jumping to whatever is due next.

    `shared` says whether another process may hold a job that this one waits for: the caller then limits the time.
    Raises TimeoutError when nothing ends.
    """
    first, turns, clock = True, 0, nodes[0].clock
    while turns < TURNS:
        claimed = [(node, one) for node in nodes for one in await node.claim()]
        if claimed:
            turns += 1
            await asyncio.gather(*(node.attempt(one) for node, one in claimed))
            if first:
                clock.advance(outage)
                first = False
            continue
        jobs = [await nodes[0].store.get_job(job_id) for job_id in job_ids]
        pending = [job for job in jobs if job.status in {JobStatus.PENDING, JobStatus.RUNNING}]
        if not pending or await _is_paused(nodes[0]):
            return
        if shared():
            await asyncio.sleep(POLL_SECONDS)
        else:
            turns += 1
        clock.advance_to(min(_due(job, clock) for job in pending))
    raise TimeoutError(f"{len(job_ids)} jobs did not end after {TURNS} turns")


def _due(job: Job, clock: Clock) -> datetime:
    return job.next_attempt_at if job.next_attempt_at is not None else clock.now()


async def _is_paused(node: Node) -> bool:
    return any(row.status == "paused" for row in await node.store.list_connections())


def _connection_row(connector: str, now: datetime) -> ConnectionRow:
    return ConnectionRow(
        name=CONNECTION, connector=connector, tenant_id=TENANT, environment_id=ENVIRONMENT, status="active",
        pause_reason=None, pause_detail=None, settings={"invoice_sync": {"outbound": True}, "config": {}}, account=None,
        secrets={}, created_at=now, updated_at=now,
    )  # fmt: skip


def _source_row(name: str, now: datetime) -> SourceRow:
    return SourceRow(
        name=name, platform="kit", tenant_id=TENANT, environment_id=ENVIRONMENT, verification="standard-webhooks",
        status="active", settings={}, secrets={}, created_at=now, updated_at=now,
    )  # fmt: skip
