"""API keys: made, hashed, looked up; and what a key may do where."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.errors import ForbiddenError, KeyMissingError
from storage import Store
from storage.ids import new_id
from storage.records import EVERYWHERE, KeyRow, Scope

KEY_PREFIX = "lgk_"
ADMIN_HASH = "admin_key_hash"
ADMIN_REFERENCE = "admin:"
DEFAULT_TENANT = "default"
DEFAULT_ENVIRONMENT = "prod"


class Role(StrEnum):
    """What a key may do: look, act on what is there, or change the configuration."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether this role includes another."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, with what role, and in which tenant and environment."""

    actor: str
    role: Role
    scope: Scope
    everywhere: bool = False
    """Whether this is the admin key, which works for every tenant and environment."""


def digest(key: str) -> bytes:
    """Return a key's hash. Keys are 256 random bits, so that a plain hash cannot be searched."""
    return hashlib.sha256(b"ledgergate api key" + key.encode("utf-8", "surrogateescape")).digest()


def new_key() -> str:
    """Return a new API key."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


class Access:
    """Decides about keys. Follows the store: a revoked key is refused within two seconds."""

    def __init__(self, store: Store, *, admin_key: str | None, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now
        self._admin = digest(admin_key) if admin_key else None
        self._keys: dict[bytes, KeyRow] = {}
        self._version = -1
        self._used: dict[str, datetime] = {}

    async def prepare(self) -> str | None:
        """Make the admin key at the first start; return it once, to be printed, else None."""
        if self._admin is not None:
            return None
        made = new_key()
        if await self._store.put_meta(ADMIN_HASH, digest(made).hex(), only_if_absent=True):
            self._admin = digest(made)
            return made
        self._admin = bytes.fromhex(await self._store.get_meta(ADMIN_HASH) or "")
        return None

    async def refresh(self) -> None:
        """Take up keys made and revoked since."""
        version = await self._store.config_version()
        if version != self._version:
            self._keys = {row.hash: row for row in await self._store.list_keys() if row.revoked_at is None}
            self._version = version

    async def flush(self) -> None:
        """Write down when keys were last used."""
        if self._used:
            used, self._used = self._used, {}
            await self._store.touch_keys(used)

    async def caller(self, key: str | None, *, tenant_id: str | None, environment_id: str | None) -> Caller:
        """Return who holds this key. Raises KeyMissingError, and ForbiddenError for another tenant or environment."""
        if not key:
            raise KeyMissingError
        given = digest(key)
        if self._admin is not None and hmac.compare_digest(given, self._admin):
            scope = Scope(tenant_id=tenant_id or DEFAULT_TENANT, environment_id=environment_id or DEFAULT_ENVIRONMENT)
            return Caller(actor="admin", role=Role.ADMIN, scope=scope, everywhere=True)
        row = self._keys.get(given)
        if row is None:
            await self.refresh()
            row = self._keys.get(given)
        if row is None:
            raise KeyMissingError
        if (tenant_id or row.tenant_id) != row.tenant_id or (
            environment_id or row.environment_id
        ) != row.environment_id:
            raise ForbiddenError
        self._used[row.key_id] = self._now()
        return _caller(row)

    async def reference(self, key: str | None) -> str:
        """Return what a session keeps of a key: enough to find it again, and no key. Raises KeyMissingError."""
        caller = await self.caller(key, tenant_id=None, environment_id=None)
        row = self._keys.get(digest(key or ""))
        return row.key_id if row is not None and not caller.everywhere else self._admin_reference()

    async def holder(self, reference: str) -> Caller:
        """Return who holds the key of this reference. Raises KeyMissingError once it was revoked or replaced.

        The admin key's scope is everywhere; a session narrows it.
        """
        if reference.startswith(ADMIN_REFERENCE):
            if self._admin is not None and hmac.compare_digest(reference, self._admin_reference()):
                return Caller(actor="admin", role=Role.ADMIN, scope=EVERYWHERE, everywhere=True)
            raise KeyMissingError
        row = self._with_id(reference)
        if row is None:
            await self.refresh()
            row = self._with_id(reference)
        if row is None:
            raise KeyMissingError
        self._used[row.key_id] = self._now()
        return _caller(row)

    def _with_id(self, key_id: str) -> KeyRow | None:
        return next((row for row in self._keys.values() if row.key_id == key_id), None)

    def _admin_reference(self) -> str:
        return ADMIN_REFERENCE + hashlib.sha256(b"reference" + (self._admin or b"")).hexdigest()[:32]

    async def create(
        self, name: str, *, tenant_id: str, environment_id: str, role: Role, actor: str
    ) -> tuple[KeyRow, str]:
        """Make a key; return its row, and the key itself, which is shown once and stored only as a hash."""
        key, now = new_key(), self._now()
        row = KeyRow(
            key_id=new_id("key", now), name=name, hash=digest(key), tenant_id=tenant_id, environment_id=environment_id,
            role=role, created_at=now, last_used_at=None, revoked_at=None,
        )  # fmt: skip
        await self._store.add_key(row)
        await self._store.add_audit(
            actor=actor, action="key.created", subject=name, detail={"role": str(role)}, now=now,
            scope=Scope(tenant_id=tenant_id, environment_id=environment_id),
        )  # fmt: skip
        return row, key


def _caller(row: KeyRow) -> Caller:
    scope = Scope(tenant_id=row.tenant_id, environment_id=row.environment_id)
    return Caller(actor=f"key:{row.name}", role=Role(row.role), scope=scope)
