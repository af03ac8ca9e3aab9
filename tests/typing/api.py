"""The public API as authors type it. mypy reads this file, nothing runs it: what stops to check here breaks plugins."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, assert_type

import pytest
from aiohttp import web
from pydantic import SecretStr

from connectors import (
    Account,
    Address,
    AdoptOnName,
    Candidate,
    Connector,
    ConnectorConfig,
    ConnectorError,
    Consent,
    Created,
    CreatedInvoice,
    CreatedLink,
    CreateIntent,
    Customer,
    DuplicateRefusedError,
    Host,
    Inactive,
    Invoice,
    InvoiceCandidate,
    InvoiceLine,
    InvoiceStatus,
    InvoiceSync,
    JsonApi,
    Limits,
    LinkCandidate,
    MatchOn,
    MatchPolicy,
    OAuthConsent,
    PaymentLinkRequest,
    PaymentLinks,
    RateLimitedError,
    Recovery,
    Reply,
    Tokens,
    TokenStore,
    classify,
    money,
    short_number,
)
from connectors.testing import (
    Asked,
    Clock,
    Fault,
    FaultKind,
    Harness,
    MemoryTokens,
    Record,
    Simulator,
    State,
)
from connectors.testing.contract import ConnectorContract
from gateway.sources.base import Confirmed, Dropped, Event, Source, SourceConfig, SourceHost, Trigger
from gateway.sources.platform_api import PlatformApi
from gateway.sources.testing import SourceContract, SourceHarness


class AcmeConfig(ConnectorConfig):
    """A config."""

    api_key: SecretStr
    base_url: str = "https://api.acme.example"


class AcmeConnector(Connector[AcmeConfig], OAuthConsent):
    """Every hook, with the signature that the host calls."""

    name = "acme"
    title = "Acme"
    config_model = AcmeConfig
    variants = 2
    marks_records = True

    def __init__(self, config: AcmeConfig, host: Host) -> None:
        super().__init__(config, host)
        assert_type(self.config, AcmeConfig)
        assert_type(self.config.api_key.get_secret_value(), str)
        self._api = JsonApi(host, config.base_url, headers={"X-Key": "…"}, classify=sort, timeout=5.0, read_tries=1)

    def validate_customer(self, customer: Customer) -> None:
        assert_type(customer.reference, str)
        assert_type(customer.address, Address | None)

    async def find_customers(self, customer: Customer, *, intent: CreateIntent | None = None) -> Sequence[Candidate]:
        found = await self._api.get("/contacts", email=customer.email)
        return [Candidate(provider_entity_id=row["id"], emails=(row["email"],), marker=None) for row in found]

    async def get_customer(self, provider_entity_id: str) -> Candidate | None:
        reply = await self._api.request("GET", "/x", accept_error=lambda reply: reply.status == 404 and reply.is_json)
        assert_type(reply, Reply)
        return None

    async def create_customer(self, customer: Customer, *, intent: CreateIntent) -> Created:
        assert_type(intent.key, str)
        assert_type(intent.variant, int)
        assert_type(intent.started_at, datetime)
        made = await self._api.post("/contacts", {"name": customer.full_name})
        return Created(provider_entity_id=made["id"], warnings=("phone omitted",))

    async def reactivate_customer(self, provider_entity_id: str) -> None:
        await self._api.post(f"/contacts/{provider_entity_id}/restore", {})

    async def check(self) -> Account:
        await self.host.memory.put("probe", "works")
        assert_type(await self.host.memory.get("probe"), str | None)
        assert_type(self.host.now(), datetime)
        assert_type(self.host.tokens, TokenStore | None)
        return Account(account_id="1", name="Acme", details={"plan": "free"}, warnings=())

    def match_policy(self) -> MatchPolicy:
        return MatchPolicy(match=MatchOn.EMAIL, adopt_on_name=AdoptOnName.NEVER, inactive=Inactive.NEW, shared=False)

    def limits(self) -> Limits:
        return Limits(per_second=1.0, per_minute=None, concurrency=1)

    def recovery(self) -> Recovery:
        return Recovery(replay_window=timedelta(hours=1), lookups=(5.0, 60.0))

    def settings_summary(self) -> Mapping[str, str]:
        return {"base_url": self.config.base_url}

    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        return f"https://acme.example/?state={state}&redirect_uri={redirect_uri}"

    async def exchange(self, *, params: Mapping[str, str], redirect_uri: str) -> Consent:
        return Consent(tokens=Tokens(refresh_token="…", realm="1"), account_id="1")

    async def revoke(self) -> None:
        """Nothing to revoke."""


class BillingConnector(AcmeConnector, InvoiceSync, PaymentLinks):
    """Both capabilities, with every hook."""

    def filed_number(self, invoice: Invoice) -> str:
        return short_number(invoice.number, 21)

    def validate_invoice(self, invoice: Invoice) -> None:
        assert_type(invoice.lines, tuple[InvoiceLine, ...])
        assert_type(invoice.computed_total, Decimal)
        assert_type(money.exact(invoice.total, invoice.currency), Decimal)

    async def find_invoices(
        self, invoice: Invoice, *, customer_record: str, intent: CreateIntent | None = None
    ) -> Sequence[InvoiceCandidate]:
        return [
            InvoiceCandidate(provider_entity_id="7", number="1", total=money.parse("1.50"), currency="USD",
                             customer_record=customer_record, status=InvoiceStatus.OPEN, marker=None)
        ]  # fmt: skip

    async def get_invoice(self, provider_entity_id: str) -> InvoiceCandidate | None:
        return None

    async def create_invoice(self, invoice: Invoice, *, customer_record: str, intent: CreateIntent) -> CreatedInvoice:
        found = await self.find_invoices(invoice, customer_record=customer_record, intent=intent)
        return CreatedInvoice(record=found[0], warnings=("due date moved",))

    async def void_invoice(self, provider_entity_id: str) -> None:
        """Void it."""

    def validate_link(self, request: PaymentLinkRequest) -> None:
        assert_type(request.amount, Decimal)

    async def find_links(
        self, request: PaymentLinkRequest, *, intent: CreateIntent | None = None
    ) -> Sequence[LinkCandidate]:
        return []

    async def get_link(self, provider_entity_id: str) -> LinkCandidate | None:
        return None

    async def create_link(self, request: PaymentLinkRequest, *, intent: CreateIntent) -> CreatedLink:
        link = LinkCandidate(
            provider_entity_id="8", amount=request.amount, currency=request.currency, url="https://x.example"
        )
        return CreatedLink(record=link)

    async def disable_link(self, provider_entity_id: str) -> None:
        """Disable it."""


def sort(reply: Reply) -> ConnectorError | None:
    """A rule for answers, as `JsonApi` takes it."""
    if reply.status == 409:
        return DuplicateRefusedError("taken", provider_entity_id="7")
    error = classify(reply)
    return RateLimitedError("wait", retry_after=5.0) if reply.status == 420 else error


class Incomplete(Connector[AcmeConfig]):
    """Without its three hooks it cannot be made."""

    name = "incomplete"
    title = "Incomplete"
    config_model = AcmeConfig


class Mistaken(AcmeConnector):
    """What mypy must refuse."""

    async def find_customers(self, customer: Customer) -> Sequence[Candidate]:  # type: ignore[override]
        return []

    async def check(self) -> str:  # type: ignore[override]
        return "fine"


def refused(config: AcmeConfig, host: Host, customer: Customer) -> None:
    """More of what mypy must refuse."""
    Incomplete(config, host)  # type: ignore[abstract]
    customer.name = "Eve"  # type: ignore[misc]
    Candidate("7")  # type: ignore[call-arg]
    Created()  # type: ignore[call-arg]
    InvoiceLine(description="Seat", amount=1.5)  # type: ignore[arg-type]
    AcmeConfig(api_key="plain")  # type: ignore[arg-type]
    AcmeConnector({"api_key": "…"}, host)  # type: ignore[arg-type]


class AcmeSimulator(Simulator):
    """A simulated service."""

    def routes(self) -> list[web.RouteDef]:
        return []


class AcmeHarness(Harness):
    """A harness."""

    connector = AcmeConnector
    states = frozenset({State.INACTIVE})
    filters = ("email",)
    older_configs = ({"api_key": "…"},)

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.acme = AcmeSimulator()
        self.service = self.acme
        self.acme.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST *"))

    def config(self, url: str) -> Mapping[str, Any]:
        return {"api_key": "…", "base_url": url}

    def records(self) -> Sequence[Record]:
        return [Record(record_id="1", name="Ada", emails=("ada@example.com",), state=State.ACTIVE)]

    def seed(self, *, name: str, email: str, state: State = State.ACTIVE) -> str:
        return f"{name} {email} {state}"

    def widened(self, asked: Asked) -> Asked:
        return asked


class SuiteOfAcme(ConnectorContract):
    """The suite, with its one fixture."""

    @pytest.fixture
    def harness(self) -> type[AcmeHarness]:
        return AcmeHarness


async def tokens_in_tests(host: Host) -> Tokens:
    """A token store as tests have it is one as the host lends it."""
    store: TokenStore = MemoryTokens()
    async with store.exclusive():
        return await store.save(Tokens(refresh_token="…"))


class TallySource(Source):
    """An adapter of a platform."""

    platform = "tally"
    title = "Tally"
    writes_back = True
    has_invoices = True

    def __init__(self, config: SourceConfig, host: SourceHost) -> None:
        super().__init__(config, host)
        self._api = PlatformApi(host.session, config.api_url or "", headers={}, user_agent=host.user_agent)

    def parse(self, body: bytes) -> Event:
        return Event(type="x", trigger=Trigger.NONE, reason=f"{len(body)} bytes of no interest")

    async def confirm(self, event: Event) -> Confirmed | Dropped:
        return Dropped(reason="void") if event.subject is None else Confirmed(customer_id="1", currency="USD")

    async def customer(self, customer_id: str, event: Event) -> Customer:
        return Customer(source="s", platform="tally", environment_id="prod", customer_id=customer_id)

    async def invoice(self, invoice_id: str) -> Invoice | Dropped:
        return Dropped(reason="void", voided=True)

    async def write_back(
        self, *, customer_id: str, connector: str, provider_entity_id: str, synced_at: datetime
    ) -> bool:
        await self._api.send("PATCH", f"/customers/{customer_id}", {f"{connector}_customer_id": provider_entity_id})
        return True


class TallyHarness(SourceHarness):
    """A harness of a source."""

    source = TallySource

    def config(self, url: str) -> Mapping[str, Any]:
        return {"api_url": url}

    def add_customer(self, *, name: str, email: str) -> str:
        return name + email

    def trigger(self, customer_id: str) -> bytes:
        return customer_id.encode()

    def other(self) -> bytes:
        return b"{}"


class SuiteOfTally(SourceContract):
    """The suite, with its one fixture."""

    @pytest.fixture
    def harness(self) -> type[TallyHarness]:
        return TallyHarness
