"""Channels: where alerts are told, with their encrypted secrets."""

import sqlite3
from collections.abc import Sequence

from storage import rows, values
from storage.errors import NotFoundError
from storage.records import EVERYWHERE, ChannelActivity, ChannelRow, Scope
from storage.scalars import loads, moment_or_none
from storage.sqlite.catalog import drop_secrets, put_secrets, secrets_of
from storage.sqlite.database import Database
from storage.sqlite.where import Where

_PUT = """
INSERT INTO channels VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, tenant_id = excluded.tenant_id, environment_id = excluded.environment_id,
    settings = excluded.settings, updated_at = excluded.updated_at"""
_LAST_SENT = "SELECT max(ended_at) FROM alert_messages WHERE channel = ? AND status = 'sent'"
_COUNT = "SELECT count(*) FROM alert_messages WHERE channel = ? AND status = ?"
_LAST_ERROR = """
SELECT error FROM alert_messages
 WHERE channel = :channel AND status IN ('pending', 'failed') AND error IS NOT NULL
   AND number > coalesce((SELECT max(number) FROM alert_messages WHERE channel = :channel AND status = 'sent'), 0)
 ORDER BY number DESC LIMIT 1"""


class Channels:
    """The part of the store that deals with channels."""

    _db: Database

    async def list_channels(self, scope: Scope = EVERYWHERE) -> Sequence[ChannelRow]:
        """Return all channels, by name. One that hears of every tenant belongs to no tenant's scope."""
        where = Where(scope)

        def work(db: sqlite3.Connection) -> list[ChannelRow]:
            found = db.execute(f"SELECT * FROM channels{where} ORDER BY name", where.values).fetchall()
            return [rows.channel(row, secrets_of(db, f"channel:{row['name']}")) for row in found]

        return await self._db.read(work)

    async def put_channel(self, channel: ChannelRow) -> None:
        """Insert or replace a channel with its secrets."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(_PUT, values.channel(channel))
            put_secrets(db, f"channel:{channel.name}", channel.secrets)

        await self._db.write(work)

    async def delete_channel(self, name: str, scope: Scope = EVERYWHERE) -> None:
        """Remove a channel, its secrets and its messages. Raises NotFoundError."""
        where = Where(scope)
        where.add("name = ?", name)

        def work(db: sqlite3.Connection) -> None:
            if db.execute(f"DELETE FROM channels{where}", where.values).rowcount == 0:
                raise NotFoundError
            drop_secrets(db, f"channel:{name}")
            db.execute("DELETE FROM alert_messages WHERE channel = ?", (name,))

        await self._db.write(work)

    async def channel_activity(self, channel: str) -> ChannelActivity:
        """Return how a channel has fared."""

        def work(db: sqlite3.Connection) -> ChannelActivity:
            error = db.execute(_LAST_ERROR, {"channel": channel}).fetchone()
            return ChannelActivity(
                last_sent_at=moment_or_none(db.execute(_LAST_SENT, (channel,)).fetchone()[0]),
                pending=db.execute(_COUNT, (channel, "pending")).fetchone()[0],
                failed=db.execute(_COUNT, (channel, "failed")).fetchone()[0],
                last_error=loads(error[0]) if error is not None else None,
            )

        return await self._db.read(work, slow=True)
