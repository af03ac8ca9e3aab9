"""Intuit's token endpoint: codes and refresh tokens exchanged, tokens revoked.

https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0
Nothing here can have written a customer, so a failure in passing is always told as `unreachable`.
"""

import base64
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from connectors.base import Host
from connectors.errors import ConfigurationError, ConnectorError, ProviderError, UnreachableError
from connectors.http import JsonApi, Reply
from connectors.oauth import Tokens
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.faults import REQUEST_ID_HEADER

TIMEOUT = 20.0
_ACCESS_LIFE = 3600
_REFRESH_LIFE = 100 * 86_400
_HARD_EXPIRY = {"x-include-refresh-token-hard-expires-in": "true"}
"""Asks for the day on which the consent ends for good, five years on; the answer may leave it out."""


class GrantRefusedError(Exception):
    """The code or refresh token is dead: used, rotated, revoked or expired (`invalid_grant`)."""

    def __init__(self, request_id: str | None) -> None:
        super().__init__("invalid_grant")
        self.request_id = request_id


class TokenEndpoint:
    """Two POSTs, authenticated with the app's own id and secret."""

    def __init__(self, config: QuickBooksConfig, host: Host) -> None:
        self._config, self._host = config, host
        pair = f"{config.client_id}:{config.client_secret.get_secret_value()}".encode()
        self._headers = {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}

    async def exchange(self, *, code: str, redirect_uri: str, realm: str) -> Tokens:
        """Turn the code of a consent into the first tokens of a chain. Raises GrantRefusedError, ConnectorError."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return await self._ask(form, Tokens(refresh_token="", realm=realm))

    async def refresh(self, old: Tokens) -> Tokens:
        """Turn a refresh token into an access token and, once a day, a new refresh token. Raises as `exchange`.

        A lost answer is asked for once more with the same token: it is unrotated, or still honoured, or dead anyway.
        """
        form = {"grant_type": "refresh_token", "refresh_token": old.refresh_token}
        try:
            return await self._ask(form, old)
        except UnreachableError:
            await self._host.sleep(1.0)
            return await self._ask(form, old)

    async def revoke(self, token: str) -> None:
        """Revoke the chain of a token. One that is dead already is no error. Raises ConnectorError kinds."""
        reply = await self._post(self._config.revoke_address, orjson.dumps({"token": token}), "application/json")
        error = _refusal(reply)
        if error not in {"", "invalid_request", "invalid_grant", "invalid_token"}:
            raise _client_error(error, reply)

    async def _ask(self, form: dict[str, str], old: Tokens) -> Tokens:
        body = urlencode(form).encode("ascii")
        reply = await self._post(self._config.token_address, body, "application/x-www-form-urlencoded")
        error = _refusal(reply)
        if error == "invalid_grant":
            raise GrantRefusedError(reply.headers.get(REQUEST_ID_HEADER))
        if error:
            raise _client_error(error, reply)
        return _tokens_in(reply, old, self._host.now())

    async def _post(self, address: str, body: bytes, kind: str) -> Reply:
        """Send once and return the answer below 500. Raises UnreachableError for all that may pass."""
        api = JsonApi(
            self._host, address, headers=self._headers, request_id_header=REQUEST_ID_HEADER,
            timeout=min(TIMEOUT, self._config.timeout_seconds),
        )  # fmt: skip
        headers = {"Content-Type": kind, **_HARD_EXPIRY}
        try:
            return await api.request("POST", "", body=body, headers=headers, accept_error=_is_refusal)
        except ProviderError as error:
            raise _unreachable(str(error), error.provider_request_id) from error


def _is_refusal(reply: Reply) -> bool:
    """Whether an answer is the endpoint's own "no", rather than something that passes."""
    return 400 <= reply.status < 500 and reply.status not in {408, 429}


def _refusal(reply: Reply) -> str:
    """Return the `error` of RFC 6749, section 5.2; nothing for a good answer. Raises for a page instead of JSON."""
    if reply.status < 400:
        return ""
    if not reply.is_json:
        raise _unreachable(f"HTTP {reply.status} with a page instead of JSON", reply.headers.get(REQUEST_ID_HEADER))
    body = _decoded(reply)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, str):
        return "invalid_client" if reply.status == 401 else "invalid_request"
    return error


def _client_error(error: str, reply: Reply) -> ConnectorError:
    known = {
        "invalid_client": "Intuit does not know client_id and client_secret; the keys of sandbox and production differ",
        "unauthorized_client": "Intuit does not let this app ask for tokens",
        "invalid_request": "Intuit refused the token request; check the redirect address registered for the app",
        "invalid_scope": "Intuit refused the scope com.intuit.quickbooks.accounting for this app",
    }
    text = known.get(error, "Intuit refused the token request")
    code = error if error in known else None
    return ConfigurationError(text, provider_code=code, provider_request_id=reply.headers.get(REQUEST_ID_HEADER))


def _tokens_in(reply: Reply, old: Tokens, now: datetime) -> Tokens:
    body = _decoded(reply)
    access, refresh = (body.get(name) if isinstance(body, dict) else None for name in ("access_token", "refresh_token"))
    if not (isinstance(access, str) and access and isinstance(refresh, str) and refresh):
        raise _unreachable("the answer holds no tokens", reply.headers.get(REQUEST_ID_HEADER))
    hard = _seconds(body.get("x_refresh_token_hard_expires_in"))
    return Tokens(
        refresh_token=refresh,
        access_token=access,
        access_expires_at=now + timedelta(seconds=_seconds(body.get("expires_in")) or _ACCESS_LIFE),
        refresh_expires_at=now + timedelta(seconds=_seconds(body.get("x_refresh_token_expires_in")) or _REFRESH_LIFE),
        hard_expires_at=old.hard_expires_at if hard is None else now + timedelta(seconds=hard),
        refreshed_at=now,
        realm=old.realm,
        version=old.version,
    )


def _seconds(value: Any) -> int | None:
    """Return a number of seconds as Intuit sends it, as a number or in quotes; None for anything else."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _decoded(reply: Reply) -> Any:
    try:
        return reply.json()
    except ProviderError as error:
        raise _unreachable("the answer is not JSON", reply.headers.get(REQUEST_ID_HEADER)) from error


def _unreachable(reason: str, request_id: str | None) -> UnreachableError:
    return UnreachableError(f"Intuit's token endpoint: {reason}", provider_request_id=request_id)
