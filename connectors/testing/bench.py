"""One simulated service on the bench: started, with the fault proxy before it and all that a host lends a connector."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp

from connectors.base import Connector, ConnectorConfig, DictMemory, Host
from connectors.invoices import Invoice, InvoiceLine, InvoiceSync
from connectors.links import PaymentLinkRequest, PaymentLinks
from connectors.models import CreateIntent, Customer
from connectors.oauth import Tokens, TokensChangedError
from connectors.payments import Payments
from connectors.testing.clock import Clock
from connectors.testing.harness import Harness, Record, State
from connectors.testing.proxy import MARK, FaultProxy
from connectors.testing.simulator import Fault

HarnessFactory = Callable[[Clock], Harness]


@dataclass(slots=True)
class CountingLimiter:
    """A limiter that never waits: it counts who enters, and notes for how long it was told to hold."""

    entered: int = 0
    inside: int = 0
    held: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Enter at once."""
        self.entered += 1
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def hold(self, seconds: float) -> None:
        """Note it."""
        self.held.append(seconds)


class MemoryTokens:
    """A token store in memory, with versions and a lock as the gateway's has. See connectors.oauth.TokenStore."""

    def __init__(self) -> None:
        self._tokens: Tokens | None = None
        self._lock = asyncio.Lock()

    async def load(self) -> Tokens | None:
        """Return the newest tokens."""
        return self._tokens

    async def save(self, tokens: Tokens) -> Tokens:
        """Keep tokens in place of their version. Raises TokensChangedError."""
        if tokens.version != (self._tokens.version if self._tokens else 0):
            raise TokensChangedError
        self._tokens = replace(tokens, version=tokens.version + 1)
        return self._tokens

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold the lock."""
        async with self._lock:
            yield


class Captured(logging.Handler):
    """Every line that was logged while it was listening, with tracebacks."""

    def __init__(self) -> None:
        super().__init__(level=logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(self.format(record))


@contextmanager
def captured_logs() -> Iterator[Captured]:
    """Listen to every logger of the process, at every level."""
    handler, root = Captured(), logging.getLogger()
    level, disabled = root.level, logging.root.manager.disable
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.disable(logging.NOTSET)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.disable(disabled)


@dataclass(slots=True, kw_only=True)
class Bench:
    """A fresh service, its proxy, and what the host lends. Connectors made here share tokens and memory."""

    harness: Harness
    proxy: FaultProxy
    session: aiohttp.ClientSession
    config: dict[str, Any] = field(repr=False)
    clock: Clock
    limiter: CountingLimiter = field(default_factory=CountingLimiter)
    memory: DictMemory = field(default_factory=DictMemory)
    tokens: MemoryTokens = field(default_factory=MemoryTokens)

    @property
    def kind(self) -> type[Connector[Any]]:
        """The connector's class."""
        return self.harness.connector

    def host(self) -> Host:
        """Return what the gateway lends."""
        return Host(
            connection="kit", session=self.session, now=self.clock.now, sleep=self.clock.sleep, limiter=self.limiter,
            memory=self.memory, tokens=self.tokens, user_agent="ledgergate-kit/1",
        )  # fmt: skip

    def new_config(self) -> dict[str, Any]:
        """Return the config of another gateway's connection with the same account."""
        return dict(self.harness.config(self.proxy.url))

    def parsed(self) -> ConnectorConfig:
        """Return the connection's config. Raises pydantic's ValidationError."""
        return self.kind.config_model.model_validate(self.config)

    def connector(self) -> Connector[Any]:
        """Return a connector, as after a restart of the process."""
        return self.kind(self.parsed(), self.host())

    def invoicer(self) -> Any:
        """Return a connector that makes invoices. Raises TypeError where it makes none."""
        return self._able(InvoiceSync)

    def linker(self) -> Any:
        """Return a connector that makes payment links. Raises TypeError where it makes none."""
        return self._able(PaymentLinks)

    def payee(self) -> Any:
        """Return a connector that tells of payments. Raises TypeError where it tells of none."""
        return self._able(Payments)

    def _able(self, capability: type) -> Any:
        connector = self.connector()
        if not isinstance(connector, capability):
            msg = f"{connector.name} has no {capability.__name__}"
            raise TypeError(msg)
        return connector

    def customer(self, number: int = 1, **fields: Any) -> Customer:
        """Return a customer who can be created; another number is another customer."""
        known: dict[str, Any] = {
            "customer_id": f"cust_{number}", "name": f"Ada Lovelace {number}", "email": f"ada.{number}@example.com",
        }  # fmt: skip
        ids = {"source": "kit-billing", "platform": "flexprice", "environment_id": "prod"}
        return self.harness.dress(Customer(**{**ids, **known, **fields}))

    def invoice(self, which: int = 1, /, **fields: Any) -> Invoice:
        """Return an invoice that can be created: two lines, of which one has an odd quantity."""
        known: dict[str, Any] = {
            "invoice_id": f"inv_{which}", "customer_id": "cust_1", "number": f"KIT-{which:04}", "currency": "USD",
            "due_on": self.clock.now().date() + timedelta(days=30),
            "lines": (
                InvoiceLine(description="Plan A", amount=Decimal("100.00"), quantity=Decimal(3)),
                InvoiceLine(description="Usage", amount=Decimal("0.37") * which, quantity=Decimal("12.5")),
            ),
        }  # fmt: skip
        ids = {"source": "kit-billing", "platform": "flexprice", "environment_id": "prod"}
        whole = {**ids, **known, **fields}
        parts = Invoice(**{"total": Decimal(0), "amount_due": Decimal(0), **whole})
        sums = {"total": parts.computed_total, "amount_due": parts.computed_total}
        return self.harness.dress_invoice(replace(parts, **{**sums, **fields}))

    def billed(self, which: int = 1, /, amount: str = "100.37", currency: str = "USD", **fields: Any) -> Invoice:
        """Return an invoice of one line over just this amount."""
        line = InvoiceLine(description="Plan A", amount=Decimal(amount))
        return self.invoice(which, **{"currency": currency, "lines": (line,), **fields})

    async def link_request(
        self, customer_record: str, which: int = 1, /, amount: str = "100.37", currency: str = "USD", **fields: Any
    ) -> PaymentLinkRequest:
        """Return a request for a payment link; the provider's own invoice is made before, where links need it."""
        invoice, linker, record = self.billed(which, amount, currency, **fields), self.linker(), None
        if linker.links_need_invoice:
            made = await self.invoicer().create_invoice(
                invoice, customer_record=customer_record, intent=self.intent(9000 + which)
            )  # fmt: skip
            record = made.record.provider_entity_id
        return PaymentLinkRequest(
            invoice=invoice, amount=invoice.amount_due, currency=currency, customer_record=customer_record,
            invoice_record=record,
        )  # fmt: skip

    def intent(self, number: int = 1, *, started_at: datetime | None = None) -> CreateIntent:
        """Return the note of a create; the same number is the same create."""
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"kit intent {number}"))
        return CreateIntent(key=key, started_at=started_at or self.clock.now())

    def seed(self, customer: Customer, *, state: State = State.ACTIVE, name: str | None = None) -> str:
        """Put this customer into the service, as a person does; return the record's id."""
        return self.harness.seed(name=customer.full_name if name is None else name, email=customer.email, state=state)

    def records(self) -> Sequence[Record]:
        """Return what the service has."""
        return self.harness.records()

    def record(self, record_id: str) -> Record | None:
        """Return one record of the service."""
        return next((record for record in self.records() if record.record_id == record_id), None)

    def ids(self) -> set[str]:
        """Return the ids of what the service has."""
        return {record.record_id for record in self.records()}

    def snapshot(self) -> list[Record]:
        """Return what the service has, in an order of its own, for comparing."""
        return sorted(self.records(), key=lambda record: record.record_id)

    def plan(self, *faults: Fault) -> None:
        """Replace what goes wrong from now on."""
        self.proxy.faults.clear()
        self.proxy.faults.add(*faults)


@asynccontextmanager
async def opened_bench(factory: HarnessFactory) -> AsyncIterator[Bench]:
    """Start a service with its proxy, and stop both."""
    clock = Clock()
    harness = factory(clock)
    proxy = FaultProxy(
        ids=lambda: {
            *(each.record_id for each in harness.records()),
            *(each.record_id for each in harness.invoices()),
            *(each.record_id for each in harness.links()),
        },
        now=clock.now,
        widened=harness.widened,
        refusal=harness.refusal,
    )
    await harness.service.start()
    try:
        async with (
            proxy,
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), headers={MARK: "1"}, timeout=aiohttp.ClientTimeout(total=None)
            ) as session,
        ):
            proxy.target = harness.service.url
            config = dict(harness.config(proxy.url))
            yield Bench(harness=harness, proxy=proxy, session=session, config=config, clock=clock)
    finally:
        await harness.service.stop()
