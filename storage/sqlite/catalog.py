"""What is configured: sources and connections, with their encrypted secrets."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from storage import rows, values
from storage.errors import NotFoundError
from storage.records import EVERYWHERE, ConnectionRow, Json, Scope, SourceRow
from storage.scalars import dumps, micros
from storage.sqlite.database import Database
from storage.sqlite.where import Where

CONFIG_CHANGED = "UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'config_version'"
_PUT_SOURCE = """
INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    platform = excluded.platform, tenant_id = excluded.tenant_id, environment_id = excluded.environment_id,
    verification = excluded.verification, status = excluded.status, settings = excluded.settings,
    updated_at = excluded.updated_at"""
_PUT_CONNECTION = """
INSERT INTO connections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    connector = excluded.connector, tenant_id = excluded.tenant_id, environment_id = excluded.environment_id,
    status = excluded.status, pause_reason = excluded.pause_reason, pause_detail = excluded.pause_detail,
    settings = excluded.settings, account = coalesce(excluded.account, account), updated_at = excluded.updated_at"""
_FORGOTTEN_WITH_A_SOURCE = (
    "DELETE FROM source_activity WHERE source = ?",
    "DELETE FROM rejections WHERE source = ?",
    "DELETE FROM rejection_counts WHERE source = ?",
)
_SECRETS = "SELECT field, value FROM secrets WHERE owner = ?"
_DROP_SECRETS = "DELETE FROM secrets WHERE owner = ?"
_ADD_ENCRYPTED = "INSERT INTO secrets (owner, field, value) VALUES (?, ?, ?)"


class Catalog:
    """The part of the store that deals with sources and connections."""

    _db: Database

    # Sources ---------------------------------------------------------------------------------------------------

    async def list_sources(self, scope: Scope = EVERYWHERE) -> Sequence[SourceRow]:
        """Return all sources, by name."""
        where = Where(scope)

        def work(db: sqlite3.Connection) -> list[SourceRow]:
            found = db.execute(f"SELECT * FROM sources{where} ORDER BY name", where.values).fetchall()
            return [rows.source(row, secrets_of(db, f"source:{row['name']}")) for row in found]

        return await self._db.read(work)

    async def put_source(self, source: SourceRow) -> None:
        """Insert or replace a source with its secrets."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(_PUT_SOURCE, values.source(source))
            put_secrets(db, f"source:{source.name}", source.secrets)
            db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    async def delete_source(self, name: str, scope: Scope = EVERYWHERE) -> None:
        """Remove a source and what was noted at its door; its deliveries and mappings stay. Raises NotFoundError."""
        where = Where(scope)
        where.add("name = ?", name)

        def work(db: sqlite3.Connection) -> None:
            if db.execute(f"DELETE FROM sources{where}", where.values).rowcount == 0:
                raise NotFoundError
            drop_secrets(db, f"source:{name}")
            for statement in _FORGOTTEN_WITH_A_SOURCE:
                db.execute(statement, (name,))
            db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    # Connections -----------------------------------------------------------------------------------------------

    async def list_connections(self, scope: Scope = EVERYWHERE) -> Sequence[ConnectionRow]:
        """Return all connections that were not removed, by name."""
        where = Where(scope)
        where.add("status <> 'removed'")

        def work(db: sqlite3.Connection) -> list[ConnectionRow]:
            found = db.execute(f"SELECT * FROM connections{where} ORDER BY name", where.values).fetchall()
            return [rows.connection(row, secrets_of(db, f"connection:{row['name']}")) for row in found]

        return await self._db.read(work)

    async def put_connection(self, connection: ConnectionRow) -> None:
        """Insert or replace a connection with its secrets; its account and mappings stay."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(_PUT_CONNECTION, values.connection(connection))
            put_secrets(db, f"connection:{connection.name}", connection.secrets)
            db.execute(CONFIG_CHANGED)

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
        """Pause, resume or remove a connection. Raises NotFoundError.

        Removing drops its secrets and tokens, and forgets its account: one of the same name may be another's.
        """
        where = Where(scope)
        where.add("name = ?", name)
        where.add("status <> 'removed'")
        statement = f"UPDATE connections SET status = ?, pause_reason = ?, pause_detail = ?, updated_at = ?{where}"

        def work(db: sqlite3.Connection) -> None:
            if db.execute(statement, (status, reason, detail, micros(now), *where.values)).rowcount == 0:
                raise NotFoundError
            if status == "removed":
                drop_secrets(db, f"connection:{name}")
                for table in ("tokens", "budgets", "circuits"):
                    db.execute(f"DELETE FROM {table} WHERE connection = ?", (name,))
                db.execute("UPDATE connections SET account = NULL WHERE name = ?", (name,))
            db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    async def set_connection_account(self, name: str, account: Json) -> None:
        """Remember the provider's account behind a connection."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("UPDATE connections SET account = ? WHERE name = ?", (dumps(account), name))
            db.execute(CONFIG_CHANGED)

        await self._db.write(work)


def secrets_of(db: sqlite3.Connection, owner: str) -> dict[str, bytes]:
    """Return an owner's encrypted secrets."""
    return {row[0]: row[1] for row in db.execute(_SECRETS, (owner,))}


def put_secrets(db: sqlite3.Connection, owner: str, secrets: Mapping[str, bytes]) -> None:
    """Put an owner's encrypted secrets in place of those that were there."""
    drop_secrets(db, owner)
    db.executemany(_ADD_ENCRYPTED, [(owner, name, value) for name, value in secrets.items()])


def drop_secrets(db: sqlite3.Connection, owner: str) -> None:
    """Forget an owner's secrets."""
    db.execute(_DROP_SECRETS, (owner,))
