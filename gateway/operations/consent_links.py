"""One-time links to a consent: handed to the person who connects a company, good for one visit within ten minutes."""

import hashlib
import hmac
import secrets as randomness
from collections.abc import Callable
from datetime import datetime, timedelta

import orjson

from connectors.oauth import OAuthConsent
from gateway.errors import ConsentInvalidError, RequestInvalidError
from gateway.plugins import connector_plugins
from storage import Store
from storage.records import ConnectionRow, Scope

VALID = timedelta(minutes=10)
TOKEN_BYTES = 32
_FACT = "consent.link"
_LEASE = timedelta(seconds=30)


class ConsentLinks:
    """Links under way: at most one for a connection, the newest. Kept as a hash in the store's facts, for all nodes."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now
        self._connectors = connector_plugins()

    async def make(self, row: ConnectionRow, *, actor: str) -> str:
        """Return a new token; an earlier one of the connection ends with it.

        Raises PluginError, and RequestInvalidError where the connector's credentials come another way.
        """
        kind = self._connectors.load(row.connector)
        if not issubclass(kind, OAuthConsent):
            raise RequestInvalidError(f"{kind.title} needs no consent: its credentials are settings of the connection")
        token = randomness.token_urlsafe(TOKEN_BYTES)
        await self._put(row.name, {"token": _digest(token), "until": (self._now() + VALID).timestamp()})
        await self._store.add_audit(
            actor=actor, action="connection.consent_begun", subject=row.name, now=self._now(),
            scope=Scope(tenant_id=row.tenant_id, environment_id=row.environment_id),
        )  # fmt: skip
        return token

    async def use(self, connection: str, token: str) -> None:
        """Use a token up. Raises ConsentInvalidError for a wrong, used or expired one."""
        lease, owner = f"consent_link:{connection}", randomness.token_hex(8)
        kept = await self._get(connection)
        if not kept or not hmac.compare_digest(str(kept.get("token", "")), _digest(token)):
            raise ConsentInvalidError("the link is unknown or was used before")
        if not await self._store.take_lease(lease, owner=owner, now=self._now(), lease=_LEASE):
            raise ConsentInvalidError("the link is being used at this moment")
        try:
            if await self._get(connection) != kept:
                raise ConsentInvalidError("the link was used before")
            await self._put(connection, {})
        finally:
            await self._store.drop_lease(lease, owner=owner)
        if float(str(kept["until"])) < self._now().timestamp():
            raise ConsentInvalidError("the link is older than ten minutes")

    async def _get(self, connection: str) -> dict[str, object] | None:
        text = await self._store.get_fact(f"connection:{connection}", _FACT)
        found = orjson.loads(text) if text else None
        return found if isinstance(found, dict) else None

    async def _put(self, connection: str, value: dict[str, object]) -> None:
        await self._store.put_fact(f"connection:{connection}", _FACT, orjson.dumps(value).decode(), now=self._now())


def _digest(token: str) -> str:
    return hashlib.sha256(b"ledgergate consent link" + token.encode("utf-8", "surrogateescape")).hexdigest()
