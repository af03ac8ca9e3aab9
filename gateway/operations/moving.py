"""An installation moved from SQLite to PostgreSQL: every row, compared before anything is committed."""

from collections.abc import Callable
from typing import Any

from gateway.errors import RequestInvalidError
from storage import sqlite_path
from storage.errors import StorageError

POSTGRES = ("postgresql://", "postgres://")


async def move(url: str, target: str, *, told: Callable[[int], None]) -> dict[str, Any]:
    """Copy the database at `url` into the empty one at `target`, and return what was copied, by table.

    Nothing else may be using the source, which is noticed. `told` hears how many rows were written so far. Raises
    RequestInvalidError for databases of the wrong kinds, ConflictError when the target is not empty or the source was
    written to meanwhile, StorageError kinds; in all cases the target is as it was.
    """
    path = sqlite_path(url)
    if path is None or not target.startswith(POSTGRES):
        raise RequestInvalidError("a copy leads from a SQLite file (LEDGERGATE_DATABASE_URL) to postgresql://…")
    if not path.exists():
        msg = f"there is no database {path}"
        raise RequestInvalidError(msg)
    try:
        from storage.copying import copy_store  # noqa: PLC0415 - needs the extra of PostgreSQL
        from storage.postgres.store import PostgresStore  # noqa: PLC0415 - as above
        from storage.sqlite.store import SqliteStore  # noqa: PLC0415 - with it
    except ModuleNotFoundError as error:
        raise StorageError("PostgreSQL needs the extra: pip install 'ledgergate[postgres]'") from error
    done: dict[str, int] = {}

    def written(table: str, rows: int, _: int) -> None:
        done[table] = rows
        told(sum(done.values()))

    source, copy = SqliteStore(path), PostgresStore(target)
    await source.open()
    try:
        await copy.open()
        try:
            report = await copy_store(source, copy, written)
        finally:
            await copy.close()
    finally:
        await source.close()
    return {"rows": report.rows, "tables": {table: each.rows for table, each in report.tables.items()}}
