"""Numbered migrations, each in one transaction with its row in `schema_migrations`. Forward only."""

from importlib import resources
from typing import Any

from storage.errors import SchemaError

_OURS = "ledgergate"
_LOCK = int.from_bytes(b"LGRG", "big")
_TABLES = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema())"
_MARK = "SELECT obj_description(to_regclass(format('%I.schema_migrations', current_schema())), 'pg_class')"
_CREATE = (
    "CREATE TABLE schema_migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)",
    f"COMMENT ON TABLE schema_migrations IS '{_OURS}'",
)
_APPLIED = "INSERT INTO schema_migrations VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)"


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, file name, SQL) of every migration, in order."""
    folder = resources.files("storage.postgres") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [(int(file.name.split("_", 1)[0]), file.name, file.read_text("utf-8")) for file in files]


async def version(connection: Any) -> int:
    """Return the number of the newest migration that was applied; 0 for an empty schema. Raises SchemaError.

    A table of this name proves nothing, since other programs have one too: the comment on it does.
    """
    if await connection.fetchval(_MARK) == _OURS:
        return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migrations"))
    if await connection.fetchval(_TABLES):
        raise SchemaError("the database has tables, but none of ledgergate's")
    return 0


async def upgrade(connection: Any, *, to: int | None = None) -> list[str]:
    """Apply what is missing and return the names. Several nodes may start at once: one of them does it, under a lock.

    Raises SchemaError when the database is not ours, or was written by a newer version.
    """
    applied = []
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        found, known = await version(connection), migrations()
        if found > known[-1][0]:
            msg = f"schema {found} is newer than {known[-1][0]}, the newest that this version knows"
            raise SchemaError(msg)
        for number, name, script in known:
            if number <= found or (to is not None and number > to):
                continue
            if number == 1:
                for statement in _CREATE:
                    await connection.execute(statement)
            await connection.execute(script)
            await connection.execute(_APPLIED, number, name)
            applied.append(name)
    return applied
