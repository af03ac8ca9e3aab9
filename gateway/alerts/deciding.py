"""When an alert opens, is told, told again, and closed. Pure: conditions and alerts in, changes out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.alerts.conditions import Condition
from gateway.configuration.channels import AlertKind
from storage.ids import new_id
from storage.records import Alert, AlertChange, AlertMessage, AlertStatus, ChannelRow, Json

GATHER = timedelta(seconds=30)
"""How long what is counted gathers before it is told: a thousand dead letters are one message."""
GATHERED = frozenset({AlertKind.REVIEW_WAITING, AlertKind.DEAD_LETTER, AlertKind.SIGNATURE_FAILING})
REMIND = timedelta(days=1)
"""After how long an alert that nobody has cured is told again."""
FLAPPING = timedelta(minutes=10)
"""What comes back within so long of being told is told when this has passed, if it still holds then."""


class Told(StrEnum):
    """What a message says."""

    OPENED = "opened"
    REPEATED = "repeated"
    CLOSED = "closed"


Key = tuple[str, str, str, str]
Wording = Callable[[Alert, Told], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Decides for one moment. `wording` makes the content of a message."""

    channels: Sequence[ChannelRow]
    repeat: timedelta
    wording: Wording
    now: datetime

    def changes(self, found: Iterable[Condition], known: Iterable[Alert]) -> list[AlertChange]:
        """Return what is to be written; nothing for an alert that stays as it is."""
        before = {alert.key: alert for alert in known}
        holding = {condition.key: condition for condition in found}
        return [*self._holding(holding, before), *self._over(holding, before)]

    def _holding(self, holding: Mapping[Key, Condition], before: Mapping[Key, Alert]) -> Iterator[AlertChange]:
        for key, condition in holding.items():
            old = before.get(key)
            alert = self._seen(condition, old)
            told = self._due(alert)
            messages = self._messages(alert, told) if told is not None else []
            if messages:
                alert = replace(alert, told_at=self.now, told_count=alert.count)
            if alert != old:
                yield AlertChange(alert=alert, messages=messages)

    def _over(self, holding: Mapping[Key, Condition], before: Mapping[Key, Alert]) -> Iterator[AlertChange]:
        for key, old in before.items():
            if key in holding or old.status is AlertStatus.CLOSED:
                continue
            alert = replace(old, status=AlertStatus.CLOSED, count=0, closed_at=self.now)
            messages = self._messages(alert, Told.CLOSED) if _was_told(old) else []
            yield AlertChange(alert=alert, messages=messages)

    def _seen(self, condition: Condition, old: Alert | None) -> Alert:
        """Return the alert of a condition: the open one brought up to date, or one that opens now."""
        if old is not None and old.status is AlertStatus.OPEN:
            return replace(old, count=condition.count, facts=dict(condition.facts), newest_at=condition.newest_at)
        kind, tenant, environment, subject = condition.key
        return Alert(
            kind=kind, tenant_id=tenant, environment_id=environment, subject=subject,
            alert_id=new_id("alr", self.now), status=AlertStatus.OPEN, opened_at=self.now,
            told_at=old.told_at if old is not None else None, told_count=0,
            version=old.version if old is not None else 0, count=condition.count, facts=dict(condition.facts),
            newest_at=condition.newest_at,
        )  # fmt: skip

    def _due(self, alert: Alert) -> Told | None:
        """Return what is to be told of an open alert now."""
        if not _was_told(alert):
            gathered = GATHER if alert.kind in GATHERED else timedelta()
            rested = alert.told_at is None or self._passed(alert.told_at, min(FLAPPING, self.repeat))
            return Told.OPENED if rested and self._passed(alert.opened_at, gathered) else None
        told_at = alert.told_at or self.now
        more = alert.count > alert.told_count or (alert.newest_at is not None and alert.newest_at > told_at)
        if alert.kind in GATHERED and more and self._passed(told_at, self.repeat):
            return Told.REPEATED
        return Told.REPEATED if self._passed(told_at, max(REMIND, self.repeat)) else None

    def _passed(self, since: datetime, wait: timedelta) -> bool:
        """Whether so long has passed; also when the clock was set back, since nobody knows then."""
        return not timedelta() <= self.now - since < wait

    def _messages(self, alert: Alert, told: Told) -> list[AlertMessage]:
        """Return one message for each channel that hears of the alert."""
        hearing = [channel for channel in self.channels if _hears(channel, alert)]
        content = self.wording(alert, told) if hearing else None
        return [
            AlertMessage(
                message_id=new_id("msg", self.now), alert_id=alert.alert_id, channel=channel.name,
                tenant_id=alert.tenant_id, environment_id=alert.environment_id, kind=alert.kind, event=told,
                content=content, created_at=self.now, next_attempt_at=self.now,
            )
            for channel in hearing
        ]  # fmt: skip


def _was_told(alert: Alert) -> bool:
    """Whether the alert was told since it opened."""
    return alert.told_at is not None and alert.told_count > 0


def _hears(channel: ChannelRow, alert: Alert) -> bool:
    """Whether a channel hears of an alert: of its own tenant and environment, or of all, and of its kinds."""
    home = (channel.tenant_id or alert.tenant_id, channel.environment_id or alert.environment_id)
    return home == (alert.tenant_id, alert.environment_id) and alert.kind in channel.settings["kinds"]
