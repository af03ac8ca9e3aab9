"""What a billing platform's adapter does: verify, parse, confirm, read the customer, write back."""

import secrets as randomness
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from connectors.invoices import Invoice
from connectors.models import Customer
from gateway.sources.feed import Feed
from gateway.sources.signing import (
    IntuitVerifier,
    StandardWebhooksVerifier,
    StaticHeaderVerifier,
    Verifier,
    new_secret,
    sign,
    sign_as_intuit,
)

SOURCE_API_VERSION = 1
DEFAULT_HEADER = "X-Api-Key"


class Verification(StrEnum):
    """How a source proves who it is. Always configured, never guessed from a header that is there or not."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    STATIC_HEADER = "static-header"
    INTUIT_SIGNATURE = "intuit-signature"


class PollConfig(BaseModel):
    """Reading a platform that sends no webhooks (Tithely's charges)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    public_key: str = Field(min_length=1, pattern="^[^:]+$", description="The key pair's public half, `pub_…`.")
    private_key: SecretStr = Field(min_length=1, description="The key pair's private half, `pri_…`.")
    organization_id: str = Field(min_length=1, max_length=255, description="Whose charges are read, `org_…`.")
    interval_seconds: float = Field(300.0, ge=0.5, le=86_400, description="Seconds between two looks.")
    base_url: str | None = Field(
        None, pattern="^https?://", description="Base address of the API; the source's `api_url` when left out."
    )


class SourceOptions(BaseModel):
    """Base of what an adapter takes under `options`: frozen, unknown keys refused, each field described."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One configured source, secrets decrypted. Its `repr` shows none of them."""

    name: str
    platform: str
    tenant_id: str
    environment_id: str
    verification: Verification
    secrets: tuple[str, ...] = field(repr=False)
    header: str | None = None
    api_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    poll: PollConfig | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHost:
    """What the gateway lends a source."""

    session: aiohttp.ClientSession = field(repr=False)
    now: Callable[[], datetime]
    user_agent: str = "ledgergate"


class Trigger(StrEnum):
    """What an event asks for."""

    NONE = "none"
    INVOICE_FINALIZED = "invoice_finalized"
    INVOICE_VOIDED = "invoice_voided"
    INVOICE_PAID = "invoice_paid"
    """The platform tells of money for an invoice, wherever it came from: a payment link may ask for too much now."""
    TRANSACTION = "transaction"
    PAYMENT_LINK = "payment_link"
    PAYMENT = "payment"
    """A provider tells of money that has come, or that went back."""
    CHECK = "check"
    """No event of the platform: the gateway itself has found a link that may have died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a delivery says. `type` is the platform's own word: platforms add types whenever they like.

    `subject` is the invoice or transaction, `customer_id` the customer as the event names it: hints, since the
    platform's API is the truth. `reason` says why a trigger of NONE ends here. `data` is for the adapter alone.
    """

    type: str
    trigger: Trigger
    subject: str | None = None
    customer_id: str | None = None
    reason: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The trigger still holds, and this is the customer whom it is about."""

    customer_id: str
    currency: str = ""
    has_charges: bool = True
    """Whether there is an invoice behind the trigger with something to book: lines, and a total that is not zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The trigger no longer holds; the reason is shown with the delivery."""

    reason: str
    voided: bool = False
    """Whether that is since the platform has voided the invoice."""


class Source(ABC):
    """Adapter of one platform, bound to one configured source."""

    platform: ClassVar[str]
    """The platform's name in settings; equals the entry point's."""
    title: ClassVar[str]
    """The name for people."""
    sends: ClassVar[str] = ""
    """What its webhooks bring, in one sentence: for whoever chooses a platform in the console."""
    proves_by: ClassVar[Verification] = Verification.STANDARD_WEBHOOKS
    """How its senders mostly prove themselves: what the console's form proposes."""
    api_version: ClassVar[int] = SOURCE_API_VERSION
    writes_back: ClassVar[bool] = False
    """Whether the platform has an API to which links are written."""
    has_invoices: ClassVar[bool] = False
    """Whether the platform has invoices that can be read: `invoice` is written."""
    has_receipts: ClassVar[bool] = False
    """Whether the platform's transactions can be booked: `receipt` is written."""
    needs_outbound: ClassVar[bool] = True
    """Whether a connection must say `invoice_sync.outbound` for this platform's events to reach it."""
    reads_delivery: ClassVar[bool] = True
    """Whether `confirm` and `customer` need more of an event than trigger, subject and customer id.

    Those the job has; for anything else the delivery is read and parsed again at each attempt.
    """
    options_model: ClassVar[type[SourceOptions]] = SourceOptions
    """The pydantic model of the source's `options`; the default knows none."""
    reports_payments: bool = False
    """Whether payments that this source tells of are reported to the platforms whose invoices were paid."""
    takes_poll: ClassVar[bool] = False
    """Whether the source may have `poll` settings."""

    def __init__(self, config: SourceConfig, host: SourceHost) -> None:
        self.config = config
        self.host = host

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> SourceOptions:
        """Return the source's `options`, checked. Raises pydantic's ValidationError, which `apply` puts in a line."""
        return cls.options_model.model_validate(dict(options))

    def verifier(self) -> Verifier:
        """Return what checks a delivery's headers. Raises SecretInvalidError for secrets that are too weak or wrong."""
        return verifier_of(self.config.verification, self.config.secrets, header=self.config.header)

    @abstractmethod
    def parse(self, body: bytes) -> Event:
        """Return what an authentic body says. Pure. Raises PayloadInvalidError."""

    @abstractmethod
    async def confirm(self, event: Event) -> Confirmed | Dropped:
        """Ask the platform whether the trigger still holds, and for whom. Raises GatewayError kinds."""

    @abstractmethod
    async def customer(self, customer_id: str, event: Event) -> Customer:
        """Return the customer as the platform has it now. Raises CustomerNotFoundError, GatewayError kinds."""

    async def invoice(self, invoice_id: str) -> Invoice | Dropped:
        """Return the invoice as the platform has it now, or why there is nothing to book. Raises GatewayError kinds.

        Money is read as text or decimals, never as floats. Only asked for where `has_invoices` says so.
        """
        msg = f"{self.platform} has no invoices"
        raise NotImplementedError(msg)

    def receipt(self, event: Event) -> Invoice | Dropped:
        """Return a transaction as a document that is paid already, or why there is nothing to book. Pure.

        Only asked for where `has_receipts` says so. Raises GatewayError kinds.
        """
        msg = f"{self.platform} has no transactions to book"
        raise NotImplementedError(msg)

    async def payable(self, invoice_id: str) -> Invoice | Dropped:
        """Return the invoice with what is still to be paid as `amount_due`, or why nothing is.

        Its lines do not matter. Raises GatewayError kinds. Only asked for where `has_invoices` says so.
        """
        found = await self.invoice(invoice_id)
        if isinstance(found, Invoice) and found.amount_due <= 0:
            return Dropped(reason="nothing is left to pay of the invoice")
        return found

    def screen(self, customer: Customer) -> None:  # noqa: B027 - an optional hook, not a forgotten one
        """Put a customer before a person whom nobody should create unseen. Pure. Raises GatewayError kinds.

        Asked before the provider is; not asked again once a person has decided.
        """

    def feed(self) -> Feed | None:
        """Return what can be asked for events that no webhook told of, or None where that is off or impossible."""
        return None

    async def write_back(
        self, *, customer_id: str, connector: str, provider_entity_id: str, synced_at: datetime
    ) -> bool:
        """Tell the platform the provider's id; return whether something had to be written. Idempotent."""
        del customer_id, connector, provider_entity_id, synced_at
        return False

    async def write_back_invoice(
        self, *, invoice_id: str, connector: str, provider_entity_id: str, url: str, synced_at: datetime
    ) -> bool | None:
        """Tell the platform the id and the page of the provider's invoice; None where it has no place for them.

        Otherwise as `write_back`: idempotent, and True where something had to be written.
        """
        del invoice_id, connector, provider_entity_id, url, synced_at
        return None

    async def report_payment(
        self, *, invoice_id: str, key: str, amount: Decimal, currency: str, connector: str, payment: str
    ) -> bool | None:
        """Tell the platform that so much of an invoice was paid; None where it has no place for payments. Idempotent.

        `key` is the same for every try, and another one for every payment: with it the platform counts none twice.
        `amount` is in major units of `currency`. Raises GatewayError kinds.
        """
        del invoice_id, key, amount, currency, connector, payment
        return None

    async def warnings(self, connectors: frozenset[str]) -> list[str]:
        """Return what an operator should know: the platform's own sync to one of these connectors, for example."""
        del connectors
        return []

    def hint(self, customer: Customer, connector: str) -> str | None:
        """Return the provider's id that the platform's customer already carries, if any."""
        return customer.metadata.get(f"{connector}_customer_id") or None

    def invoice_hint(self, invoice: Invoice, connector: str) -> str | None:
        """Return the provider's id that the platform's invoice already carries, if any."""
        return invoice.metadata.get(f"{connector}_invoice_id") or None


def verifier_of(verification: Verification | str, secrets: Sequence[str], *, header: str | None) -> Verifier:
    """Return what checks deliveries of this kind. Raises SecretInvalidError for secrets that are too weak or wrong."""
    match Verification(verification):
        case Verification.STATIC_HEADER:
            return StaticHeaderVerifier(header or DEFAULT_HEADER, secrets)
        case Verification.INTUIT_SIGNATURE:
            return IntuitVerifier(secrets)
        case Verification.STANDARD_WEBHOOKS:
            return StandardWebhooksVerifier(secrets)


def signed_headers(config: SourceConfig, body: bytes, *, message_id: str, timestamp: int) -> dict[str, str]:
    """Return the headers with which a sender of this source's would prove itself, by the first secret.

    Raises SecretInvalidError, and ValueError for an id or time that no verifier takes.
    """
    match config.verification:
        case Verification.STATIC_HEADER:
            return {config.header or DEFAULT_HEADER: config.secrets[0]}
        case Verification.INTUIT_SIGNATURE:
            return sign_as_intuit(config.secrets[0], body)
        case Verification.STANDARD_WEBHOOKS:
            return sign(config.secrets[0], message_id=message_id, timestamp=timestamp, body=body)


def fresh_secret(verification: Verification | str) -> str:
    """Return a new secret of the kind that a source's verification takes."""
    return new_secret() if verification == Verification.STANDARD_WEBHOOKS else randomness.token_urlsafe(32)
