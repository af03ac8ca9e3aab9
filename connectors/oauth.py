"""OAuth 2 for connectors: tokens, the store that the gateway lends, and what a connector with consent offers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One chain of tokens. `version` grows with each save; `realm` is the provider's account (QuickBooks `realmId`)."""

    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    hard_expires_at: datetime | None = None
    refreshed_at: datetime | None = None
    realm: str = ""
    version: int = 0


class TokenStore(Protocol):
    """Where the gateway keeps a connection's tokens, encrypted. It is shared by all processes and nodes."""

    async def load(self) -> Tokens | None:
        """Return the newest tokens, or None before the first consent."""
        ...

    async def save(self, tokens: Tokens) -> Tokens:
        """Store tokens durably, replacing version `tokens.version`; return them with their new version.

        Raises TokensChangedError when another process has saved since; the caller loads again.
        """
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Return a context in which no other task, process or node refreshes this connection's tokens.

        Entering waits for the others. The lease behind it ends by itself if this process dies.
        """
        ...


class TokensChangedError(Exception):
    """Another process has saved newer tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What came back from a consent: the tokens, and the account that they belong to."""

    tokens: Tokens
    account_id: str
    account_name: str = ""


class OAuthConsent(ABC):
    """Mixin of connectors whose credentials come from a person's consent in the browser."""

    @abstractmethod
    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        """Return the provider's address to which the person is sent."""

    @abstractmethod
    async def exchange(self, *, params: Mapping[str, str], redirect_uri: str) -> Consent:
        """Turn the callback's query parameters into tokens, and read the account back.

        Raises AuthenticationError or ConfigurationError where the provider refuses, PauseError kinds otherwise.
        """

    @abstractmethod
    async def revoke(self) -> None:
        """Revoke the tokens at the provider. Mappings stay."""
