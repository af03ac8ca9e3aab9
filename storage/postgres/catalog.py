"""What is configured: sources and connections, with their encrypted secrets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from storage import rows, values
from storage.errors import NotFoundError
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.postgres.where import Where
from storage.records import EVERYWHERE, ConnectionRow, Json, Scope, SourceRow
from storage.rows import Row
from storage.scalars import dumps, micros

CONFIG_CHANGED = "UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'config_version'"
_PUT_SOURCE = """
INSERT INTO sources VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name) DO UPDATE SET
    platform = excluded.platform, tenant_id = excluded.tenant_id, environment_id = excluded.environment_id,
    verification = excluded.verification, status = excluded.status, settings = excluded.settings,
    updated_at = excluded.updated_at"""
_PUT_CONNECTION = """
INSERT INTO connections VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (name) DO UPDATE SET
    connector = excluded.connector, tenant_id = excluded.tenant_id, environment_id = excluded.environment_id,
    status = excluded.status, pause_reason = excluded.pause_reason, pause_detail = excluded.pause_detail,
    settings = excluded.settings, account = coalesce(excluded.account, connections.account),
    updated_at = excluded.updated_at"""
_FORGOTTEN_WITH_A_SOURCE = (
    "DELETE FROM source_activity WHERE source = $1",
    "DELETE FROM rejections WHERE source = $1",
    "DELETE FROM rejection_counts WHERE source = $1",
)
_DROP_SECRETS = "DELETE FROM secrets WHERE owner = $1"
_ADD_ENCRYPTED = """
INSERT INTO secrets (owner, field, value)
SELECT $1, f.field, f.value FROM unnest($2::text[], $3::bytea[]) AS f (field, value)"""


class Catalog:
    """The part of the store that deals with sources and connections."""

    _db: Database

    # Sources ---------------------------------------------------------------------------------------------------

    async def list_sources(self, scope: Scope = EVERYWHERE) -> Sequence[SourceRow]:
        """Return all sources, by name."""
        found = await self._db.run(lambda db: with_secrets(db, "sources", "source", Where(scope)))
        return [rows.source(row, secrets) for row, secrets in found]

    async def put_source(self, source: SourceRow) -> None:
        """Insert or replace a source with its secrets."""

        async def work(db: Session) -> None:
            await db.execute(_PUT_SOURCE, *values.source(source))
            await put_secrets(db, f"source:{source.name}", source.secrets)
            await db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    async def delete_source(self, name: str, scope: Scope = EVERYWHERE) -> None:
        """Remove a source and what was noted at its door; its deliveries and mappings stay. Raises NotFoundError."""
        where = Where(scope)
        where.add("name = ?", name)

        async def work(db: Session) -> None:
            if await db.execute(f"DELETE FROM sources{where}", *where.values) == 0:
                raise NotFoundError
            await drop_secrets(db, f"source:{name}")
            for statement in _FORGOTTEN_WITH_A_SOURCE:
                await db.execute(statement, name)
            await db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    # Connections -----------------------------------------------------------------------------------------------

    async def list_connections(self, scope: Scope = EVERYWHERE) -> Sequence[ConnectionRow]:
        """Return all connections that were not removed, by name."""
        where = Where(scope)
        where.add("status <> 'removed'")
        found = await self._db.run(lambda db: with_secrets(db, "connections", "connection", where))
        return [rows.connection(row, secrets) for row, secrets in found]

    async def put_connection(self, connection: ConnectionRow) -> None:
        """Insert or replace a connection with its secrets; its account and mappings stay."""

        async def work(db: Session) -> None:
            await db.execute(_PUT_CONNECTION, *values.connection(connection))
            await put_secrets(db, f"connection:{connection.name}", connection.secrets)
            await db.execute(CONFIG_CHANGED)

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
        n = len(where.values)
        statement = f"""UPDATE connections SET status = ${n + 1}, pause_reason = ${n + 2}, pause_detail = ${n + 3},
                               updated_at = ${n + 4}{where}"""

        async def work(db: Session) -> None:
            if await db.execute(statement, *where.values, status, reason, detail, micros(now)) == 0:
                raise NotFoundError
            if status == "removed":
                await drop_secrets(db, f"connection:{name}")
                for table in ("tokens", "budgets", "circuits"):
                    await db.execute(f"DELETE FROM {table} WHERE connection = $1", name)
                await db.execute("UPDATE connections SET account = NULL WHERE name = $1", name)
            await db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    async def set_connection_account(self, name: str, account: Json) -> None:
        """Remember the provider's account behind a connection."""

        async def work(db: Session) -> None:
            await db.execute("UPDATE connections SET account = $1 WHERE name = $2", dumps(account), name)
            await db.execute(CONFIG_CHANGED)

        await self._db.write(work)


async def with_secrets(db: Session, table: str, kind: str, where: Where) -> list[tuple[Row, dict[str, bytes]]]:
    """Return rows with their secrets, all of one moment, by name."""
    found = await db.rows(
        f"""SELECT t.*, s.field AS secret_field, s.value AS secret_value FROM {table} t
              LEFT JOIN secrets s ON s.owner = '{kind}:' || t.name{where} ORDER BY t.name, s.field""",
        *where.values,
    )
    together = [list(group) for _, group in groupby(found, key=lambda row: row["name"])]
    return [
        (group[0], {row["secret_field"]: row["secret_value"] for row in group if row["secret_field"] is not None})
        for group in together
    ]


async def put_secrets(db: Session, owner: str, secrets: Mapping[str, bytes]) -> None:
    """Put an owner's encrypted secrets in place of those that were there."""
    await drop_secrets(db, owner)
    await db.execute(_ADD_ENCRYPTED, owner, list(secrets), list(secrets.values()))


async def drop_secrets(db: Session, owner: str) -> None:
    """Forget an owner's secrets."""
    await db.execute(_DROP_SECRETS, owner)
