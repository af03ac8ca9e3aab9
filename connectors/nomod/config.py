"""The settings of a Nomod connection."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from yarl import URL

from connectors.base import ConnectorConfig
from connectors.models import MatchOn

LOOKUPS = (5.0, 20.0, 60.0, 180.0, 600.0)


class LookupMode(StrEnum):
    """How customers are looked up by e-mail address. Nomod documents no filter, so the default finds out."""

    AUTO = "auto"
    """Ask the API with addresses whose answer is known, once a day, and use the best that works."""
    FILTER = "filter"
    """`GET /v1/customers?email=…`."""
    SEARCH = "search"
    """`GET /v1/customers?search=…`."""
    SCAN = "scan"
    """Read the whole list of customers each time."""


def _api_key(value: SecretStr) -> SecretStr:
    """Strip the key: blanks around it break it (https://nomod.com/docs/api-reference/authentication)."""
    key = value.get_secret_value().strip()
    if not key or len(key) > 500 or any(not "!" <= letter <= "~" for letter in key):
        raise ValueError("the API key is empty, or holds blanks or letters that no key has")
    return SecretStr(key)


def _base_url(value: str) -> str:
    """Refuse what is no web address; take off the slash and the version that people copy along."""
    try:
        url = URL(value.strip())
    except ValueError as error:
        raise ValueError("the base URL is not a web address") from error
    if url.scheme not in {"http", "https"} or not url.host or url.user or url.password or url.query or url.fragment:
        raise ValueError("the base URL must be http(s)://host, without user, query or fragment")
    return str(url).rstrip("/").removesuffix("/v1").rstrip("/")


def _rising(value: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse look-ups that do not rise: the last is the one after which a record counts as absent."""
    if any(later <= earlier for earlier, later in zip((0.0, *value), value, strict=False)):
        raise ValueError("the seconds must be positive and each greater than the one before")
    return value


class NomodConfig(ConnectorConfig):
    """What a Nomod connection is told. Only `api_key` has no default."""

    api_key: Annotated[SecretStr, AfterValidator(_api_key)] = Field(
        description="API key of the kind *Nomod API*, `sk_live_…` or `sk_test_…`; blanks around it are stripped."
    )
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        default="https://api.nomod.com",
        validate_default=True,
        description="Address of the API without `/v1`; another one only for a sandbox.",
    )
    marker: bool = Field(
        default=False,
        description="Write `lg:<source>:<customer id>` into `job_title` of created customers, so that a look-up can "
        "prove whose they are. Visible in the Nomod app; the API cannot remove it. Allows customers without e-mail.",
    )
    recovery_lookups: Annotated[tuple[Annotated[float, Field(gt=0, le=86_400)], ...], AfterValidator(_rising)] = Field(
        default=LOOKUPS,
        min_length=1,
        max_length=20,
        description="Seconds after a doubtful create at which the gateway looks again. The last one must lie beyond "
        "the time that a new customer may need to show up in look-ups: after it the customer counts as absent.",
    )
    match: MatchOn = Field(
        default=MatchOn.EMAIL,
        description="When the one customer with an equal e-mail address is adopted: `email` always, `strict` only if "
        "the names agree too (otherwise a person decides).",
    )
    lookup: LookupMode = Field(
        default=LookupMode.AUTO,
        description="How customers are looked up by e-mail: `auto` asks the API daily what works, `filter`, `search` "
        "and `scan` force one way.",
    )
    due_days: int = Field(
        default=30, ge=0, le=366, description="Days until an invoice is due where the platform names no due date."
    )
    allow_tabby: bool = Field(default=False, description="Let payers of an invoice pay in instalments by Tabby.")
    allow_tamara: bool = Field(default=False, description="Let payers of an invoice pay in instalments by Tamara.")
    allow_service_fee: bool = Field(
        default=False,
        description="Let Nomod add the account's service fee for the payer: the sum is then not the invoice's.",
    )
    timeout_seconds: float = Field(
        default=30.0, ge=1, le=300, description="Longest time for one request, in seconds, from start to last byte."
    )
    requests_per_second: float = Field(
        default=10.0, gt=0, le=100, description="Most requests a second; Nomod publishes no figure."
    )
    concurrency: int = Field(default=4, ge=1, le=64, description="Most requests at the same time.")
