"""What a billing platform's adapter does: verify, parse, confirm, read the customer, write back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import aiohttp
from pydantic import BaseModel, ConfigDict, SecretStr

from connectors.models import Customer
from gateway.sources.signing import StandardWebhooksVerifier, StaticHeaderVerifier, Verifier

SOURCE_API_VERSION = 1


class Verification(StrEnum):
    """How a source proves who it is. Always configured, never guessed from a header that is there or not."""

    STANDARD_WEBHOOKS = "standard-webhooks"
    STATIC_HEADER = "static-header"


class PollConfig(BaseModel):
    """Reading a platform that sends no webhooks (Tithely's charges)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    public_key: str
    private_key: SecretStr
    organization_id: str
    interval_seconds: float = 300.0
    base_url: str | None = None


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
    TRANSACTION = "transaction"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The trigger no longer holds; the reason is shown with the delivery."""

    reason: str


class Source(ABC):
    """Adapter of one platform, bound to one configured source."""

    platform: ClassVar[str]
    """The platform's name in settings; equals the entry point's."""
    title: ClassVar[str]
    """The name for people."""
    api_version: ClassVar[int] = SOURCE_API_VERSION
    writes_back: ClassVar[bool] = False
    """Whether the platform has an API to which links are written."""
    needs_outbound: ClassVar[bool] = True
    """Whether a connection must say `invoice_sync.outbound` for this platform's events to reach it."""

    def __init__(self, config: SourceConfig, host: SourceHost) -> None:
        self.config = config
        self.host = host

    def verifier(self) -> Verifier:
        """Return what checks a delivery's headers. Raises SecretInvalidError for secrets that are too weak or wrong."""
        return verifier_for(self.config)

    @abstractmethod
    def parse(self, body: bytes) -> Event:
        """Return what an authentic body says. Pure. Raises PayloadInvalidError."""

    @abstractmethod
    async def confirm(self, event: Event) -> Confirmed | Dropped:
        """Ask the platform whether the trigger still holds, and for whom. Raises GatewayError kinds."""

    @abstractmethod
    async def customer(self, customer_id: str, event: Event) -> Customer:
        """Return the customer as the platform has it now. Raises CustomerNotFoundError, GatewayError kinds."""

    async def write_back(
        self, *, customer_id: str, connector: str, provider_entity_id: str, synced_at: datetime
    ) -> bool:
        """Tell the platform the provider's id; return whether something had to be written. Idempotent."""
        del customer_id, connector, provider_entity_id, synced_at
        return False

    async def warnings(self, connectors: frozenset[str]) -> list[str]:
        """Return what an operator should know: the platform's own sync to one of these connectors, for example."""
        del connectors
        return []

    def hint(self, customer: Customer, connector: str) -> str | None:
        """Return the provider's id that the platform's customer already carries, if any."""
        return customer.metadata.get(f"{connector}_customer_id") or None


def verifier_for(config: SourceConfig) -> Verifier:
    """Return the verifier that the source's `verification` asks for. Raises SecretInvalidError."""
    if config.verification is Verification.STATIC_HEADER:
        return StaticHeaderVerifier(config.header or "X-Api-Key", config.secrets)
    return StandardWebhooksVerifier(config.secrets)
