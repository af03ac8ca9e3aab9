"""Channels: where alerts are told, with their encrypted secrets."""

from collections.abc import Sequence

from storage import rows, values
from storage.errors import NotFoundError
from storage.postgres.catalog import drop_secrets, put_secrets, with_secrets
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.postgres.where import Where
from storage.records import EVERYWHERE, ChannelActivity, ChannelRow, Scope
from storage.scalars import loads, moment_or_none

_PUT = """
INSERT INTO channels VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, tenant_id = excluded.tenant_id, environment_id = excluded.environment_id,
    settings = excluded.settings, updated_at = excluded.updated_at"""
_FARED = """
SELECT max(ended_at) FILTER (WHERE status = 'sent') AS last_sent_at,
       count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'failed') AS failed
  FROM alert_messages WHERE channel = $1"""
_LAST_ERROR = """
SELECT error FROM alert_messages
 WHERE channel = $1 AND status IN ('pending', 'failed') AND error IS NOT NULL
   AND number > coalesce((SELECT max(number) FROM alert_messages WHERE channel = $1 AND status = 'sent'), 0)
 ORDER BY number DESC LIMIT 1"""


class Channels:
    """The part of the store that deals with channels."""

    _db: Database

    async def list_channels(self, scope: Scope = EVERYWHERE) -> Sequence[ChannelRow]:
        """Return all channels, by name. One that hears of every tenant belongs to no tenant's scope."""
        found = await self._db.run(lambda db: with_secrets(db, "channels", "channel", Where(scope)))
        return [rows.channel(row, secrets) for row, secrets in found]

    async def put_channel(self, channel: ChannelRow) -> None:
        """Insert or replace a channel with its secrets."""

        async def work(db: Session) -> None:
            await db.execute(_PUT, *values.channel(channel))
            await put_secrets(db, f"channel:{channel.name}", channel.secrets)

        await self._db.write(work)

    async def delete_channel(self, name: str, scope: Scope = EVERYWHERE) -> None:
        """Remove a channel, its secrets and its messages. Raises NotFoundError."""
        where = Where(scope)
        where.add("name = ?", name)

        async def work(db: Session) -> None:
            if await db.execute(f"DELETE FROM channels{where}", *where.values) == 0:
                raise NotFoundError
            await drop_secrets(db, f"channel:{name}")
            await db.execute("DELETE FROM alert_messages WHERE channel = $1", name)

        await self._db.write(work)

    async def channel_activity(self, channel: str) -> ChannelActivity:
        """Return how a channel has fared."""

        async def work(db: Session) -> ChannelActivity:
            fared, error = await db.row(_FARED, channel), await db.value(_LAST_ERROR, channel)
            assert fared is not None  # noqa: S101 - an aggregate has one row
            return ChannelActivity(
                last_sent_at=moment_or_none(fared["last_sent_at"]), pending=fared["pending"], failed=fared["failed"],
                last_error=loads(error),
            )  # fmt: skip

        return await self._db.read(work)
