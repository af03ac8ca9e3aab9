"""A month's used-up reads told apart from a burst: both are answered 429, but only one of them lasts.

https://blogs.intuit.com/2026/01/08/understanding-builder-tier-api-limits-for-you-and-your-customers: reads ("CorePlus")
are metered per month, creates and updates are not, so that only a read that succeeds shows that there is no block.
"""

import json
from datetime import datetime, timedelta

from connectors.base import Host

BLOCKED_AFTER = timedelta(hours=1)
FEWEST = 3
"""So many refusals, at least a minute apart, are needed beside the hour: two bursts make no month."""
_APART = timedelta(seconds=50)
_FACT = "quickbooks.throttled"


class ThrottleWatch:
    """Remembers since when reads were refused without one that succeeded, also over a restart."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._quiet = False

    async def refused(self) -> bool:
        """Note a 429 for a read; return whether this has gone on for so long that the month's limit must be used up."""
        self._quiet = False
        now = self._host.now()
        first, last, count = _read(await self._host.memory.get(_FACT)) or (now, now - 2 * _APART, 0)
        if now - last >= _APART:
            count, last = count + 1, now
        if now - first >= BLOCKED_AFTER and count >= FEWEST:
            # When a person resumes the connection, the hour begins anew.
            await self._host.memory.put(_FACT, "")
            return True
        await self._host.memory.put(_FACT, json.dumps([first.isoformat(), last.isoformat(), count]))
        return False

    async def passed(self) -> None:
        """Note a read that succeeded."""
        if not self._quiet:
            if await self._host.memory.get(_FACT):
                await self._host.memory.put(_FACT, "")
            self._quiet = True


def _read(text: str | None) -> tuple[datetime, datetime, int] | None:
    if not text:
        return None
    first, last, count = json.loads(text)
    return datetime.fromisoformat(first), datetime.fromisoformat(last), int(count)
