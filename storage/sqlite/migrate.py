"""Numbered migrations, each in one transaction with its row in `schema_migrations`. Forward only."""

import sqlite3
from collections.abc import Iterator
from importlib import resources

from storage.errors import SchemaError

APPLICATION_ID = int.from_bytes(b"LGRG", "big")


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, file name, SQL) of every migration, in order."""
    folder = resources.files("storage.sqlite") / "migrations"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [(int(file.name.split("_", 1)[0]), file.name, file.read_text("utf-8")) for file in files]


def version(connection: sqlite3.Connection) -> int:
    """Return the number of the newest migration that was applied; 0 for an empty file. Raises SchemaError.

    A table of this name proves nothing, since other programs have one too: the file's application id does.
    """
    apart = not connection.in_transaction  # id and tables are of one moment: another process may be creating them
    if apart:
        connection.execute("BEGIN")
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
            return int(connection.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()[0])
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
            raise SchemaError("the file has tables, but none of ledgergate's")
        return 0
    finally:
        if apart and connection.in_transaction:
            connection.execute("ROLLBACK")


def check(connection: sqlite3.Connection) -> None:
    """Raise SchemaError when the file belongs to another program, or to a newer version of this one."""
    found, newest = version(connection), migrations()[-1][0]
    if found > newest:
        msg = f"schema {found} is newer than {newest}, the newest that this version knows"
        raise SchemaError(msg)


def upgrade(connection: sqlite3.Connection, *, to: int | None = None) -> list[str]:
    """Apply what is missing and return the names. Several processes may call it at once: each step looks again.

    Raises SchemaError when the file is not ours, or was written by a newer version.
    """
    check(connection)
    applied = []
    for number, name, script in migrations():
        if to is not None and number > to:
            break
        if number <= version(connection):
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if number > version(connection):
                _apply(connection, number, name, script)
                applied.append(name)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return applied


def _apply(connection: sqlite3.Connection, number: int, name: str, script: str) -> None:
    for statement in statements(script):
        connection.execute(statement)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
    )
    connection.execute("INSERT INTO schema_migrations VALUES (?, ?, unixepoch() * 1000000)", (number, name))


def statements(script: str) -> Iterator[str]:
    """Split a script into statements, the way SQLite itself sees their ends. Raises SchemaError for half a one."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if any(line.strip() and not line.startswith("--") for line in gathered.splitlines()):
        raise SchemaError("a migration ends in the middle of a statement")
