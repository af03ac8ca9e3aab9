"""The values that pass between the gateway and a connector: customers, candidates, intents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address; `country` is ISO 3166-1 alpha-2 where the source says so. Empty text means absent."""

    line1: str = field(default="", repr=False)
    line2: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    region: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)
    country: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """The canonical customer, as read from a source. Its `repr` shows ids only.

    `name` is the whole name as the source has it. `given_name` and `family_name` are set only when the source has the
    parts; nothing splits a name by guess. `currency` is ISO 4217 in capitals. Empty text means absent.
    """

    source: str
    platform: str
    environment_id: str
    customer_id: str
    external_id: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    given_name: str = field(default="", repr=False)
    family_name: str = field(default="", repr=False)
    company_name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    address: Address | None = field(default=None, repr=False)
    currency: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def reference(self) -> str:
        """`source:customer_id`: what connectors stamp on the provider's record where it has room for it."""
        return f"{self.source}:{self.customer_id}"

    @property
    def full_name(self) -> str:
        """The whole name: as the source has it, else its parts, else the company's."""
        return self.name or " ".join(part for part in (self.given_name, self.family_name) if part) or self.company_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A record at the provider which may be the customer. Its `repr` shows ids only.

    `adoptable` is false for what can never be this customer (a vendor, a sub-customer); `kind` names it.
    `marker` is the reference that the record carries, if any. `created_at` is the provider's own time. `holds_name`
    says that this record, whatever its kind, holds the unique name which a refused create asked for. `holds_variants`
    are the variants whose unique names it holds: a look-up that tells them spares creates that would be refused.
    """

    provider_entity_id: str
    name: str = field(default="", repr=False)
    emails: tuple[str, ...] = field(default=(), repr=False)
    phone: str = field(default="", repr=False)
    active: bool = True
    kind: str = "customer"
    adoptable: bool = True
    marker: str | None = None
    holds_name: bool = False
    holds_variants: frozenset[int] = frozenset()
    currency: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIntent:
    """The gateway's durable note that a create is about to be sent; it was committed before the connector sees it.

    `key` is the same for every try of one create: pass it on where the provider has an idempotency key (36 characters).
    `variant` counts the names tried: it grows only when the name before is proven to be held by somebody else.
    `epoch` grows when a linked record has died and a new one is wanted. `started_at` is when this create began, and
    `repeated` whether it may have been sent before.
    """

    key: str
    variant: int = 0
    epoch: int = 0
    attempt: int = 1
    started_at: datetime
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What a create returned."""

    provider_entity_id: str
    warnings: tuple[str, ...] = ()
    """What was left out or altered, in words without personal data: "phone omitted: not a valid number"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The provider's account behind a connection, as `check` saw it."""

    account_id: str
    name: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class MatchOn(StrEnum):
    """What is enough to adopt the one active record with an equal e-mail address."""

    STRICT = "strict"
    """The names must agree too; otherwise a person decides."""
    EMAIL = "email"
    """The e-mail address alone is enough."""


class AdoptOnName(StrEnum):
    """Whether an equal name is enough when one side has no e-mail address."""

    NEVER = "never"
    IF_NO_CONFLICT = "if_no_conflict"


class Inactive(StrEnum):
    """What to do about a record that a bookkeeper has deactivated."""

    REACTIVATE = "reactivate"
    NEW = "new"
    PARK = "park"


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPolicy:
    """How sure the gateway must be before it adopts a record, as the connection's settings have it."""

    match: MatchOn = MatchOn.STRICT
    adopt_on_name: AdoptOnName = AdoptOnName.NEVER
    inactive: Inactive = Inactive.PARK
    shared: bool = False
    """Whether several billing customers may be linked to one record."""
    compare_currency: bool = False
    """Whether a record in another currency cannot serve (QuickBooks with multicurrency)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the provider allows one account. The gateway keeps to it, over all its nodes."""

    per_second: float = 5.0
    per_minute: float | None = None
    concurrency: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How a lost answer to a create is settled.

    `replay_window`: how long the provider remembers an idempotency key for sure; None where it has none.
    `lookups`: seconds after the doubtful create at which the gateway looks again; the last one must lie beyond the
    provider's search lag, since after it the record counts as absent.
    """

    replay_window: timedelta | None = None
    lookups: tuple[float, ...] = (5.0, 20.0, 60.0, 180.0, 600.0)
