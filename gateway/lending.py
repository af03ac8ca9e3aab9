"""What the gateway lends a connector from the store: its tokens, encrypted, and its small durable facts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson

from connectors.oauth import Tokens, TokensChangedError
from gateway.secrets import Vault
from storage import Store
from storage.errors import ConflictError, StorageError

LEASE = timedelta(seconds=30)
"""How long others leave the tokens alone when the process that refreshes them gives no sign of life any more."""
_TIMES = ("access_expires_at", "refresh_expires_at", "hard_expires_at", "refreshed_at")


class StoredTokens:
    """A connection's tokens in the store. See connectors.oauth.TokenStore."""

    def __init__(
        self,
        connection: str,
        *,
        store: Store,
        vault: Vault,
        now: Callable[[], datetime],
        owner: str,
        lease: timedelta = LEASE,
    ) -> None:
        self._connection, self._store, self._vault, self._now, self._owner = connection, store, vault, now, owner
        self._lease = lease
        self._here = asyncio.Lock()

    async def load(self) -> Tokens | None:
        """Return the newest tokens."""
        row = await self._store.load_tokens(self._connection)
        if row is None:
            return None
        plain = orjson.loads(self._vault.decrypt(f"tokens:{self._connection}", "payload", row.payload))
        times = {name: datetime.fromisoformat(plain[name]) if plain.get(name) else None for name in _TIMES}
        return Tokens(
            refresh_token=plain["refresh_token"],
            access_token=plain["access_token"],
            realm=plain.get("realm", ""),
            version=row.version,
            **times,
        )

    async def save(self, tokens: Tokens) -> Tokens:
        """Store tokens in place of their version. Raises TokensChangedError."""
        plain: dict[str, str | None] = {
            name: moment.astimezone(UTC).isoformat() if (moment := getattr(tokens, name)) is not None else None
            for name in _TIMES
        }
        plain |= {"refresh_token": tokens.refresh_token, "access_token": tokens.access_token, "realm": tokens.realm}
        sealed = self._vault.encrypt(f"tokens:{self._connection}", "payload", orjson.dumps(plain).decode())
        try:
            version = await self._store.save_tokens(self._connection, sealed, replaces=tokens.version, now=self._now())
        except ConflictError as error:
            raise TokensChangedError from error
        return replace(tokens, version=version)

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold the refresh lease, in this process and over all others; it is kept for as long as the refresh takes."""
        name, owner = f"refresh:{self._connection}", f"{self._owner}:{id(self)}"
        async with self._here:
            while not await self._take(name, owner):  # noqa: ASYNC110 - the lease lies in the store, not in this process
                await asyncio.sleep(0.1)
            keeping = asyncio.create_task(self._keep(name, owner))
            try:
                yield
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
                await self._store.drop_lease(name, owner=owner)

    async def _take(self, name: str, owner: str) -> bool:
        return await self._store.take_lease(name, owner=owner, now=self._now(), lease=self._lease)

    async def _keep(self, name: str, owner: str) -> None:
        """Renew the lease at every third of it: a process that dies is waited for no longer than one lease."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            with contextlib.suppress(StorageError):
                await self._take(name, owner)


class StoredMemory:
    """A connection's facts in the store. See connectors.base.Memory."""

    def __init__(self, connection: str, *, store: Store, now: Callable[[], datetime]) -> None:
        self._owner, self._store, self._now = f"connection:{connection}", store, now

    async def get(self, key: str) -> str | None:
        """Return the fact, or None."""
        return await self._store.get_fact(self._owner, key)

    async def put(self, key: str, value: str) -> None:
        """Store the fact."""
        await self._store.put_fact(self._owner, key, value, now=self._now())
