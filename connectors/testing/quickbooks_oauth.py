"""Intuit's OAuth: consent, codes, rotating refresh tokens and their punished reuse, access tokens bound to a company.

https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web
from yarl import URL

from connectors.testing.quickbooks_quirks import Consent, Quirks, Rotation
from connectors.testing.quickbooks_wire import GatewayRefusal, dump, load

SCOPE = "com.intuit.quickbooks.accounting"
_DAY = 86400.0


@dataclass(slots=True, kw_only=True)
class Chain:
    """One administrator's consent, and every token that came of it."""

    realm_id: str
    began_at: float
    refresh_token: str = field(default="", repr=False)
    refresh_issued_at: float = 0.0
    rotated: dict[str, float] = field(default_factory=dict, repr=False)
    """Refresh tokens that were replaced, and when."""
    access_tokens: dict[str, float] = field(default_factory=dict, repr=False)
    """Access tokens, and when each ends."""
    revoked: bool = False
    refreshes: int = 0
    """How many refreshes succeeded."""
    reused: int = 0
    """How often a rotated token came again: what two uncoordinated processes do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    realm_id: str
    redirect_uri: str
    ends_at: float


class IntuitOAuth:
    """The authorization server. `chains` is its ledger; what it does is steered by the quirks."""

    def __init__(self, quirks: Quirks, *, client_id: str, client_secret: str, realm_id: str) -> None:
        self.quirks = quirks
        self.client_id, self.client_secret = client_id, client_secret
        self.consent_realm = realm_id
        """The company that the administrator picks at the consent page."""
        self.redirect_uris: set[str] | None = None
        """The registered redirect URIs, matched to the letter; None takes any."""
        self.chains: list[Chain] = []
        self.refused: list[str] = []
        """The error of each token request that was refused, in order."""
        self._codes: dict[str, _Code] = {}
        self._spent: dict[str, Chain] = {}

    # ------------------------------------------------------------ what the API asks

    def bearer(self, header: str | None) -> str:
        """Return the realm of an `Authorization` header. Raises GatewayRefusal 3202 or 3200 (401)."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise GatewayRefusal(3202, "Missing or empty oauth_token")
        for chain in self.chains:
            ends_at = chain.access_tokens.get(token.strip())
            if ends_at is None:
                continue
            if chain.revoked:
                raise GatewayRefusal(3200, "Token revoked")
            if ends_at <= self.quirks.clock():
                raise GatewayRefusal(3200, "Token expired: access token has passed its lifetime")
            return chain.realm_id
        raise GatewayRefusal(3200, "Token invalid: unknown token")

    # ------------------------------------------------------------ what tests do

    def issue(self, realm_id: str) -> tuple[str, str]:
        """Begin a chain as if a consent had just been exchanged; return its access and its refresh token."""
        now = self.quirks.clock()
        chain = Chain(realm_id=realm_id, began_at=now, refresh_token=self._refresh_token(), refresh_issued_at=now)
        self.chains.append(chain)
        return self._access_token(chain), chain.refresh_token

    def expire_access_tokens(self) -> None:
        """End every access token now: the next API call answers 401 (3200)."""
        for chain in self.chains:
            chain.access_tokens = dict.fromkeys(chain.access_tokens, 0.0)

    def disconnect(self) -> None:
        """Revoke every chain, as an administrator does under "Apps" in QuickBooks."""
        for chain in self.chains:
            chain.revoked = True

    # ------------------------------------------------------------ endpoints

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """Stand in for the consent page: redirect at once, with a code or with the administrator's refusal."""
        asked = request.query
        redirect = asked.get("redirect_uri", "")
        registered = self.redirect_uris is None or redirect in self.redirect_uris
        complete = asked.get("response_type") == "code" and bool(asked.get("state"))
        if asked.get("client_id") != self.client_id or not redirect or not registered or not complete:
            # Intuit shows a page; an untrusted redirect_uri must never be followed.
            page = "<html><body>Sorry, we didn't connect: the app's request is invalid.</body></html>"
            return web.Response(status=400, text=page, content_type="text/html")
        answer = {"state": asked["state"]}
        if SCOPE not in asked.get("scope", "").split():
            answer |= {"error": "invalid_scope"}
        elif self.quirks.consent == Consent.DENY:
            answer |= {"error": "access_denied"}
        else:
            code = f"XAB{secrets.token_hex(20)}"
            ends_at = self.quirks.clock() + self.quirks.code_life
            self._codes[code] = _Code(realm_id=self.consent_realm, redirect_uri=redirect, ends_at=ends_at)
            answer |= {"code": code, "realmId": self.consent_realm}
        return web.Response(status=302, headers={"Location": str(URL(redirect).update_query(answer))})

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Exchange a code, or refresh."""
        if not self._is_client(request.headers.get("Authorization")):
            return self._refuse("invalid_client", "Incorrect client id or secret", status=401)
        if request.content_type != "application/x-www-form-urlencoded":
            return self._refuse("invalid_request", "The body must be a form")
        form = dict(parse_qsl(await request.text(), keep_blank_values=True))
        match form.get("grant_type"):
            case "authorization_code":
                chain = self._exchange(form)
            case "refresh_token":
                chain = self._refresh(form.get("refresh_token", ""))
            case _:
                return self._refuse("unsupported_grant_type", "Unsupported grant type")
        if chain is None:
            return self._refuse("invalid_grant", "Incorrect or invalid token, or it was already used")
        now = self.quirks.clock()
        answer: dict[str, object] = {
            "token_type": "bearer", "access_token": self._access_token(chain), "refresh_token": chain.refresh_token,
            "expires_in": int(self.quirks.access_token_life),
            "x_refresh_token_expires_in": int(chain.refresh_issued_at + self.quirks.refresh_token_life - now),
        }  # fmt: skip
        if request.headers.get("x-include-refresh-token-hard-expires-in", "").lower() == "true":
            hard = int(chain.began_at + self.quirks.refresh_token_hard_life - now)
            answer["x_refresh_token_hard_expires_in"] = hard
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    async def revoke(self, request: web.Request) -> web.StreamResponse:
        """Revoke the chain of an access or refresh token."""
        if not self._is_client(request.headers.get("Authorization")):
            return self._refuse("invalid_client", "Incorrect client id or secret", status=401)
        try:
            token = load(await request.text())["token"] if request.content_type == "application/json" else None
        except (ValueError, KeyError, TypeError):
            token = None
        for chain in self.chains:
            if token in {chain.refresh_token, *chain.rotated, *chain.access_tokens} and not chain.revoked:
                chain.revoked = True
                return web.Response(status=200)
        return self._refuse("invalid_request", "Invalid token")

    def _exchange(self, form: dict[str, str]) -> Chain | None:
        code = form.get("code", "")
        if code in self._spent:
            # RFC 6749 §4.1.2: a code used twice may have been stolen, so what it brought is void.
            self._spent[code].revoked = self.quirks.revoke_chain_on_reuse
            return None
        granted = self._codes.get(code)
        if granted is None or granted.redirect_uri != form.get("redirect_uri"):
            return None
        del self._codes[code]
        if granted.ends_at <= self.quirks.clock():
            return None
        self.issue(granted.realm_id)
        chain = self.chains[-1]
        chain.access_tokens.clear()
        self._spent[code] = chain
        return chain

    def _refresh(self, token: str) -> Chain | None:
        now, quirks = self.quirks.clock(), self.quirks
        chain = next((c for c in self.chains if token and (token == c.refresh_token or token in c.rotated)), None)
        if chain is None or chain.revoked:
            return None
        if token in chain.rotated:
            chain.reused += 1
            if now - chain.rotated[token] >= quirks.rotated_token_grace:
                chain.revoked = quirks.revoke_chain_on_reuse
                return None
            chain.refreshes += 1
            return chain
        if now >= min(
            chain.refresh_issued_at + quirks.refresh_token_life, chain.began_at + quirks.refresh_token_hard_life
        ):
            return None
        if quirks.rotate == Rotation.ALWAYS or now - chain.refresh_issued_at >= _DAY:
            chain.rotated[token] = now
            chain.refresh_token, chain.refresh_issued_at = self._refresh_token(), now
        chain.refreshes += 1
        return chain

    def _refresh_token(self) -> str:
        return f"RT1-{len(self.chains)}-H0-{secrets.token_hex(20)}"

    def _access_token(self, chain: Chain) -> str:
        # Intuit's are encrypted JWTs of some eight hundred characters, and no two are of one length.
        token = f"eyJhbGciOiJkaXIi.{secrets.token_urlsafe(540 + secrets.randbelow(60))}"
        chain.access_tokens[token] = self.quirks.clock() + self.quirks.access_token_life
        return token

    def _is_client(self, header: str | None) -> bool:
        scheme, _, encoded = (header or "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        known = f"{self.client_id}:{self.client_secret}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, known)

    def _refuse(self, error: str, description: str, *, status: int = 400) -> web.Response:
        self.refused.append(error)
        body = dump({"error": error, "error_description": description})
        return web.Response(status=status, text=body, content_type="application/json")
