"""API keys, by their hashes, and the audit of who changed what."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.postgres.catalog import CONFIG_CHANGED
from storage.postgres.connection import Session, columns
from storage.postgres.database import Database
from storage.postgres.where import Where
from storage.records import EVERYWHERE, AuditEntry, Json, KeyRow, Page, Scope
from storage.scalars import dumps, micros

_ADD = "INSERT INTO keys VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
_REVOKE = "UPDATE keys SET revoked_at = $1 WHERE key_id = $2 RETURNING *"
_TOUCH = """
UPDATE keys k SET last_used_at = greatest(coalesce(k.last_used_at, 0), u.at)
  FROM unnest($1::text[], $2::bigint[]) AS u (key_id, at) WHERE k.key_id = u.key_id"""
_AUDIT = """
INSERT INTO audit (at, actor, tenant_id, environment_id, action, subject, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)"""


class Keys:
    """The part of the store that deals with API keys and the audit."""

    _db: Database

    async def list_keys(self, scope: Scope = EVERYWHERE) -> Sequence[KeyRow]:
        """Return all API keys, revoked ones too."""
        where = Where(scope)
        query = f"SELECT * FROM keys{where} ORDER BY key_id"
        return [rows.key(row) for row in await self._db.run(lambda db: db.rows(query, *where.values))]

    async def add_key(self, key: KeyRow) -> None:
        """Store an API key's hash. Raises ConflictError when the id or the hash is there."""

        async def work(db: Session) -> None:
            await db.execute(_ADD, *values.api_key(key))
            await db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    async def revoke_key(self, key_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> KeyRow:
        """Revoke the key with this id, else the one with this name.

        Raises NotFoundError, and ConflictError when several keys have the name: only ids tell them apart.
        """
        where = Where(scope)
        where.add("(key_id = ? OR name = ?)", key_id, key_id)
        where.add("revoked_at IS NULL")
        query = f"SELECT key_id FROM keys{where} ORDER BY key_id FOR UPDATE"

        async def work(db: Session) -> KeyRow:
            found = [row["key_id"] for row in await db.rows(query, *where.values)]
            chosen = [key_id] if key_id in found else found
            if len(chosen) > 1:
                raise ConflictError("several keys have this name; use the id")
            revoked = await db.row(_REVOKE, micros(now), chosen[0]) if chosen else None
            if revoked is None:
                raise NotFoundError
            await db.execute(CONFIG_CHANGED)
            return rows.key(revoked)

        return await self._db.write(work)

    async def touch_keys(self, used: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        pairs = [(key_id, micros(used[key_id])) for key_id in sorted(used)]
        if pairs:
            await self._db.run(lambda db: db.execute(_TOUCH, *columns(pairs, 2)))

    async def add_audit(
        self, *, actor: str, action: str, subject: str, scope: Scope = EVERYWHERE, detail: Json = None, now: datetime
    ) -> None:
        """Note who changed what. The detail holds neither secrets nor personal data."""
        entry = (micros(now), actor, scope.tenant_id, scope.environment_id, action, subject, dumps(detail))
        await self._db.run(lambda db: db.execute(_AUDIT, *entry))

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
        where = Where(scope)
        where.equal("subject", subject)
        where.equal("action", action)
        where.equal("actor", actor)
        if since is not None:
            where.add("at >= ?", micros(since))
        if until is not None:
            where.add("at < ?", micros(until))
        if cursor is not None:
            where.add("audit_id < ?", cursors.decode_number(cursor))
        query = f"SELECT * FROM audit{where} ORDER BY audit_id DESC LIMIT {cursors.bounded(limit) + 1:d}"
        found = await self._db.run(lambda db: db.rows(query, *where.values))
        return cursors.page(found, limit, rows.audit_entry, "audit_id")
