"""Connecting a company: a person's consent in the browser, turned into tokens, and taken back.

https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0
"""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from connectors.base import Host
from connectors.errors import AuthenticationError, ConfigurationError
from connectors.oauth import Consent, Tokens
from connectors.quickbooks.auth import TokenManager
from connectors.quickbooks.client import QuickBooksApi, record_in
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.endpoint import GrantRefusedError, TokenEndpoint

SCOPE = "com.intuit.quickbooks.accounting"


class ConsentFlow:
    """The three steps of a consent; keeping the tokens is the gateway's, which compares the company first."""

    def __init__(
        self, config: QuickBooksConfig, endpoint: TokenEndpoint, tokens: TokenManager, api: QuickBooksApi
    ) -> None:
        self._config, self._endpoint, self._tokens, self._api = config, endpoint, tokens, api

    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        """Return where to send the person. Intuit compares `redirect_uri` with the registered ones to the letter."""
        query = {
            "client_id": self._config.client_id,
            "response_type": "code",
            "scope": SCOPE,
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{self._config.authorize_address}?{urlencode(query, quote_via=quote)}"

    async def exchange(self, *, params: Mapping[str, str], redirect_uri: str) -> Consent:
        """Turn the callback's query into tokens and read the company's name with them, before anything is stored.

        Raises AuthenticationError for a refused consent or a dead code, ConfigurationError for a callback or an app
        that is not in order, and what reading the company raises.
        """
        error = params.get("error", "")
        if error == "access_denied":
            raise AuthenticationError("the person did not agree to the connection", provider_code=error)
        if error:
            raise ConfigurationError("Intuit refused the consent; check the app's scopes and redirect addresses")
        code, realm = params.get("code", ""), params.get("realmId", "")
        if not code or not (realm.isascii() and realm.isdigit() and len(realm) <= 32):
            raise ConfigurationError("Intuit's answer lacks the code or the company (realmId)")
        try:
            tokens = await self._endpoint.exchange(code=code, redirect_uri=redirect_uri, realm=realm)
        except GrantRefusedError as refusal:
            raise AuthenticationError(
                "the code of the consent was used before, or is too old: start again",
                provider_code="invalid_grant",
                provider_request_id=refusal.request_id,
            ) from refusal
        name = await self._company(tokens)
        await self._tokens.settle_seed()
        self._tokens.forget()
        return Consent(tokens=tokens, account_id=realm, account_name=name)

    async def _company(self, tokens: Tokens) -> str:
        info = record_in(await self._api.read(f"companyinfo/{tokens.realm}", tokens=tokens), "CompanyInfo")
        name = info.get("CompanyName")
        return name if isinstance(name, str) else ""

    async def revoke(self, host: Host) -> None:
        """Revoke the stored tokens at Intuit, at a moment when nobody refreshes them. Raises ConnectorError kinds."""
        if host.tokens is None:
            return
        async with host.tokens.exclusive():
            stored = await host.tokens.load()
            if stored is not None and stored.refresh_token:
                await self._endpoint.revoke(stored.refresh_token)
        await self._tokens.settle_seed()
        self._tokens.forget()
