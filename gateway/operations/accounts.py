"""The provider's account behind a connection: remembered, and never exchanged for another under existing mappings."""

from datetime import datetime
from typing import Any

from connectors.models import Account
from gateway.errors import AccountChangedError
from gateway.operations.times import stamp
from storage import Store
from storage.records import ConnectionRow, MappingStatus

ACCOUNT_FACT = "gateway.account_id"


def account_view(account: Account, *, now: datetime) -> dict[str, Any]:
    """Return an account as it is stored and shown."""
    return {
        "account_id": account.account_id,
        "name": account.name,
        "details": dict(account.details),
        "warnings": list(account.warnings),
        "checked_at": stamp(now),
    }


async def require_same_account(store: Store, row: ConnectionRow, account_id: str) -> None:
    """Refuse another account than the connection had, while mappings depend on it. Raises AccountChangedError.

    The account outlives the connection's removal, as its mappings do.
    """
    known = (row.account or {}).get("account_id") or await store.get_fact(f"connection:{row.name}", ACCOUNT_FACT)
    if not known or not account_id or known == account_id:
        return
    linked = await store.list_mappings(connection=row.name, status=MappingStatus.LINKED, limit=1)
    if linked.items or row.account:
        msg = f"connection {row.name} belongs to account {known}, these credentials to {account_id}"
        raise AccountChangedError(msg)


async def keep_account(store: Store, row: ConnectionRow, account: Account, *, now: datetime) -> None:
    """Remember the account behind a connection. Raises AccountChangedError."""
    await require_same_account(store, row, account.account_id)
    view = account_view(account, now=now)
    before = row.account or {}
    if {**before, "checked_at": None} != {**view, "checked_at": None}:
        # Stored only when it differs: every write makes running gateways read their configuration again.
        await store.set_connection_account(row.name, view)
    if account.account_id:
        await store.put_fact(f"connection:{row.name}", ACCOUNT_FACT, account.account_id, now=now)
