"""Durable state: deliveries, jobs, mappings, configuration. Knows no HTTP and no plugins."""

from pathlib import Path

from storage.base import Store
from storage.errors import StorageError

__all__ = ["StorageError", "Store", "sqlite_path", "store_for"]

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def sqlite_path(url: str) -> Path | None:
    """Return the file of a `sqlite:///` URL (three slashes: relative, four: absolute), None for other databases."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def store_for(url: str) -> Store:
    """Return the store for a database URL, not yet opened. Raises StorageError for an unknown kind of database."""
    path = sqlite_path(url)
    if path is not None:
        from storage.sqlite.store import SqliteStore  # noqa: PLC0415 - only the backend that is used is imported

        return SqliteStore(path)
    if url.startswith(_POSTGRES):
        try:
            from storage.postgres.store import PostgresStore  # noqa: PLC0415 - as above; asyncpg is an extra
        except ModuleNotFoundError as error:
            raise StorageError("PostgreSQL needs the extra: pip install 'ledgergate[postgres]'") from error
        return PostgresStore(url)
    raise StorageError("the database URL must begin with sqlite:/// or postgresql://")
