"""Alerts, and the messages that tell of them: written together, sent later, forgotten in time."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from storage import cursors, rows, values
from storage.limits import MAX_WAITING_MESSAGES
from storage.records import (
    EVERYWHERE,
    Alert,
    AlertChange,
    AlertMessage,
    AlertStatus,
    Json,
    MessageStatus,
    Page,
    Scope,
)
from storage.scalars import dumps, micros, micros_or_none
from storage.sqlite.database import Database
from storage.sqlite.where import Where

_PUT = """
INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, tenant_id, environment_id, subject) DO UPDATE SET
    alert_id = excluded.alert_id, status = excluded.status, count = excluded.count, facts = excluded.facts,
    newest_at = excluded.newest_at, opened_at = excluded.opened_at, told_at = excluded.told_at,
    told_count = excluded.told_count, closed_at = excluded.closed_at, version = excluded.version
 WHERE alerts.version = excluded.version - 1"""
_QUEUE = """
INSERT INTO alert_messages (message_id, alert_id, channel, tenant_id, environment_id, kind, event, content, created_at,
                            next_attempt_at, status, attempts)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', 0
 WHERE (SELECT count(*) FROM alert_messages WHERE channel = ? AND status = 'pending') < ?
   AND NOT (? = 'repeated' AND EXISTS (
       SELECT 1 FROM alert_messages WHERE alert_id = ? AND channel = ? AND status = 'pending'))"""
_FORGET = (
    "DELETE FROM alert_messages WHERE ended_at < ?",
    "DELETE FROM alerts WHERE status = 'closed' AND closed_at < ?",
)
_DUE = """
SELECT * FROM alert_messages m WHERE status = 'pending' AND next_attempt_at <= ?
   AND NOT EXISTS (SELECT 1 FROM alert_messages earlier
                    WHERE earlier.alert_id = m.alert_id AND earlier.channel = m.channel
                      AND earlier.status = 'pending' AND earlier.number < m.number)
 ORDER BY next_attempt_at, number LIMIT ?"""
_SETTLE = """
UPDATE alert_messages SET status = ?, attempts = attempts + 1, next_attempt_at = ?, error = ?, ended_at = ?
 WHERE message_id = ? AND attempts = ? AND status = 'pending'"""


class Alerts:
    """The part of the store that deals with alerts."""

    _db: Database

    async def list_alerts(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        status: AlertStatus | None = None,
        kind: str | None = None,
    ) -> Page[Alert]:
        """Return alerts, the one that opened last first."""
        where = Where(scope)
        where.equal("status", status)
        where.equal("kind", kind)
        if cursor is not None:
            where.add("alert_id < ?", cursors.decode(cursor, 2)[0])
        query = f"SELECT * FROM alerts{where} ORDER BY alert_id DESC LIMIT {cursors.bounded(limit) + 1:d}"
        found = await self._db.read(lambda db: db.execute(query, where.values).fetchall(), slow=True)
        return cursors.page(found, limit, rows.alert, "alert_id", "kind")

    async def write_alerts(self, changes: Sequence[AlertChange], *, now: datetime, forget_before: datetime) -> int:
        """Write alerts and queue what is told of them, in one transaction; return how many alerts were written."""

        def work(db: sqlite3.Connection) -> int:
            written = 0
            for change in changes:
                if db.execute(_PUT, values.alert(change.alert)).rowcount == 0:
                    continue
                written += 1
                for message in change.messages:
                    about = (message.event, message.alert_id, message.channel)
                    bound = (message.channel, MAX_WAITING_MESSAGES)
                    db.execute(_QUEUE, (*values.alert_message(message), *bound, *about))
            for statement in _FORGET:
                db.execute(statement, (micros(forget_before),))
            return written

        return await self._db.write(work)

    async def due_alert_messages(self, *, now: datetime, limit: int) -> Sequence[AlertMessage]:
        """Return messages whose next try is due, the longest due first; of one alert and channel only the first."""
        found = await self._db.read(lambda db: db.execute(_DUE, (micros(now), limit)).fetchall())
        return [rows.alert_message(row) for row in found]

    async def settle_alert_message(
        self,
        message_id: str,
        *,
        attempts: int,
        status: MessageStatus,
        next_attempt_at: datetime | None,
        error: Json,
        now: datetime,
    ) -> bool:
        """Write how the try after `attempts` earlier ones went; return False when it was written by somebody before."""
        ended = None if status is MessageStatus.PENDING else micros(now)
        wanted = (status, micros_or_none(next_attempt_at), dumps(error), ended, message_id, attempts)
        return await self._db.write(lambda db: db.execute(_SETTLE, wanted).rowcount > 0)

    async def list_alert_messages(
        self,
        scope: Scope = EVERYWHERE,
        *,
        limit: int = 50,
        cursor: str | None = None,
        channel: str | None = None,
        alert_id: str | None = None,
        status: MessageStatus | None = None,
    ) -> Page[AlertMessage]:
        """Return messages, newest first."""
        where = Where(scope, narrowed=bool(channel or alert_id))
        where.equal("alert_id", alert_id)
        where.equal("+channel" if alert_id else "channel", channel)
        where.equal("+status", status)
        if cursor is not None:
            where.add("number < ?", cursors.decode_number(cursor))
        query = f"SELECT * FROM alert_messages{where} ORDER BY number DESC LIMIT {cursors.bounded(limit) + 1:d}"
        found = await self._db.read(lambda db: db.execute(query, where.values).fetchall(), slow=True)
        return cursors.page(found, limit, rows.alert_message, "number")
