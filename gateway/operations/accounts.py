"""The provider's account behind a connection: remembered, and never exchanged for another under existing mappings."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.models import Account
from gateway.errors import AccountChangedError
from gateway.operations.times import stamp
from storage import Store
from storage.records import ConnectionRow, MappingStatus

ACCOUNT_FACT = "gateway.account_id"
OTHER_KEY = "the credentials are other than at the last check: make sure that they are of the same account"


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
    """Refuse another account than the connection had. For connectors with a consent, whose account is proven.

    The account outlives the connection's removal, as its mappings do. Raises AccountChangedError.
    """
    known = await _other_account(store, row, account_id)
    if known is not None:
        msg = f"connection {row.name} belongs to account {known}, these credentials to {account_id}"
        raise AccountChangedError(msg)


async def warned(store: Store, row: ConnectionRow, account: Account) -> Account:
    """Return the account with a warning, where it may be another than before.

    For connectors without a consent: their provider names no account, and a new key of the same one looks like another.
    """
    if await _other_account(store, row, account.account_id) is None:
        return account
    return replace(account, warnings=(*account.warnings, OTHER_KEY))


async def keep_account(store: Store, row: ConnectionRow, account: Account, *, now: datetime) -> None:
    """Remember the account behind a connection."""
    view = account_view(account, now=now)
    before = row.account or {}
    if {**before, "checked_at": None} != {**view, "checked_at": None}:
        # Stored only when it differs: every write makes running gateways read their configuration again.
        await store.set_connection_account(row.name, view)
    if account.account_id:
        await store.put_fact(f"connection:{row.name}", ACCOUNT_FACT, account.account_id, now=now)


async def _other_account(store: Store, row: ConnectionRow, account_id: str) -> str | None:
    """Return the account that the connection had, if it is another, and customers or the connection are bound to it."""
    known = (row.account or {}).get("account_id") or await store.get_fact(f"connection:{row.name}", ACCOUNT_FACT)
    if not known or not account_id or known == account_id:
        return None
    linked = await store.list_mappings(connection=row.name, status=MappingStatus.LINKED, limit=1)
    return str(known) if linked.items or row.account else None
