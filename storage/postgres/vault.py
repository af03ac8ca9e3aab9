"""What the gateway keeps for itself: facts, leases, OAuth tokens, and the rewriting of all that is encrypted."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from storage.errors import ConflictError
from storage.postgres.catalog import CONFIG_CHANGED
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.records import TokenRow
from storage.scalars import micros

_PUT_META = "INSERT INTO meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_ADD_META = "INSERT INTO meta VALUES ($1, $2) ON CONFLICT (key) DO NOTHING"
_FIRST_TOKENS = "INSERT INTO tokens VALUES ($1, $2, 1, $3) ON CONFLICT (connection) DO NOTHING"
_NEXT_TOKENS = """
UPDATE tokens SET payload = $2, version = version + 1, updated_at = $3 WHERE connection = $1 AND version = $4"""
_KEEP_FACT = "INSERT INTO facts VALUES ($1, $2, $3, $4) ON CONFLICT (owner, key) DO NOTHING"
_PUT_FACT = """
INSERT INTO facts VALUES ($1, $2, $3, $4)
ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"""
_TAKE_LEASE = """
INSERT INTO leases VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
 WHERE leases.owner = excluded.owner OR leases.expires_at <= $4"""
_SECRETS = "SELECT owner, field, value FROM secrets ORDER BY owner, field FOR UPDATE"
_TOKENS = "SELECT connection, payload FROM tokens ORDER BY connection FOR UPDATE"


class Vault:
    """The part of the store that keeps small things safe."""

    _db: Database

    async def config_version(self) -> int:
        """Return a number that grows with every change of sources, connections and keys."""
        return int(await self.get_meta("config_version") or "0")

    async def get_meta(self, key: str) -> str | None:
        """Return a fact about the whole installation, or None."""
        value: str | None = await self._db.run(lambda db: db.value("SELECT value FROM meta WHERE key = $1", key))
        return value

    async def put_meta(self, key: str, value: str, *, only_if_absent: bool = False) -> bool:
        """Store a fact about the whole installation; return whether it was stored."""
        statement = _ADD_META if only_if_absent else _PUT_META
        return await self._db.run(lambda db: db.execute(statement, key, value)) > 0

    async def load_tokens(self, connection: str) -> TokenRow | None:
        """Return a connection's encrypted tokens, or None."""
        row = await self._db.run(lambda db: db.row("SELECT * FROM tokens WHERE connection = $1", connection))
        return None if row is None else TokenRow(payload=row["payload"], version=row["version"])

    async def save_tokens(self, connection: str, payload: bytes, *, replaces: int, now: datetime) -> int:
        """Store tokens in place of version `replaces` (0: none yet); return the new version. Raises ConflictError."""
        if replaces == 0:
            saved = await self._db.run(lambda db: db.execute(_FIRST_TOKENS, connection, payload, micros(now)))
        else:
            saved = await self._db.run(lambda db: db.execute(_NEXT_TOKENS, connection, payload, micros(now), replaces))
        if saved == 0:
            raise ConflictError
        return replaces + 1

    async def delete_tokens(self, connection: str) -> None:
        """Forget a connection's tokens."""
        await self._db.run(lambda db: db.execute("DELETE FROM tokens WHERE connection = $1", connection))

    async def get_fact(self, owner: str, key: str) -> str | None:
        """Return a small durable fact, or None."""
        query = "SELECT value FROM facts WHERE owner = $1 AND key = $2"
        value: str | None = await self._db.run(lambda db: db.value(query, owner, key))
        return value

    async def put_fact(self, owner: str, key: str, value: str, *, now: datetime) -> None:
        """Store a small durable fact."""
        await self._db.run(lambda db: db.execute(_PUT_FACT, owner, key, value, micros(now)))

    async def keep_fact(self, owner: str, key: str, value: str, *, now: datetime) -> str:
        """Store a fact that never changes, unless it is there; return the one that stands."""
        await self._db.run(lambda db: db.execute(_KEEP_FACT, owner, key, value, micros(now)))
        return str(await self.get_fact(owner, key))

    async def take_lease(self, name: str, *, owner: str, now: datetime, lease: timedelta) -> bool:
        """Take or keep a named lease; return whether `owner` holds it."""
        wanted = (name, owner, micros(now + lease), micros(now))
        return await self._db.run(lambda db: db.execute(_TAKE_LEASE, *wanted)) > 0

    async def drop_lease(self, name: str, *, owner: str) -> None:
        """Give a named lease back."""
        statement = "DELETE FROM leases WHERE name = $1 AND owner = $2"
        await self._db.run(lambda db: db.execute(statement, name, owner))

    async def rewrite_secrets(self, change: Callable[[str, str, bytes], bytes], meta: Mapping[str, str]) -> int:
        """Replace every encrypted value by `change(owner, field, value)`, all or none; return how many.

        `meta` is stored in the same transaction. Tokens are passed as owner `tokens:CONNECTION`, field `payload`.
        """

        async def work(db: Session) -> int:
            secrets, tokens = await db.rows(_SECRETS), await db.rows(_TOKENS)
            for row in secrets:
                owner, field = row["owner"], row["field"]
                changed = change(owner, field, row["value"])
                await db.execute("UPDATE secrets SET value = $3 WHERE owner = $1 AND field = $2", owner, field, changed)
            for row in tokens:
                connection = row["connection"]
                changed = change(f"tokens:{connection}", "payload", row["payload"])
                await db.execute("UPDATE tokens SET payload = $2 WHERE connection = $1", connection, changed)
            for key in sorted(meta):
                await db.execute(_PUT_META, key, meta[key])
            await db.execute(CONFIG_CHANGED)
            return len(secrets) + len(tokens)

        return await self._db.write(work)
