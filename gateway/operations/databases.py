"""The database as a whole: brought up to date, copied and the copy tried out, old bodies dropped."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.errors import RequestInvalidError
from gateway.operations.times import stamp
from gateway.secrets import Vault
from storage import Store, sqlite_path, store_for
from storage.errors import StorageError
from storage.records import DeliveryStatus

PRUNE_BATCH = 500
ENDED = (DeliveryStatus.PROCESSED, DeliveryStatus.IGNORED, DeliveryStatus.FAILED)
_PAGE = 500


async def schema_version(url: str) -> tuple[int | None, int]:
    """Return the database's schema version, None while it has none, and the newest that this program knows.

    The database is only looked at: nothing is created or changed. Raises StorageError kinds.
    """
    path = sqlite_path(url)
    return await _server_version(url) if path is None else _file_version(path)


def _file_version(path: Path) -> tuple[int | None, int]:
    from storage.sqlite import connection, migrate  # noqa: PLC0415 - only where the database is of this kind

    newest = migrate.migrations()[-1][0]
    if not path.exists() or path.stat().st_size == 0:
        return None, newest
    opened = connection.connect(path, read_only=True)
    try:
        return migrate.version(opened) or None, newest
    except sqlite3.Error as error:
        raise connection.ours(error) from error
    finally:
        opened.close()


async def _server_version(url: str) -> tuple[int | None, int]:
    try:
        from storage.postgres import connection, migrate  # noqa: PLC0415 - only where the database is of this kind
    except ModuleNotFoundError as error:
        raise StorageError("PostgreSQL needs the extra: pip install 'ledgergate[postgres]'") from error
    opened = await connection.connect(url)
    try:
        return await migrate.version(opened) or None, migrate.migrations()[-1][0]
    finally:
        await opened.close()


async def migrate(url: str) -> dict[str, Any]:
    """Bring the schema up to date, as every start does, and return from which version to which.

    Raises SchemaError, StoreUnavailableError.
    """
    before, _ = await schema_version(url)
    store = store_for(url)
    await store.open()
    await store.close()
    after, newest = await schema_version(url)
    return {"before": before, "after": after, "newest": newest, "changed": before != after}


async def back_up(store: Store, vault: Vault, target: Path, *, now: datetime) -> dict[str, Any]:
    """Copy the database while it is in use, then restore the copy: open it, prove the secret key, compare the contents.

    The copy appears under its name only when it is proven. The secret key is not in it. Raises RequestInvalidError when
    the target exists or its directory does not, StorageError kinds, SecretKeyError.
    """
    _require_room(target)
    unproven = target.with_name(f".{target.name}.unproven")
    _clear(unproven)
    try:
        before = await _contents(store)
        await store.backup(unproven)
        restored = store_for(f"sqlite:///{unproven}")
        await restored.open()
        try:
            await vault.prove(restored)
            contents = await _contents(restored)
        finally:
            await restored.close()
        missing = [name for name, count in before.items() if contents[name] < count]
        if missing:
            msg = f"the copy lacks {', '.join(missing)}: it was removed"
            raise RequestInvalidError(msg)
        size = _appear(unproven, target)
    finally:
        _clear(unproven)
    return {"file": str(target), "bytes": size, "contents": contents, "made_at": stamp(now)}


def _require_room(target: Path) -> None:
    if target.exists() or not target.parent.is_dir():
        msg = f"{target.name} exists already" if target.exists() else f"there is no directory {target.parent}"
        raise RequestInvalidError(msg)


def _appear(unproven: Path, target: Path) -> int:
    """Give the proven copy its name, unless somebody has taken it meanwhile; return its size in bytes."""
    try:
        os.link(unproven, target)
    except FileExistsError:
        msg = f"{target.name} exists already"
        raise RequestInvalidError(msg) from None
    except OSError:  # a file system without hard links
        unproven.rename(target)
    return target.stat().st_size


def _clear(unproven: Path) -> None:
    for leftover in (unproven, *(unproven.with_name(unproven.name + end) for end in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)


async def _contents(store: Store) -> dict[str, int]:
    """Return counts that a sound copy cannot fall below."""
    page = await store.list_deliveries(limit=_PAGE)
    mappings = await store.list_mappings(limit=_PAGE)
    return {
        "sources": len(await store.list_sources()),
        "connections": len(await store.list_connections()),
        "keys": len(await store.list_keys()),
        "newest_deliveries": len(page.items),
        "mappings": len(mappings.items),
    }


def before_of(retention_days: float, now: datetime) -> datetime:
    """Return the moment before which bodies are dropped."""
    return now - timedelta(days=retention_days)


async def prunable(store: Store, *, before: datetime) -> int:
    """Return how many ended deliveries older than this still have their bodies."""
    found = 0
    async for delivery_id in _ended(store, before):
        found += (await store.get_delivery(delivery_id)).body is not None
    return found


async def prune(store: Store, *, before: datetime, told: Callable[[int], None] | None = None) -> int:
    """Drop headers and bodies of ended deliveries older than this, in batches; ids, keys, jobs and mappings stay.

    `told` hears after each batch how many there were so far.
    """
    total = 0
    while True:
        pruned = await store.prune_deliveries(before=before, limit=PRUNE_BATCH)
        total += pruned
        if told is not None:
            told(total)
        if pruned == 0:
            return total


async def _ended(store: Store, before: datetime) -> AsyncIterator[str]:
    for status in ENDED:
        cursor: str | None = None
        while True:
            page = await store.list_deliveries(status=status, until=before, limit=_PAGE, cursor=cursor)
            for delivery in page.items:
                yield delivery.delivery_id
            cursor = page.next_cursor
            if cursor is None:
                break
