"""A person's consent in the browser, from the page to which they are sent to the tokens that come of it."""

import hashlib
import hmac
import secrets as randomness
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.models import Account
from connectors.oauth import Consent, OAuthConsent
from gateway.errors import AccountChangedError, ConsentInvalidError, GatewayError, PluginError, RequestInvalidError
from gateway.operations.accounts import account_view, keep_account, require_same_account
from gateway.plugins import connector_plugins
from gateway.secrets import Vault
from storage import Store
from storage.records import ConnectionRow

CALLBACK_PATH = "/oauth/callback"
"""Where providers send people back to: this path under the gateway's public address."""
STATE_BYTES = 32
VALID = timedelta(minutes=10)
_PENDING = "consent.pending"
_OUTCOME = "consent.outcome"
_LEASE = timedelta(seconds=60)
_MAX_STATE = 200
SEED = "refresh_token"
"""The secret that stands for a consent in a headless set-up."""
CURED_BY_CONSENT = frozenset({"needs_reauth", "authentication_failed"})


class Consents:
    """Consents under way: at most one for a connection, the newest. Kept as a hash in the store's facts."""

    def __init__(self, store: Store, vault: Vault, now: Callable[[], datetime]) -> None:
        self._store, self._vault, self._now = store, vault, now

    async def start(self, row: ConnectionRow, connector: Connector[Any], *, redirect_uri: str) -> str:
        """Return the provider's address. Its state is 256 random bits, single use, for this connection, ten minutes.

        Raises RequestInvalidError where the connector's credentials come another way.
        """
        consent = _consent(connector)
        token = randomness.token_urlsafe(STATE_BYTES)
        pending = {
            "state": _digest(token),
            "redirect_uri": redirect_uri,
            "expires_at": (self._now() + VALID).timestamp(),
        }
        await self._put(row.name, _PENDING, pending)
        return consent.authorize_url(state=f"{row.name}~{token}", redirect_uri=redirect_uri)

    async def lacking(self, rows: Iterable[ConnectionRow]) -> frozenset[str]:
        """Return which connections need a consent and have none, from what is stored; no provider is asked."""
        waiting = [row.name for row in rows if takes_consent(row.connector) and SEED not in row.secrets]
        return frozenset([name for name in waiting if await self._store.load_tokens(name) is None])

    @staticmethod
    def connection_of(params: Mapping[str, str]) -> str:
        """Return the connection that an answer is for, as its state says; nothing is proven yet.

        Raises ConsentInvalidError.
        """
        state = params.get("state", "")
        name, mark, token = state.partition("~")
        if not (name and mark and token) or len(state) > _MAX_STATE:
            msg = "the answer has no state of ours"
            raise ConsentInvalidError(msg)
        return name

    async def finish(
        self, row: ConnectionRow, connector: Connector[Any], *, params: Mapping[str, str]
    ) -> dict[str, Any]:
        """Check the state, exchange the code, compare the account, save the tokens; return the account.

        Raises ConsentInvalidError, AccountChangedError, and what the connector's exchange raises. The state is used up
        either way.
        """
        state = params.get("state", "")
        pending = await self._use(row.name, state)
        try:
            consent = await self._exchange(row, connector, params, redirect_uri=str(pending["redirect_uri"]))
        except (ConnectorError, GatewayError) as error:
            await self._tell(row.name, state, {"code": error.code, "detail": error.detail or error.title})
            raise
        account = Account(account_id=consent.account_id, name=consent.account_name)
        await keep_account(self._store, row, account, now=self._now())
        view = account_view(account, now=self._now())
        done = {"account_id": view["account_id"], "account_name": view["name"]}
        await self._tell(row.name, state, {"code": None, **done})
        return done

    async def resume(self, row: ConnectionRow) -> bool:
        """Let a connection go on that was waiting for this consent; return whether it was."""
        if row.status != "paused" or row.pause_reason not in CURED_BY_CONSENT:
            return False
        await self._store.set_connection_status(row.name, status="active", now=self._now())
        return True

    async def outcome(self, name: str, *, url: str) -> dict[str, Any] | None:
        """Return what became of the consent that this address began, None while it is open."""
        state = parse_qs(urlsplit(url).query).get("state", [""])[0]
        found = await self._get(name, _OUTCOME)
        return found if found and hmac.compare_digest(str(found.get("state", "")), _digest(_token(state))) else None

    # ------------------------------------------------------------------------------------------------------------

    async def _exchange(
        self, row: ConnectionRow, connector: Connector[Any], params: Mapping[str, str], *, redirect_uri: str
    ) -> Consent:
        flow = _consent(connector)
        wanted = connector.idempotency_scope()
        try:
            got = await flow.exchange(params=params, redirect_uri=redirect_uri)
            if wanted and wanted != got.account_id:
                msg = f"connection {row.name} is set up for account {wanted}, the consent is for {got.account_id}"
                raise AccountChangedError(msg)
            await require_same_account(self._store, row, got.account_id)
            await self._save(connector, got)
        finally:
            await connector.close()
        return got

    @staticmethod
    async def _save(connector: Connector[Any], consent: Consent) -> None:
        """Put the new tokens in place of whatever is there, at a moment when nobody refreshes the old ones."""
        tokens = connector.host.tokens
        if tokens is None:
            msg = "the connector was lent no token store"
            raise RequestInvalidError(msg)
        async with tokens.exclusive():
            stored = await tokens.load()
            await tokens.save(replace(consent.tokens, version=stored.version if stored else 0))

    async def _use(self, name: str, state: str) -> dict[str, Any]:
        """Return the consent under way and use it up, whoever else comes with the same state at the same moment."""
        lease, owner = f"consent:{name}", randomness.token_hex(8)
        if not await self._store.take_lease(lease, owner=owner, now=self._now(), lease=_LEASE):
            msg = "another answer for this connection is being looked at"
            raise ConsentInvalidError(msg)
        try:
            pending = await self._get(name, _PENDING)
            if not pending or not hmac.compare_digest(str(pending.get("state", "")), _digest(_token(state))):
                raise ConsentInvalidError
            await self._put(name, _PENDING, {})
            if float(pending["expires_at"]) < self._now().timestamp():
                msg = "it took longer than ten minutes"
                raise ConsentInvalidError(msg)
            return pending
        finally:
            await self._store.drop_lease(lease, owner=owner)

    async def _tell(self, name: str, state: str, told: dict[str, Any]) -> None:
        await self._put(name, _OUTCOME, {"state": _digest(_token(state)), **told})

    async def _get(self, name: str, key: str) -> dict[str, Any] | None:
        text = await self._store.get_fact(f"connection:{name}", key)
        found = orjson.loads(text) if text else None
        return found if isinstance(found, dict) and found else None

    async def _put(self, name: str, key: str, value: dict[str, Any]) -> None:
        await self._store.put_fact(f"connection:{name}", key, orjson.dumps(value).decode(), now=self._now())


def _consent(connector: Connector[Any]) -> OAuthConsent:
    if not isinstance(connector, OAuthConsent):
        msg = f"{connector.name} needs no consent: its credentials are settings of the connection"
        raise RequestInvalidError(msg)
    return connector


def takes_consent(connector: str) -> bool:
    """Return whether a connector has a consent; one that cannot be loaded has none."""
    try:
        return issubclass(connector_plugins().load(connector), OAuthConsent)
    except PluginError:
        return False


def _token(state: str) -> str:
    return state.partition("~")[2]


def _digest(token: str) -> str:
    return hashlib.sha256(b"ledgergate consent" + token.encode("utf-8", "surrogateescape")).hexdigest()
