"""What is configured: sources, connections, secrets, tokens, keys, leases, facts, and the audit of changes."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from storage.errors import ConflictError, NotFoundError
from storage.records import (
    EVERYWHERE,
    AuditEntry,
    ConnectionRow,
    Json,
    KeyRow,
    Page,
    Scope,
    SourceRow,
    TokenRow,
)
from storage.sqlite import rows
from storage.sqlite.database import Database

_CHANGED = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'config_version'"


class Catalog:
    """The part of the store that deals with configuration and keys."""

    _db: Database

    async def config_version(self) -> int:
        """Return a number that grows with every change of sources, connections and keys."""
        return int(await self.get_meta("config_version") or "0")

    async def get_meta(self, key: str) -> str | None:
        """Return a fact about the whole installation, or None."""
        query = "SELECT value FROM meta WHERE key = ?"

        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute(query, (key,)).fetchone()
            return None if row is None else row[0]

        return await self._db.read(work)

    async def put_meta(self, key: str, value: str, *, only_if_absent: bool = False) -> bool:
        """Store a fact about the whole installation; return whether it was stored."""
        verb = "INSERT OR IGNORE" if only_if_absent else "INSERT OR REPLACE"
        return await self._db.write(lambda db: db.execute(f"{verb} INTO meta VALUES (?, ?)", (key, value)).rowcount > 0)

    # Sources ---------------------------------------------------------------------------------------------------

    async def list_sources(self, scope: Scope = EVERYWHERE) -> Sequence[SourceRow]:
        """Return all sources, by name."""
        where = rows.Where(scope)

        def work(db: sqlite3.Connection) -> list[SourceRow]:
            found = db.execute(f"SELECT * FROM sources{where} ORDER BY name", where.values).fetchall()
            return [rows.source(row, _secrets(db, f"source:{row['name']}")) for row in found]

        return await self._db.read(work)

    async def put_source(self, source: SourceRow) -> None:
        """Insert or replace a source with its secrets."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " platform = excluded.platform, tenant_id = excluded.tenant_id,"
                " environment_id = excluded.environment_id, verification = excluded.verification,"
                " status = excluded.status, settings = excluded.settings, updated_at = excluded.updated_at",
                (
                    source.name, source.platform, source.tenant_id, source.environment_id, source.verification,
                    source.status, rows.dumps(source.settings), rows.micros(source.created_at),
                    rows.micros(source.updated_at),
                ),
            )  # fmt: skip
            _put_secrets(db, f"source:{source.name}", source.secrets)
            db.execute(_CHANGED)

        await self._db.write(work)

    async def delete_source(self, name: str, scope: Scope = EVERYWHERE) -> None:
        """Remove a source; its deliveries and mappings stay. Raises NotFoundError."""
        where = rows.Where(scope)
        where.add("name = ?", name)

        def work(db: sqlite3.Connection) -> None:
            if db.execute(f"DELETE FROM sources{where}", where.values).rowcount == 0:
                raise NotFoundError
            db.execute("DELETE FROM secrets WHERE owner = ?", (f"source:{name}",))
            db.execute(_CHANGED)

        await self._db.write(work)

    # Connections -----------------------------------------------------------------------------------------------

    async def list_connections(self, scope: Scope = EVERYWHERE) -> Sequence[ConnectionRow]:
        """Return all connections that were not removed, by name."""
        where = rows.Where(scope)
        where.add("status <> 'removed'")

        def work(db: sqlite3.Connection) -> list[ConnectionRow]:
            found = db.execute(f"SELECT * FROM connections{where} ORDER BY name", where.values).fetchall()
            return [rows.connection(row, _secrets(db, f"connection:{row['name']}")) for row in found]

        return await self._db.read(work)

    async def put_connection(self, connection: ConnectionRow) -> None:
        """Insert or replace a connection with its secrets; its account and mappings stay."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO connections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " connector = excluded.connector, tenant_id = excluded.tenant_id,"
                " environment_id = excluded.environment_id, status = excluded.status,"
                " pause_reason = excluded.pause_reason, pause_detail = excluded.pause_detail,"
                " settings = excluded.settings, account = coalesce(excluded.account, account),"
                " updated_at = excluded.updated_at",
                (
                    connection.name, connection.connector, connection.tenant_id, connection.environment_id,
                    connection.status, connection.pause_reason, connection.pause_detail,
                    rows.dumps(connection.settings), rows.dumps(connection.account),
                    rows.micros(connection.created_at), rows.micros(connection.updated_at),
                ),
            )  # fmt: skip
            _put_secrets(db, f"connection:{connection.name}", connection.secrets)
            db.execute(_CHANGED)

        await self._db.write(work)

    async def set_connection_status(
        self,
        name: str,
        scope: Scope = EVERYWHERE,
        *,
        status: str,
        reason: str | None = None,
        detail: str | None = None,
        now: datetime,
    ) -> None:
        """Pause, resume or remove a connection; removing drops its secrets and tokens. Raises NotFoundError."""
        where = rows.Where(scope)
        where.add("name = ?", name)
        where.add("status <> 'removed'")

        def work(db: sqlite3.Connection) -> None:
            changed = db.execute(
                f"UPDATE connections SET status = ?, pause_reason = ?, pause_detail = ?, updated_at = ?{where}",
                (status, reason, detail, rows.micros(now), *where.values),
            )
            if changed.rowcount == 0:
                raise NotFoundError
            if status == "removed":
                db.execute("DELETE FROM secrets WHERE owner = ?", (f"connection:{name}",))
                db.execute("DELETE FROM tokens WHERE connection = ?", (name,))
            db.execute(_CHANGED)

        await self._db.write(work)

    async def set_connection_account(self, name: str, account: Json) -> None:
        """Remember the provider's account behind a connection."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE connections SET account = ? WHERE name = ?", (rows.dumps(account), name))
            db.execute(_CHANGED)

        await self._db.write(work)

    # Tokens, facts, leases -------------------------------------------------------------------------------------

    async def load_tokens(self, connection: str) -> TokenRow | None:
        """Return a connection's encrypted tokens, or None."""

        def work(db: sqlite3.Connection) -> TokenRow | None:
            row = db.execute("SELECT * FROM tokens WHERE connection = ?", (connection,)).fetchone()
            return None if row is None else TokenRow(payload=row["payload"], version=row["version"])

        return await self._db.read(work)

    async def save_tokens(self, connection: str, payload: bytes, *, replaces: int, now: datetime) -> int:
        """Store tokens in place of version `replaces` (0: none yet); return the new version. Raises ConflictError."""

        def work(db: sqlite3.Connection) -> int:
            row = db.execute("SELECT version FROM tokens WHERE connection = ?", (connection,)).fetchone()
            held = 0 if row is None else row["version"]
            if held != replaces:
                raise ConflictError
            db.execute(
                "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)", (connection, payload, held + 1, rows.micros(now))
            )
            return int(held) + 1

        return await self._db.write(work)

    async def delete_tokens(self, connection: str) -> None:
        """Forget a connection's tokens."""
        await self._db.write(lambda db: db.execute("DELETE FROM tokens WHERE connection = ?", (connection,)))

    async def get_fact(self, owner: str, key: str) -> str | None:
        """Return a small durable fact, or None."""

        def work(db: sqlite3.Connection) -> str | None:
            row = db.execute("SELECT value FROM facts WHERE owner = ? AND key = ?", (owner, key)).fetchone()
            return None if row is None else row[0]

        return await self._db.read(work)

    async def put_fact(self, owner: str, key: str, value: str, *, now: datetime) -> None:
        """Store a small durable fact."""
        await self._db.write(
            lambda db: db.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", (owner, key, value, rows.micros(now))
            )
        )

    async def take_lease(self, name: str, *, owner: str, now: datetime, lease: timedelta) -> bool:
        """Take or keep a named lease; return whether `owner` holds it."""

        def work(db: sqlite3.Connection) -> bool:
            at = rows.micros(now)
            changed = db.execute(
                "INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET owner = excluded.owner,"
                " expires_at = excluded.expires_at WHERE leases.owner = excluded.owner OR leases.expires_at <= ?",
                (name, owner, rows.micros(now + lease), at),
            )
            return changed.rowcount > 0

        return await self._db.write(work)

    async def drop_lease(self, name: str, *, owner: str) -> None:
        """Give a named lease back."""
        await self._db.write(lambda db: db.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner)))

    # Keys ------------------------------------------------------------------------------------------------------

    async def list_keys(self, scope: Scope = EVERYWHERE) -> Sequence[KeyRow]:
        """Return all API keys, revoked ones too."""
        where = rows.Where(scope)
        query = f"SELECT * FROM keys{where} ORDER BY key_id"
        return await self._db.read(lambda db: [rows.key(row) for row in db.execute(query, where.values)])

    async def add_key(self, key: KeyRow) -> None:
        """Store an API key's hash."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                (
                    key.key_id, key.name, key.hash, key.tenant_id, key.environment_id, key.role,
                    rows.micros(key.created_at),
                ),
            )  # fmt: skip
            db.execute(_CHANGED)

        await self._db.write(work)

    async def revoke_key(self, key_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> KeyRow:
        """Revoke the key with this id or name. Raises NotFoundError."""
        where = rows.Where(scope)
        where.add("(key_id = ? OR name = ?)", key_id, key_id)
        where.add("revoked_at IS NULL")

        def work(db: sqlite3.Connection) -> KeyRow:
            row = db.execute(f"SELECT * FROM keys{where} ORDER BY key_id DESC LIMIT 1", where.values).fetchone()
            if row is None:
                raise NotFoundError
            db.execute("UPDATE keys SET revoked_at = ? WHERE key_id = ?", (rows.micros(now), row["key_id"]))
            db.execute(_CHANGED)
            return rows.key(db.execute("SELECT * FROM keys WHERE key_id = ?", (row["key_id"],)).fetchone())

        return await self._db.write(work)

    async def touch_keys(self, used: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        pairs = [(rows.micros(at), key_id) for key_id, at in used.items()]
        await self._db.write(lambda db: db.executemany("UPDATE keys SET last_used_at = ? WHERE key_id = ?", pairs))

    # Secrets and audit -----------------------------------------------------------------------------------------

    async def rewrite_secrets(self, change: Callable[[str, str, bytes], bytes], meta: Mapping[str, str]) -> int:
        """Replace every encrypted value by `change(owner, field, value)`, all or none; return how many.

        `meta` is stored in the same transaction. Tokens are passed as owner `tokens:CONNECTION`, field `payload`.
        """

        def work(db: sqlite3.Connection) -> int:
            found = db.execute("SELECT owner, field, value FROM secrets").fetchall()
            for row in found:
                db.execute(
                    "UPDATE secrets SET value = ? WHERE owner = ? AND field = ?",
                    (change(row["owner"], row["field"], row["value"]), row["owner"], row["field"]),
                )
            tokens = db.execute("SELECT connection, payload FROM tokens").fetchall()
            for row in tokens:
                changed = change(f"tokens:{row['connection']}", "payload", row["payload"])
                db.execute("UPDATE tokens SET payload = ? WHERE connection = ?", (changed, row["connection"]))
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(meta.items()))
            db.execute(_CHANGED)
            return len(found) + len(tokens)

        return await self._db.write(work)

    async def add_audit(
        self, *, actor: str, action: str, subject: str, scope: Scope = EVERYWHERE, detail: Json = None, now: datetime
    ) -> None:
        """Note who changed what. The detail holds neither secrets nor personal data."""
        values = (rows.micros(now), actor, scope.tenant_id, scope.environment_id, action, subject, rows.dumps(detail))
        await self._db.write(
            lambda db: db.execute(
                "INSERT INTO audit (at, actor, tenant_id, environment_id, action, subject, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        )

    async def list_audit(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        subject: str | None = None,
        action: str | None = None,
    ) -> Page[AuditEntry]:
        """Return audit entries, newest first."""
        where = rows.Where(scope)
        where.equal("subject", subject)
        where.equal("action", action)
        if cursor is not None:
            last = rows.decode_cursor(cursor, 1)[0]
            if not last.isdigit():
                raise rows.CursorInvalidError
            where.add("audit_id < ?", int(last))
        query = f"SELECT * FROM audit{where} ORDER BY audit_id DESC LIMIT ?"
        found = await self._db.read(
            lambda db: [rows.audit_entry(row) for row in db.execute(query, (*where.values, limit + 1))]
        )
        return rows.page(found, limit, lambda entry: rows.encode_cursor(str(entry.audit_id)))


def _secrets(db: sqlite3.Connection, owner: str) -> dict[str, bytes]:
    return {row[0]: row[1] for row in db.execute("SELECT field, value FROM secrets WHERE owner = ?", (owner,))}


def _put_secrets(db: sqlite3.Connection, owner: str, secrets: Mapping[str, bytes]) -> None:
    db.execute("DELETE FROM secrets WHERE owner = ?", (owner,))
    db.executemany("INSERT INTO secrets VALUES (?, ?, ?)", [(owner, name, value) for name, value in secrets.items()])
