"""Numbered migrations, each in one transaction with its row in `schema_migrations`. Forward only."""

import sqlite3
from collections.abc import Iterator
from importlib import resources

from storage.errors import SchemaError


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, file name, SQL) of every migration, in order."""
    folder = resources.files("storage.sqlite") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [(int(file.name.split("_", 1)[0]), file.name, file.read_text("utf-8")) for file in files]


def version(connection: sqlite3.Connection) -> int:
    """Return the number of the newest migration that was applied; 0 for an empty file."""
    table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migrations'"
    if connection.execute(table).fetchone() is None:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
            msg = "the file has tables, but none of ledgergate's"
            raise SchemaError(msg)
        return 0
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()[0])


def upgrade(connection: sqlite3.Connection, *, to: int | None = None) -> list[str]:
    """Apply what is missing and return the names. Several processes may call it at once: each step looks again.

    Raises SchemaError when the file was written by a newer version.
    """
    known = migrations()
    if version(connection) > known[-1][0]:
        msg = f"schema {version(connection)} is newer than {known[-1][0]}, the newest that this version knows"
        raise SchemaError(msg)
    applied = []
    for number, name, script in known:
        if to is not None and number > to:
            break
        if number <= version(connection):
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if number > version(connection):
                for statement in statements(script):
                    connection.execute(statement)
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS schema_migrations"
                    " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
                )
                connection.execute("INSERT INTO schema_migrations VALUES (?, ?, unixepoch() * 1000000)", (number, name))
                applied.append(name)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return applied


def statements(script: str) -> Iterator[str]:
    """Split a script into statements, the way SQLite itself sees their ends."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip() and not all(line.startswith("--") for line in gathered.strip().splitlines()):
        msg = "a migration ends in the middle of a statement"
        raise SchemaError(msg)
