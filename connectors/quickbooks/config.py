"""The settings of a QuickBooks connection, and Intuit's addresses for its two environments."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from yarl import URL

from connectors.base import ConnectorConfig
from connectors.models import AdoptOnName, Inactive, MatchOn


class Environment(StrEnum):
    """Which of Intuit's two worlds the company lives in. Each has keys and tokens of its own."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


class Multicurrency(StrEnum):
    """Whether new customers are given a currency."""

    AUTO = "auto"
    """Ask the company's preferences."""
    ON = "on"
    OFF = "off"


class Gifts(StrEnum):
    """Whether gifts, as Tithely tells of them, are booked."""

    OFF = "off"
    """Their givers become customers, and nothing else happens."""
    SALES_RECEIPT = "sales_receipt"
    """Each gift becomes a sales receipt of its giver."""
    DAILY_DEPOSIT = "daily_deposit"
    """All gifts of a day in one currency become one sales receipt, with a line for each."""


# https://developer.intuit.com/app/developer/qbo/docs/learn/rest-api-features
_API = {
    Environment.SANDBOX: "https://sandbox-quickbooks.api.intuit.com",
    Environment.PRODUCTION: "https://quickbooks.api.intuit.com",
}
_APP = {
    Environment.SANDBOX: "https://app.sandbox.qbo.intuit.com",
    Environment.PRODUCTION: "https://app.qbo.intuit.com",
}
# https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0
_AUTHORIZE = "https://appcenter.intuit.com/connect/oauth2"
_TOKEN = "https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer"  # noqa: S105 - an address
_REVOKE = "https://developer.api.intuit.com/v2/oauth2/tokens/revoke"

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class QuickBooksConfig(ConnectorConfig):
    """Config of a connection with QuickBooks Online."""

    client_id: str = Field(
        min_length=1, description="Client ID of your app at developer.intuit.com, for this environment"
    )
    client_secret: SecretStr = Field(min_length=1, description="Client secret that belongs to the client ID")
    environment: Environment = Field(
        Environment.PRODUCTION, description="Which Intuit environment the keys and the company are of"
    )
    realm_id: str = Field(
        "",
        pattern=r"^[0-9]*$",
        max_length=32,
        description="Company ID (realm), digits only. Needed for a headless set-up; else it comes with the consent, "
        "and if given, no other company is accepted",
    )
    refresh_token: SecretStr | None = Field(
        None, description="Refresh token for a headless set-up. Used once; from then on the stored, rotated one counts"
    )
    match: MatchOn = Field(
        MatchOn.STRICT,
        description="What makes the one active customer with an equal e-mail address the same customer: address and "
        "name (strict), or the address alone (email)",
    )
    adopt_on_name: AdoptOnName = Field(
        AdoptOnName.NEVER,
        description="Whether a customer with an equal name is taken to be the same when one side has no e-mail address",
    )
    inactive: Inactive = Field(
        Inactive.PARK,
        description="What becomes of a matching customer that is inactive: make it active again (reactivate), create "
        "another (new), or ask (park)",
    )
    match_multi_email: bool = Field(
        default=False,
        description="Also search for the address inside fields that hold several, comma separated; one more, slower "
        "query for each customer that is not found otherwise",
    )
    multicurrency: Multicurrency = Field(
        Multicurrency.AUTO,
        description="Whether new customers get the currency that the source says, and one in another currency does "
        "not match; auto asks the company's preferences once a day",
    )
    items: Mapping[str, str] = Field(
        {},
        description="Which item of QuickBooks a line is booked with, by what the billing platform calls it: "
        "Platform's name = Item; Another = Parent:Item",
    )
    fallback_item: str = Field(
        "Services",
        max_length=500,
        description="Item for every line that has none of its own: no entry in items, and no item of the same name",
    )
    create_items: bool = Field(
        default=False, description="Create an item of the same name for a line that has none, instead of the fallback"
    )
    income_account: str = Field(
        "",
        max_length=500,
        description="Account into which created items earn; may be empty where the company has just one income account",
    )
    discount_item: str = Field(
        "",
        max_length=500,
        description="Item for what is taken off as a discount; empty for a discount line where the company has those, "
        "else the fallback item",
    )
    credit_item: str = Field(
        "", max_length=500, description="Item for prepaid credits that are taken off; empty for the fallback item"
    )
    tax_item: str = Field(
        "",
        max_length=500,
        description="Item with which the platform's tax is booked as a line of its own; empty to leave tax to "
        "QuickBooks' own sales tax, whose sum is compared",
    )
    tax_code: str = Field(
        "",
        max_length=100,
        description="Tax code, by name or id, of the lines of an invoice with tax; empty for TAX in the United States",
    )
    untaxed_code: str = Field(
        "",
        max_length=100,
        description="Tax code, by name or id, of lines without tax; empty for NON in the United States",
    )
    email_invoices: bool = Field(
        default=False,
        description="Mark each invoice as to be sent to the address that the customer has in QuickBooks",
    )
    payment_link: bool = Field(
        default=False,
        description="Let invoices be paid online, and tell the platform the link, where QuickBooks Payments is on",
    )
    gifts: Gifts = Field(
        Gifts.OFF,
        description="What becomes of a gift through Tithely beside its giver: nothing (off), a sales receipt of its "
        "own (sales_receipt), or a line in one sales receipt for all gifts of the day (daily_deposit)",
    )
    gift_item: str = Field(
        "",
        max_length=500,
        description="Item with which gifts are booked; empty for an item called Gift, or the fallback",
    )
    deposit_account: str = Field(
        "",
        max_length=500,
        description="Account into which gifts are deposited, a bank account for example; empty for Undeposited Funds",
    )
    replay_seconds: float = Field(
        600.0,
        ge=0,
        le=86_400,
        description="Seconds for which a doubtful create is sent again with the same request id. Intuit does not say "
        "how long it remembers one; 0 never sends again and only looks",
    )
    recovery_lookups: tuple[Seconds, ...] = Field(
        (5.0, 20.0, 60.0, 180.0, 600.0),
        min_length=1,
        description="Seconds after a doubtful create at which the gateway looks again; after the last one the customer "
        "counts as absent",
    )
    timeout_seconds: float = Field(
        30.0, gt=0, le=120, description="Seconds to wait for one answer; QuickBooks itself gives up after 120"
    )
    base_url: str = Field("", description="Address of the accounting API; empty for that of the environment")
    authorize_url: str = Field("", description="Address of Intuit's consent page; empty for Intuit's own")
    token_url: str = Field(
        "", description="Address at which codes and refresh tokens are exchanged; empty for Intuit's own"
    )
    revoke_url: str = Field("", description="Address at which tokens are revoked; empty for Intuit's own")

    @field_validator("base_url", "authorize_url", "token_url", "revoke_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value:
            return value
        try:
            url = URL(value)
        except ValueError as error:
            raise ValueError("is not an address") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("must begin with https:// (or http:// for a sandbox) and name a host")
        if url.user is not None or url.password is not None or url.query_string or url.fragment:
            raise ValueError("must not hold a user, a query or a fragment")
        return value.rstrip("/")

    @field_validator("items", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """Take `One = Item; Another = Parent:Item` as well, as forms and command lines have it."""
        if not isinstance(value, str):
            return value
        pairs = [part.rpartition("=") for part in value.split(";") if part.strip()]
        if not all(name.strip() and item.strip() for name, _, item in pairs):
            raise ValueError("is written as: Platform's name = Item; Another = Item")
        return {name.strip(): item.strip() for name, _, item in pairs}

    @field_validator("recovery_lookups")
    @classmethod
    def _ascends(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)):
            raise ValueError("must ascend: each look-up lies after the one before")
        return value

    @property
    def api_address(self) -> str:
        """Where the accounting API is."""
        return self.base_url or _API[self.environment]

    @property
    def authorize_address(self) -> str:
        """Where people give their consent."""
        return self.authorize_url or _AUTHORIZE

    @property
    def token_address(self) -> str:
        """Where codes and refresh tokens are exchanged."""
        return self.token_url or _TOKEN

    @property
    def revoke_address(self) -> str:
        """Where tokens are revoked."""
        return self.revoke_url or _REVOKE

    @property
    def app_address(self) -> str:
        """QuickBooks' own pages, for people."""
        return _APP[self.environment]

    @property
    def replay(self) -> timedelta | None:
        """How long a doubtful create may be sent again, or None for never."""
        return timedelta(seconds=self.replay_seconds) if self.replay_seconds else None
