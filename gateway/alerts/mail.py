"""An alert as an e-mail: plain text, a stable Message-ID, sent in a thread of its own."""

import asyncio
import smtplib
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

import structlog

from gateway.errors import AlertNotDeliveredError
from gateway.mailing import Relay
from storage.records import AlertMessage

log = structlog.get_logger("ledgergate.alerts")


async def send(relay: Relay, sender: str, recipients: Sequence[str], message: AlertMessage, *, now: datetime) -> None:
    """Send a message. Raises AlertNotDeliveredError, which tells no address and nothing that the server has said."""
    mail = written(message, sender=sender, recipients=recipients, now=now)
    try:
        refused = await asyncio.to_thread(relay.send, mail, sender=sender, recipients=recipients)
    except smtplib.SMTPResponseException as error:
        raise AlertNotDeliveredError(f"{type(error).__name__} {error.smtp_code}") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise AlertNotDeliveredError(type(error).__name__) from None
    if refused:
        log.warning("recipients_refused", channel=message.channel, refused=refused, recipients=len(recipients))


def written(message: AlertMessage, *, sender: str, recipients: Sequence[str], now: datetime) -> EmailMessage:
    """Return the e-mail of a message."""
    told = message.content
    mail = EmailMessage()
    mail["Subject"] = f"[ledgergate] {told['title']}"
    mail["From"], mail["To"] = sender, ", ".join(recipients)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.message_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    facts = [
        told["title"] + ".", "", told["text"], "",
        f"Tenant {told['tenant_id']}, environment {told['environment_id']}; since {told['opened_at']}.",
        *([f"Look at it: {told['url']}"] if told["url"] else []),
        "", f"ledgergate, alert {told['alert_id']}",
    ]  # fmt: skip
    mail.set_content("\n".join(facts) + "\n")
    return mail
