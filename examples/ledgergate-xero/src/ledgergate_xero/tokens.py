"""Access tokens of one connection: refreshed when they are old, and saved before they are used.

https://developer.xero.com/faq/oauth2: access tokens live 30 minutes, unused refresh tokens 60 days. A refresh gives a
new refresh token; the old one works for 30 minutes more, so that a refresh whose answer was lost can be tried again.
"""

import base64
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from connectors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    Host,
    JsonApi,
    NeedsReauthError,
    ProviderError,
    Reply,
    Tokens,
    TokensChangedError,
    TokenStore,
    UnreachableError,
)

from ledgergate_xero.config import XeroConfig

EARLY = timedelta(minutes=2)
KEEP_ALIVE = timedelta(days=14)
_LIFE = 1800
TOKEN_PATH = "/connect/token"  # noqa: S105 - a path
REVOKE_PATH = "/connect/revocation"


class XeroTokens:
    """Gives out tokens that work. However many ask at once, one refreshes: the store's lock sees to it."""

    def __init__(self, config: XeroConfig, host: Host) -> None:
        self._config, self._host = config, host
        basic = base64.b64encode(f"{config.client_id}:{config.client_secret.get_secret_value()}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
        self._api = JsonApi(host, config.identity_url, headers=headers, timeout=config.timeout_seconds)
        self.known: Tokens | None = None

    @property
    def tenant(self) -> str:
        """The organisation: as configured, else as the consent said; empty before."""
        return self._config.tenant_id or (self.known.realm if self.known else "")

    async def access(self, *, refused: str = "") -> Tokens:
        """Return tokens whose access token is young, and not the one that Xero has `refused`.

        Raises NeedsReauthError, ConfigurationError, UnreachableError.
        """
        if self.known is not None and self._is_good(self.known, refused):
            return self.known
        async with self._store.exclusive():
            stored = await self._store.load()
            if stored is None or not self._is_good(stored, refused):
                stored = await self._refreshed(stored)
            self.known = stored
            return stored

    async def keep_alive(self) -> None:
        """Refresh tokens that nobody has used for two weeks. Raises as `access`."""
        stored = await self._store.load()
        refreshed_at = stored.refreshed_at if stored is not None else None
        if stored is not None and refreshed_at is not None and self._host.now() - refreshed_at >= KEEP_ALIVE:
            await self.access(refused=stored.access_token)

    async def exchange(self, code: str, redirect_uri: str) -> Tokens:
        """Turn the code of a consent into tokens, which are not stored yet. Raises AuthenticationError, as `access`."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        try:
            return await self._ask(form, Tokens(refresh_token=""))
        except NeedsReauthError as error:
            raise AuthenticationError("the code of the consent was used before, or is too old: start again") from error

    async def revoke(self) -> None:
        """Revoke the stored tokens. Raises UnreachableError."""
        async with self._store.exclusive():
            stored = await self._store.load()
            if stored is not None:
                await self._send(REVOKE_PATH, {"token": stored.refresh_token})
        self.known = None

    @property
    def _store(self) -> TokenStore:
        if self._host.tokens is None:
            raise ConfigurationError("the gateway lends this connection no token store")
        return self._host.tokens

    def _is_good(self, tokens: Tokens, refused: str) -> bool:
        if not tokens.access_token or tokens.access_token == refused or tokens.access_expires_at is None:
            return False
        return tokens.access_expires_at - self._host.now() > EARLY

    async def _refreshed(self, stored: Tokens | None) -> Tokens:
        seed = self._config.refresh_token
        if stored is None and seed is not None:
            stored = Tokens(refresh_token=seed.get_secret_value(), realm=self._config.tenant_id)
        if stored is None or not stored.refresh_token:
            raise NeedsReauthError("no organisation is connected yet")
        renewed = await self._ask({"grant_type": "refresh_token", "refresh_token": stored.refresh_token}, stored)
        try:
            return await self._store.save(renewed)
        except TokensChangedError as error:
            raise UnreachableError("the tokens were replaced while they were refreshed") from error

    async def _ask(self, form: dict[str, str], old: Tokens) -> Tokens:
        reply = await self._send(TOKEN_PATH, form)
        now = self._host.now()
        try:
            body = reply.json()
        except ProviderError as error:
            raise UnreachableError("Xero's token endpoint: the answer is not JSON") from error
        if reply.status >= 400:
            raise _refusal(body)
        told = body if isinstance(body, dict) else {}
        access, refresh = told.get("access_token"), told.get("refresh_token")
        if not (isinstance(access, str) and access and isinstance(refresh, str) and refresh):
            raise UnreachableError("Xero's token endpoint: the answer holds no tokens")
        return replace(
            old, refresh_token=refresh, access_token=access, access_expires_at=_until(now, told.get("expires_in")),
            refreshed_at=now,
        )  # fmt: skip

    async def _send(self, path: str, form: dict[str, str]) -> Reply:
        """Ask the token endpoint. It writes no contact, so that its failures are never an unknown outcome."""
        try:
            return await self._api.request(
                "POST", path, body=urlencode(form).encode(),
                accept_error=lambda reply: reply.status in {400, 401} and reply.is_json,
            )  # fmt: skip
        except ProviderError as error:
            raise UnreachableError(f"Xero's token endpoint: {error.detail}", retry_after=error.retry_after) from error


def _refusal(body: Any) -> ConnectorError:
    """Return what a refusal of RFC 6749, section 5.2, means."""
    code = body.get("error") if isinstance(body, dict) else None
    if code == "invalid_grant":
        return NeedsReauthError("Xero refused the refresh token", provider_code="invalid_grant")
    known = code if code in {"invalid_client", "unauthorized_client", "invalid_request", "invalid_scope"} else None
    return ConfigurationError("Xero refused the app; check client_id and client_secret", provider_code=known)


def _until(now: datetime, seconds: Any) -> datetime:
    life = seconds if isinstance(seconds, int) and not isinstance(seconds, bool) and 0 < seconds < 86_400 else _LIFE
    return now + timedelta(seconds=life)
