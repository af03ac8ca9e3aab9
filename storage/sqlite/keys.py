"""API keys, by their hashes, and the audit of who changed what."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.errors import ConflictError, NotFoundError
from storage.records import EVERYWHERE, AuditEntry, Json, KeyRow, Page, Scope
from storage.scalars import dumps, micros
from storage.sqlite.catalog import CONFIG_CHANGED
from storage.sqlite.database import Database
from storage.sqlite.where import Where

_ADD = "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REVOKE = "UPDATE keys SET revoked_at = ? WHERE key_id = ? RETURNING *"
_TOUCH = "UPDATE keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE key_id = ?"
_AUDIT = """
INSERT INTO audit (at, actor, tenant_id, environment_id, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"""


class Keys:
    """The part of the store that deals with API keys and the audit."""

    _db: Database

    async def list_keys(self, scope: Scope = EVERYWHERE) -> Sequence[KeyRow]:
        """Return all API keys, revoked ones too."""
        where = Where(scope)
        query = f"SELECT * FROM keys{where} ORDER BY key_id"
        return await self._db.read(lambda db: [rows.key(row) for row in db.execute(query, where.values)])

    async def add_key(self, key: KeyRow) -> None:
        """Store an API key's hash. Raises ConflictError when the id or the hash is there."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(_ADD, values.api_key(key))
            db.execute(CONFIG_CHANGED)

        await self._db.write(work)

    async def revoke_key(self, key_id: str, scope: Scope = EVERYWHERE, *, now: datetime) -> KeyRow:
        """Revoke the key with this id, else the one with this name.

        Raises NotFoundError, and ConflictError when several keys have the name: only ids tell them apart.
        """
        where = Where(scope)
        where.add("(key_id = ? OR name = ?)", key_id, key_id)
        where.add("revoked_at IS NULL")

        def work(db: sqlite3.Connection) -> KeyRow:
            found = [row["key_id"] for row in db.execute(f"SELECT key_id FROM keys{where}", where.values)]
            chosen = [key_id] if key_id in found else found
            if not chosen:
                raise NotFoundError
            if len(chosen) > 1:
                raise ConflictError("several keys have this name; use the id")
            revoked = db.execute(_REVOKE, (micros(now), chosen[0])).fetchone()
            db.execute(CONFIG_CHANGED)
            return rows.key(revoked)

        return await self._db.write(work)

    async def touch_keys(self, used: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        pairs = [(micros(at), key_id) for key_id, at in used.items()]
        await self._db.write(lambda db: db.executemany(_TOUCH, pairs).rowcount)

    async def add_audit(
        self, *, actor: str, action: str, subject: str, scope: Scope = EVERYWHERE, detail: Json = None, now: datetime
    ) -> None:
        """Note who changed what. The detail holds neither secrets nor personal data."""
        entry = (micros(now), actor, scope.tenant_id, scope.environment_id, action, subject, dumps(detail))
        await self._db.write(lambda db: db.execute(_AUDIT, entry).rowcount)

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
        where = Where(scope, narrowed=subject is not None)
        where.equal("subject", subject)
        where.equal("action", action)
        where.equal("actor", actor)
        if since is not None:
            where.add("at >= ?", micros(since))
        if until is not None:
            where.add("at < ?", micros(until))
        if cursor is not None:
            where.add("audit_id < ?", cursors.decode_number(cursor))
        query = f"SELECT * FROM audit{where} ORDER BY audit_id DESC LIMIT ?"
        bound = [*where.values, cursors.bounded(limit) + 1]
        found = await self._db.read(lambda db: db.execute(query, bound).fetchall(), slow=True)
        return cursors.page(found, limit, rows.audit_entry, "audit_id")
