"""Configuration, secrets, tokens, keys, leases, audit."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from storage.records import (
    EVERYWHERE,
    AuditEntry,
    ConnectionRow,
    Json,
    KeyRow,
    Page,
    Scope,
    SourceRow,
    TokenRow,
)


class CatalogStore(Protocol):
    """Configuration, secrets, tokens, keys, leases, audit."""

    async def config_version(self) -> int:
        """Return a number that grows with every change of sources, connections and keys."""
        ...

    async def get_meta(self, key: str) -> str | None:
        """Return a fact about the whole installation, or None."""
        ...

    async def put_meta(self, key: str, value: str, *, only_if_absent: bool = False) -> bool:
        """Store a fact about the whole installation; return whether it was stored."""
        ...

    async def list_sources(self, scope: Scope = EVERYWHERE) -> Sequence[SourceRow]:
        """Return all sources, by name."""
        ...

    async def put_source(self, source: SourceRow) -> None:
        """Insert or replace a source with its secrets."""
        ...

    async def delete_source(self, name: str, scope: Scope = EVERYWHERE) -> None:
        """Remove a source and what was noted at its door; its deliveries and mappings stay. Raises NotFoundError."""
        ...

    async def list_connections(self, scope: Scope = EVERYWHERE) -> Sequence[ConnectionRow]:
        """Return all connections that were not removed, by name."""
        ...

    async def put_connection(self, connection: ConnectionRow) -> None:
        """Insert or replace a connection with its secrets; its account and mappings stay."""
        ...

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
        ...

    async def set_connection_account(self, name: str, account: Json) -> None:
        """Remember the provider's account behind a connection."""
        ...

    async def load_tokens(self, connection: str) -> TokenRow | None:
        """Return a connection's encrypted tokens, or None."""
        ...

    async def save_tokens(self, connection: str, payload: bytes, *, replaces: int, now: datetime) -> int:
        """Store tokens in place of version `replaces` (0: none yet); return the new version. Raises ConflictError."""
        ...

    async def delete_tokens(self, connection: str) -> None:
        """Forget a connection's tokens."""
        ...

    async def get_fact(self, owner: str, key: str) -> str | None:
        """Return a small durable fact, or None."""
        ...

    async def put_fact(self, owner: str, key: str, value: str, *, now: datetime) -> None:
        """Store a small durable fact."""
        ...

    async def keep_fact(self, owner: str, key: str, value: str, *, now: datetime) -> str:
        """Store a fact that never changes, unless it is there; return the one that stands."""
        ...

    async def take_lease(self, name: str, *, owner: str, now: datetime, lease: timedelta) -> bool:
        """Take or keep a named lease; return whether `owner` holds it."""
        ...

    async def drop_lease(self, name: str, *, owner: str) -> None:
        """Give a named lease back."""
        ...

    async def list_keys(self, scope: Scope = EVERYWHERE) -> Sequence[KeyRow]:
        """Return all API keys, revoked ones too."""
        ...

    async def add_key(self, key: KeyRow) -> None:
        """Store an API key's hash. Raises ConflictError when the id or the hash is there."""
        ...

    async def revoke_key(self, key_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> KeyRow:
        """Revoke the key with this id, else the one with this name.

        Raises NotFoundError, and ConflictError when several keys have the name: only ids tell them apart.
        """
        ...

    async def touch_keys(self, used: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        ...

    async def rewrite_secrets(self, change: Callable[[str, str, bytes], bytes], meta: Mapping[str, str]) -> int:
        """Replace every encrypted value by `change(owner, field, value)`, all or none; return how many.

        `meta` is stored in the same transaction. Tokens are passed as owner `tokens:CONNECTION`, field `payload`.
        """
        ...

    async def add_audit(
        self, *, actor: str, action: str, subject: str, scope: Scope = EVERYWHERE, detail: Json = None, now: datetime
    ) -> None:
        """Note who changed what. The detail holds neither secrets nor personal data."""
        ...

    async def list_audit(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        subject: str | None = None,
        action: str | None = None,
        actor: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Page[AuditEntry]:
        """Return audit entries, newest first."""
        ...
