"""What `doctor` looks at in the database file itself, before it is opened as a store. Nothing is changed."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from gateway.operations.databases import schema_version
from gateway.operations.findings import Finding, attention, broken, note, ok
from gateway.settings import Settings
from storage import sqlite_path
from storage.errors import SchemaError, StorageError

QUICK_CHECK_BYTES = 512 * 1024**2
SERVER_IS_DURABLE = "The server keeps what it commits (fsync and synchronous_commit are on)."
"""Said once the connection was made: it is refused otherwise (storage.postgres.connection)."""
FULL = 2
"""What `PRAGMA synchronous` answers for FULL: https://www.sqlite.org/pragma.html#pragma_synchronous."""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the database. What is not `ok` about `database` or `schema` forbids to open it as a store."""
    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        yield _absent(path)
        return
    try:
        found, newest = await schema_version(settings.database_url)
    except SchemaError as error:
        yield broken("schema", f"{error.title}: {error.detail}.", error.resolution)
        return
    except StorageError as error:
        yield broken("database", f"The database cannot be read: {error.detail or error.title}.", error.resolution)
        return
    yield _version(found, newest)
    if found == newest:
        for finding in _durable_file(path) if path is not None else [ok("durability", SERVER_IS_DURABLE)]:
            yield finding


def is_usable(findings: list[Finding]) -> bool:
    """Whether the store may be opened after these findings, without creating or changing anything."""
    return not any(finding.check in {"database", "schema"} and finding.level != "ok" for finding in findings)


def _absent(path: Path) -> Finding:
    if not path.absolute().parent.is_dir():
        return broken(
            "database",
            f"The directory of the database, {path.absolute().parent}, does not exist.",
            "Create it, or correct LEDGERGATE_DATABASE_URL.",
        )
    return note(
        "database",
        f"There is no database yet at {path}.",
        "The first `ledgergate serve` or `ledgergate apply FILE` makes it.",
    )


def _version(found: int | None, newest: int) -> Finding:
    if (found or 0) > newest:
        return broken(
            "schema",
            f"The database has schema {found}; this version knows {newest}.",
            "Start the newer version that wrote it, or restore a backup from before.",
        )
    if found != newest:
        return attention(
            "schema",
            f"The database has schema {found or 0}; this version brings it to {newest} when it starts.",
            "Make a backup with `ledgergate db backup FILE`, then run `ledgergate db migrate`.",
        )
    return ok("schema", f"The database has schema {found}, the newest.")


def _durable_file(path: Path) -> Iterator[Finding]:
    """Open the file the way the store does, and read back what the promise rests on."""
    from storage.sqlite import connection  # noqa: PLC0415 - only where the database is of this kind

    try:
        opened = connection.connect(path)
    except StorageError as error:
        yield broken("database", f"The database cannot be written: {error.detail or error.title}.", error.resolution)
        return
    try:
        journal = str(opened.execute("PRAGMA journal_mode").fetchone()[0])
        synchronous = int(opened.execute("PRAGMA synchronous").fetchone()[0])
        if journal != "wal" or synchronous != FULL:
            yield broken(
                "durability",
                f"The database runs with journal_mode={journal}, synchronous={synchronous}, not with WAL and FULL (2).",
                "Move the database to a local disk: network file systems cannot keep the promise.",
            )
        else:
            yield ok("durability", "Commits are synced to disk before they count (WAL, synchronous=FULL).")
        if path.stat().st_size <= QUICK_CHECK_BYTES:
            told = str(opened.execute("PRAGMA quick_check(1)").fetchone()[0])
            if told != "ok":
                yield broken(
                    "database",
                    f"The database file is damaged: {told[:200]}.",
                    "Stop the gateway, keep the file, and restore the newest backup.",
                )
    finally:
        opened.close()
