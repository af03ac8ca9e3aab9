"""API keys: made and shown once, listed, revoked."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from gateway.access import DEFAULT_ENVIRONMENT, DEFAULT_TENANT, Access, Role
from gateway.errors import ForbiddenError, RequestInvalidError
from gateway.operations.times import stamp
from storage import Store
from storage.records import EVERYWHERE, KeyRow, Scope

MAX_NAME = 100


def key_view(row: KeyRow) -> dict[str, Any]:
    """Return what may be shown of a key: never the key, nor its hash."""
    return {
        "key_id": row.key_id,
        "name": row.name,
        "tenant_id": row.tenant_id,
        "environment_id": row.environment_id,
        "role": row.role,
        "status": "revoked" if row.revoked_at else "active",
        "created_at": stamp(row.created_at),
        "last_used_at": stamp(row.last_used_at),
        "revoked_at": stamp(row.revoked_at),
    }


class Keys:
    """The keys of a tenant and environment, or of all."""

    def __init__(self, access: Access, store: Store, now: Callable[[], datetime]) -> None:
        self._access, self._store, self._now = access, store, now

    async def create(
        self,
        name: str,
        *,
        role: Role,
        actor: str,
        tenant_id: str | None = None,
        environment_id: str | None = None,
        scope: Scope = EVERYWHERE,
    ) -> dict[str, Any]:
        """Make a key and return its view with the key itself as `key`, which is shown this once.

        Without tenant and environment it gets those of the scope. Raises RequestInvalidError for an unusable name,
        ForbiddenError for a tenant or environment outside the scope.
        """
        if not (name.strip() and len(name) <= MAX_NAME and name.isprintable()):
            msg = f"name must be 1 to {MAX_NAME} printable characters"
            raise RequestInvalidError(msg)
        tenant = tenant_id or scope.tenant_id or DEFAULT_TENANT
        environment = environment_id or scope.environment_id or DEFAULT_ENVIRONMENT
        if tenant != (scope.tenant_id or tenant) or environment != (scope.environment_id or environment):
            raise ForbiddenError
        row, key = await self._access.create(
            name.strip(), tenant_id=tenant, environment_id=environment, role=role, actor=actor
        )
        return {**key_view(row), "key": key}

    async def list(self, scope: Scope = EVERYWHERE) -> list[dict[str, Any]]:
        """Return all keys of the scope, revoked ones too."""
        return [key_view(row) for row in await self._store.list_keys(scope)]

    async def revoke(self, key_id: str, scope: Scope = EVERYWHERE, *, actor: str) -> dict[str, Any]:
        """Revoke the key with this id, else name: refused within two seconds. Raises NotFoundError, ConflictError."""
        row = await self._store.revoke_key(key_id, scope, now=self._now())
        await self._store.add_audit(
            actor=actor, action="key.revoked", subject=row.name, detail={"key_id": row.key_id}, now=self._now(),
            scope=Scope(tenant_id=row.tenant_id, environment_id=row.environment_id),
        )  # fmt: skip
        return key_view(row)
