"""What an alert says, in words: what holds, what follows, what to do, and where. No id, no customer, no secret."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from gateway.alerts.conditions import REFUSED_WINDOW
from gateway.alerts.deciding import Told
from gateway.configuration.channels import AlertKind
from gateway.errors import catalogue
from gateway.spans import spoken
from storage.records import Alert

WAITS = "Its jobs wait and use up no attempt."


def content(alert: Alert, told: Told, *, now: datetime, public_url: str | None) -> dict[str, Any]:
    """Return what is told through every channel, as it is kept with the message."""
    kind = AlertKind(alert.kind)
    title, text = (_OVER if told is Told.CLOSED else _HOLDS)[kind](alert, now)
    return {
        "alert_id": alert.alert_id, "kind": str(kind), "status": str(alert.status), "tenant_id": alert.tenant_id,
        "environment_id": alert.environment_id, "subject": alert.subject or None, "count": alert.count, "title": title,
        "text": text, "url": f"{public_url}/console{place(alert)}" if public_url else None, "facts": alert.facts,
        "opened_at": rfc3339(alert.opened_at), "closed_at": rfc3339(alert.closed_at) if alert.closed_at else None,
    }  # fmt: skip


def place(alert: Alert) -> str:
    """Return the page of the console on which a person sees more, below its root."""
    name = quote(alert.subject, safe="")
    match AlertKind(alert.kind):
        case AlertKind.CONNECTION_PAUSED | AlertKind.CIRCUIT_OPEN | AlertKind.TOKEN_EXPIRING:
            return f"/connections/{name}"
        case AlertKind.SIGNATURE_FAILING:
            return f"/sources/{name}"
        case AlertKind.BACKLOG_OLD:
            return "/jobs?status=pending"
        case AlertKind.REVIEW_WAITING | AlertKind.DEAD_LETTER:
            return "/needs"


def rfc3339(moment: datetime) -> str:
    """Return a time as RFC 3339, whole seconds, `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


Words = Callable[[Alert, datetime], tuple[str, str]]


def _paused(alert: Alert, now: datetime) -> tuple[str, str]:
    del now
    reason = alert.facts["reason"]
    known = next((entry for entry in catalogue() if entry.code == reason), None)
    why = f"{known.cause} {known.resolution}" if known is not None else "Somebody has paused it by hand."
    return f"Connection {alert.subject} is paused: {reason}", f"{why} {WAITS}"


def _open(alert: Alert, now: datetime) -> tuple[str, str]:
    silent = spoken(now - datetime.fromisoformat(alert.facts["open_since"]))
    title = f"The provider of connection {alert.subject} has not answered for {silent}"
    text = "Its circuit is open: one job at a time tries again, the others wait. Nothing is lost."
    return title, f"{text} `ledgergate connection test {alert.subject}` says what stands in the way."


def _reviews(alert: Alert, now: datetime) -> tuple[str, str]:
    del now
    title = "A decision waits for a person" if alert.count == 1 else f"{alert.count:,} decisions wait for a person"
    return title, f"By kind: {_listed(alert.facts['kinds'])}. The gateway is not sure, and does nothing until told."


def _dead(alert: Alert, now: datetime) -> tuple[str, str]:
    del now
    title = "A dead letter" if alert.count == 1 else f"{alert.count:,} dead letters"
    return title, f"By error: {_listed(alert.facts['codes'])}. They are kept until somebody retries or cancels them."


def _backlog(alert: Alert, now: datetime) -> tuple[str, str]:
    waited = spoken(now - datetime.fromisoformat(alert.facts["waiting_since"]))
    title = f"Work of {alert.subject} has been waiting for {waited}"
    return title, "The provider does not answer or asks to wait, or there is more work than the workers get done."


def _token(alert: Alert, now: datetime) -> tuple[str, str]:
    left = datetime.fromisoformat(alert.facts["ends_at"]) - now
    ends = f"ends in {spoken(left)}" if left > timedelta() else "has ended"
    text = f"Connect again in the console, or run `ledgergate connection authorize {alert.subject}`."
    return f"The consent of connection {alert.subject} {ends}", text


def _refused(alert: Alert, now: datetime) -> tuple[str, str]:
    del now
    title = f"{alert.count:,} webhooks for {alert.subject} were refused"
    within = f"Within {spoken(REFUSED_WINDOW)}, by reason: {_listed(alert.facts['reasons'])}."
    return title, f"{within} If they are the platform's, nothing of it arrives: compare the secrets on both sides."


_HOLDS: Mapping[AlertKind, Words] = {
    AlertKind.CONNECTION_PAUSED: _paused,
    AlertKind.CIRCUIT_OPEN: _open,
    AlertKind.REVIEW_WAITING: _reviews,
    AlertKind.DEAD_LETTER: _dead,
    AlertKind.BACKLOG_OLD: _backlog,
    AlertKind.TOKEN_EXPIRING: _token,
    AlertKind.SIGNATURE_FAILING: _refused,
}
_OVER: Mapping[AlertKind, Words] = {
    AlertKind.CONNECTION_PAUSED: lambda alert, _: (
        f"Connection {alert.subject} is no longer paused", "Its jobs run again, unless it was removed."
    ),
    AlertKind.CIRCUIT_OPEN: lambda alert, _: (
        f"The circuit of connection {alert.subject} is no longer open",
        "The provider answers again, or the connection was paused or removed.",
    ),
    AlertKind.REVIEW_WAITING: lambda _alert, _: ("No decision waits any more", "All were taken."),
    AlertKind.DEAD_LETTER: lambda _alert, _: ("No dead letter is left", "All were retried or cancelled."),
    AlertKind.BACKLOG_OLD: lambda alert, _: (f"Work of {alert.subject} is done in time again", "Nothing is overdue."),
    AlertKind.TOKEN_EXPIRING: lambda alert, _: (
        f"The consent of connection {alert.subject} no longer ends soon", "It was renewed, or the connection paused."
    ),
    AlertKind.SIGNATURE_FAILING: lambda alert, _: (
        f"Webhooks for {alert.subject} are no longer refused", f"Hardly any was for {spoken(REFUSED_WINDOW)}."
    ),
}  # fmt: skip


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
