"""What `doctor` finds out about channels: whether anybody is told, and whether it arrives."""

from collections.abc import AsyncIterator
from datetime import datetime

from gateway.operations.findings import Finding, attention, counted, note, ok
from gateway.settings import Settings
from gateway.spans import spoken
from storage import Store
from storage.records import ChannelRow

TEST = "`ledgergate channel test {name}` tells what stands in the way."


async def channels(store: Store, settings: Settings, *, now: datetime) -> AsyncIterator[Finding]:
    """Look at every channel. Without any, nobody is told."""
    found = await store.list_channels()
    if not found:
        yield note(
            "alerts", "Nobody is told when something needs a person: there is no channel.",
            "`ledgergate channel add --help`; docs/alerts.md says what is told.",
        )  # fmt: skip
    for row in found:
        if row.kind == "email" and (settings.smtp_url is None or settings.smtp_from is None):
            yield attention(
                "alerts", f"Channel {row.name} sends e-mail, and no mail server is configured here.",
                "Set LEDGERGATE_SMTP_URL and LEDGERGATE_SMTP_FROM for every process that works.", subject=row.name,
            )  # fmt: skip
        yield await _fared(store, row, now=now)


async def _fared(store: Store, row: ChannelRow, *, now: datetime) -> Finding:
    fared = await store.channel_activity(row.name)
    if fared.failed and fared.last_error is not None:
        said = f"Channel {row.name}: {counted(fared.failed, 'message')} of the last 30 days did not arrive"
    elif fared.last_error is not None:
        said = f"Channel {row.name}: {counted(fared.pending, 'message')} could not be sent yet"
    elif fared.last_sent_at is None:
        return ok("alerts", f"Channel {row.name} is there; nothing was sent through it yet.", subject=row.name)
    else:
        ago = spoken(now - fared.last_sent_at)
        return ok("alerts", f"Channel {row.name} was last used {ago} ago.", subject=row.name)
    why = f" ({fared.last_error['code']}: {fared.last_error['detail']})" if fared.last_error else ""
    return attention("alerts", f"{said}{why}.", TEST.format(name=row.name), subject=row.name)
