"""What the gateway keeps for itself: facts, leases, OAuth tokens, and the rewriting of all that is encrypted."""

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from storage.errors import ConflictError
from storage.records import TokenRow
from storage.scalars import micros
from storage.sqlite.catalog import CONFIG_CHANGED
from storage.sqlite.database import Database

_PUT_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_ADD_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
_FIRST_TOKENS = "INSERT INTO tokens VALUES (?, ?, 1, ?) ON CONFLICT (connection) DO NOTHING"
_NEXT_TOKENS = """
UPDATE tokens SET payload = ?, version = version + 1, updated_at = ? WHERE connection = ? AND version = ?"""
_GET_FACT = "SELECT value FROM facts WHERE owner = ? AND key = ?"
_KEEP_FACT = "INSERT INTO facts VALUES (?, ?, ?, ?) ON CONFLICT (owner, key) DO NOTHING"
_PUT_FACT = """
INSERT INTO facts VALUES (?, ?, ?, ?)
ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"""
_TAKE_LEASE = """
INSERT INTO leases VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
 WHERE leases.owner = excluded.owner OR leases.expires_at <= ?"""


class Vault:
    """The part of the store that keeps small things safe."""

    _db: Database

    async def config_version(self) -> int:
        """Return a number that grows with every change of sources, connections and keys."""
        return int(await self.get_meta("config_version") or "0")

    async def get_meta(self, key: str) -> str | None:
        """Return a fact about the whole installation, or None."""
        return await self._db.read(lambda db: _value(db, "SELECT value FROM meta WHERE key = ?", key))

    async def put_meta(self, key: str, value: str, *, only_if_absent: bool = False) -> bool:
        """Store a fact about the whole installation; return whether it was stored."""
        statement = _ADD_META if only_if_absent else _PUT_META
        return await self._db.write(lambda db: db.execute(statement, (key, value)).rowcount > 0)

    async def load_tokens(self, connection: str) -> TokenRow | None:
        """Return a connection's encrypted tokens, or None."""

        def work(db: sqlite3.Connection) -> TokenRow | None:
            row = db.execute("SELECT * FROM tokens WHERE connection = ?", (connection,)).fetchone()
            return None if row is None else TokenRow(payload=row["payload"], version=row["version"])

        return await self._db.read(work)

    async def save_tokens(self, connection: str, payload: bytes, *, replaces: int, now: datetime) -> int:
        """Store tokens in place of version `replaces` (0: none yet); return the new version. Raises ConflictError."""

        def work(db: sqlite3.Connection) -> int:
            if replaces == 0:
                saved = db.execute(_FIRST_TOKENS, (connection, payload, micros(now)))
            else:
                saved = db.execute(_NEXT_TOKENS, (payload, micros(now), connection, replaces))
            if saved.rowcount == 0:
                raise ConflictError
            return replaces + 1

        return await self._db.write(work)

    async def delete_tokens(self, connection: str) -> None:
        """Forget a connection's tokens."""
        await self._db.write(lambda db: db.execute("DELETE FROM tokens WHERE connection = ?", (connection,)).rowcount)

    async def get_fact(self, owner: str, key: str) -> str | None:
        """Return a small durable fact, or None."""
        return await self._db.read(lambda db: _value(db, _GET_FACT, owner, key))

    async def put_fact(self, owner: str, key: str, value: str, *, now: datetime) -> None:
        """Store a small durable fact."""
        await self._db.write(lambda db: db.execute(_PUT_FACT, (owner, key, value, micros(now))).rowcount)

    async def keep_fact(self, owner: str, key: str, value: str, *, now: datetime) -> str:
        """Store a fact that never changes, unless it is there; return the one that stands."""

        def work(db: sqlite3.Connection) -> str:
            db.execute(_KEEP_FACT, (owner, key, value, micros(now)))
            return str(_value(db, _GET_FACT, owner, key))

        return await self._db.write(work)

    async def take_lease(self, name: str, *, owner: str, now: datetime, lease: timedelta) -> bool:
        """Take or keep a named lease; return whether `owner` holds it."""
        wanted = (name, owner, micros(now + lease), micros(now))
        return await self._db.write(lambda db: db.execute(_TAKE_LEASE, wanted).rowcount > 0)

    async def drop_lease(self, name: str, *, owner: str) -> None:
        """Give a named lease back."""
        statement = "DELETE FROM leases WHERE name = ? AND owner = ?"
        await self._db.write(lambda db: db.execute(statement, (name, owner)).rowcount)

    async def rewrite_secrets(self, change: Callable[[str, str, bytes], bytes], meta: Mapping[str, str]) -> int:
        """Replace every encrypted value by `change(owner, field, value)`, all or none; return how many.

        `meta` is stored in the same transaction. Tokens are passed as owner `tokens:CONNECTION`, field `payload`.
        """

        def work(db: sqlite3.Connection) -> int:
            secrets = db.execute("SELECT owner, field, value FROM secrets").fetchall()
            tokens = db.execute("SELECT connection, payload FROM tokens").fetchall()
            db.executemany(
                "UPDATE secrets SET value = ? WHERE owner = ? AND field = ?",
                [(change(*row), row["owner"], row["field"]) for row in secrets],
            )
            db.executemany(
                "UPDATE tokens SET payload = ? WHERE connection = ?",
                [(change(f"tokens:{row[0]}", "payload", row[1]), row[0]) for row in tokens],
            )
            db.executemany(_PUT_META, list(meta.items()))
            db.execute(CONFIG_CHANGED)
            return len(secrets) + len(tokens)

        return await self._db.write(work)


def _value(db: sqlite3.Connection, query: str, *bound: str) -> str | None:
    row = db.execute(query, bound).fetchone()
    return None if row is None else row[0]
