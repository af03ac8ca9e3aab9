"""The interface that a connector implements: find, create, check. The gateway owns the dangerous order around them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Generic, Protocol, TypeVar

import aiohttp
from pydantic import BaseModel, ConfigDict

from connectors.models import Account, Candidate, Created, CreateIntent, Customer, Limits, MatchPolicy, Recovery
from connectors.oauth import TokenStore

API_VERSION = 1


class ConnectorConfig(BaseModel):
    """Base of a connector's config: frozen, unknown keys refused, secrets as `SecretStr`.

    Field descriptions become the console's form, the docs and the error lines of `ledgergate apply`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


ConfigT = TypeVar("ConfigT", bound=ConnectorConfig)


class Limiter(Protocol):
    """The connection's budget of requests, shared by all that use it."""

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Return a context that is entered when a request may be sent; it counts against rate and concurrency."""
        ...

    def hold(self, seconds: float) -> None:
        """Send nothing for `seconds`: the provider has said so."""
        ...


class Unlimited:
    """A limiter that never waits: for platforms, and for tests."""

    def slot(self) -> AbstractAsyncContextManager[None]:
        """Return a context that is entered at once."""
        return nullcontext()

    def hold(self, seconds: float) -> None:
        """Ignore it."""


class Memory(Protocol):
    """Small durable facts of a connection, such as the result of a capability probe."""

    async def get(self, key: str) -> str | None:
        """Return the fact, or None."""
        ...

    async def put(self, key: str, value: str) -> None:
        """Store the fact."""
        ...


class DictMemory:
    """Facts in a dictionary, for tests."""

    def __init__(self) -> None:
        self._facts: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        """Return the fact, or None."""
        return self._facts.get(key)

    async def put(self, key: str, value: str) -> None:
        """Keep the fact."""
        self._facts[key] = value


def utc_now() -> datetime:
    """Return the time, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the gateway lends a connector. Connectors use no other session, clock, or storage."""

    connection: str
    session: aiohttp.ClientSession = field(repr=False)
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    limiter: Limiter = field(default_factory=Unlimited)
    memory: Memory = field(default_factory=DictMemory)
    tokens: TokenStore | None = None
    user_agent: str = "ledgergate"


class Connector(ABC, Generic[ConfigT]):
    """One kind of system in which customers can be found and created.

    An author writes `find_customers`, `create_customer` and `check`; the rest has defaults. The gateway calls them in
    this order, and alone decides whether a record is adopted, created or put before a person:

        mapping → hint (`get_customer`) → `find_customers` → match → intent committed → `create_customer`
    """

    name: ClassVar[str]
    """The connector's name in settings and URLs; equals the entry point's."""
    title: ClassVar[str]
    """The name for people."""
    makes: ClassVar[str] = ""
    """What is made there, in one sentence: for whoever chooses a connector in the console."""
    config_model: ClassVar[type[ConnectorConfig]]
    """The pydantic model of the connection's `config`."""
    api_version: ClassVar[int] = API_VERSION
    """The version of this interface that the connector was written for."""
    variants: ClassVar[int] = 1
    """How many names `create_customer` knows for one customer, for providers where names are unique."""
    marks_records: bool = False
    """Whether created records carry the customer's `reference`, so that a look-up can prove whose they are.

    Set on the class, or on the instance where a setting decides.
    """

    def __init__(self, config: ConfigT, host: Host) -> None:
        self.config = config
        self.host = host

    # What an author writes -------------------------------------------------------------------------------------

    @abstractmethod
    async def find_customers(self, customer: Customer, *, intent: CreateIntent | None = None) -> Sequence[Candidate]:
        """Return every record that may be this customer: by e-mail, by name, by marker, inactive ones too.

        With `intent` the gateway looks for what an earlier create may have made, or for the holder of the name that
        was refused: search for the names of that variant as well. An empty answer means that complete, successful
        look-ups found nothing. Raises ConnectorError for everything else: an error is never "not found".

        Example:
            ```python
            rows = await self._list(email=customer.email)  # to the last page; raises for half a list
            return [self._candidate(row) for row in rows if same_email(row["email"], customer.email)]
            ```
        """

    @abstractmethod
    async def create_customer(self, customer: Customer, *, intent: CreateIntent) -> Created:
        """Create the record with one request and return its id.

        The same customer, variant and key must give the same bytes. Never retried inside. Raises
        DuplicateRefusedError when the provider has an equal record, RejectedError kinds for bad data, ProviderError
        when the outcome is unknown.

        Example:
            ```python
            body = orjson.dumps({"name": customer.full_name, "reference": customer.reference})
            reply = await self._api.request("POST", "/contacts", body=body, headers={"Idempotency-Key": intent.key})
            return Created(provider_entity_id=reply.json()["id"])
            ```
        """

    @abstractmethod
    async def check(self) -> Account:
        """Prove that the credentials work, without writing, and return the account behind them.

        Raises AuthenticationError and other PauseError kinds, which pause the connection; ConnectorError kinds.

        Example:
            ```python
            me = await self._api.get("/account")
            return Account(account_id=me["id"], name=me["name"])
            ```
        """

    # What has a default ----------------------------------------------------------------------------------------

    def validate_customer(self, customer: Customer) -> None:
        """Refuse a customer that can never be created (RejectedError kinds), before any request is made. Pure.

        Example:
            ```python
            if not customer.email:
                raise MissingFieldsError("empty: email")
            ```
        """

    async def get_customer(self, provider_entity_id: str) -> Candidate | None:
        """Return the record, or None when the provider says for certain that it does not exist.

        Raises ConnectorError kinds for everything else, a 404 of a proxy included. The default knows no look-up by id:
        hints from the platform are then not adopted.

        Example:
            ```python
            reply = await self._api.request("GET", f"/contacts/{quote(provider_entity_id, safe='')}", accept_error=gone)
            return None if reply.status == 404 else self._candidate(reply.json())
            ```
        """
        del provider_entity_id
        return None

    async def reactivate_customer(self, provider_entity_id: str) -> None:
        """Make an inactive record active again, where the provider can. Raises StaleRecordError when it is gone.

        Called only where `match_policy` says `Inactive.REACTIVATE`.

        Example: `await self._api.post(f"/contacts/{provider_entity_id}/restore", {})`
        """
        msg = f"{self.name} cannot reactivate {provider_entity_id}"
        raise NotImplementedError(msg)

    def match_policy(self) -> MatchPolicy:
        """Return how sure the gateway must be before it adopts a record.

        Example: `return MatchPolicy(match=self.config.match, inactive=Inactive.PARK)`
        """
        return MatchPolicy()

    def limits(self) -> Limits:
        """Return the provider's limits for one account: requests per second and minute, and at the same time.

        Example: `return Limits(per_second=4.0, per_minute=55.0, concurrency=4)`
        """
        return Limits()

    def recovery(self) -> Recovery:
        """Return how a lost answer is settled: by the same key for a while, by look-ups at these seconds after it.

        Example: `return Recovery(replay_window=timedelta(hours=24), lookups=(5.0, 60.0, 600.0))`
        """
        return Recovery()

    def idempotency_scope(self) -> str:
        """Return what the idempotency key must differ by beside the connection: the provider's account, if known.

        Example: `return self._tokens.realm`
        """
        return ""

    def console_url(self, provider_entity_id: str) -> str | None:
        """Return the page of the record in the provider's own application, for people.

        Example: `return f"https://app.acme.example/contacts/{quote(provider_entity_id, safe='')}"`
        """
        del provider_entity_id
        return None

    async def maintain(self) -> None:
        """Do what is due now and then (about hourly): keep tokens alive, repeat a probe. Writes no customers.

        Raises PauseError kinds to pause the connection; other errors are logged.

        Example: `await self._tokens.keep_alive()`
        """

    async def close(self) -> None:
        """Finish what must not be cut off, such as a token refresh under way. Called before the session is closed.

        Example: `await self._tokens.close()`
        """

    def settings_summary(self) -> Mapping[str, str]:
        """Return settings and probe results worth showing, without secrets.

        Example: `return {"environment": self.config.environment.value}`
        """
        return {}
