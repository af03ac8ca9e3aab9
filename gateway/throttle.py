"""Wrong API keys are answered for a while, then refused unseen: bounded memory, whatever arrives from wherever."""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

BURST = 300
"""How many wrong keys an address may try at once."""
PER_SECOND = 1.0
"""How many more it may try as time passes."""
TRUSTED_SECONDS = 3600.0
MAX_ADDRESSES = 4096


@dataclass(slots=True)
class _Address:
    left: float
    at: float
    trusted_until: float = float("-inf")


class Throttle:
    """A budget of wrong keys for each address. `clock` is monotonic seconds.

    Keys are too long to be guessed, so that the budget is generous; what it saves is the look into the store that each
    unknown key costs. An address that has shown a right key within the last hour is not locked out by the wrong keys
    of others behind the same proxy: its right keys go on working.
    """

    def __init__(
        self,
        *,
        burst: int = BURST,
        per_second: float = PER_SECOND,
        most: int = MAX_ADDRESSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._per_second, self._most, self._clock = burst, per_second, most, clock
        self._known: OrderedDict[str, _Address] = OrderedDict()

    def wait(self, remote: str | None) -> float:
        """Return for how many seconds the address has no wrong key left to try; 0.0 when it has."""
        entry = self._known.get(group(remote))
        if entry is None:
            return 0.0
        left = min(self._burst, entry.left + (self._clock() - entry.at) * self._per_second)
        return 0.0 if left >= 1 else float(math.ceil((1 - left) / self._per_second))

    def trusts(self, remote: str | None) -> bool:
        """Return whether the address has shown a right key of late."""
        entry = self._known.get(group(remote))
        return entry is not None and self._clock() < entry.trusted_until

    def wrong(self, remote: str | None) -> None:
        """Count a wrong key."""
        entry, now = self._entry(remote), self._clock()
        entry.left = max(0.0, min(self._burst, entry.left + (now - entry.at) * self._per_second) - 1)
        entry.at = now

    def right(self, remote: str | None) -> None:
        """Note a right key."""
        self._entry(remote).trusted_until = self._clock() + TRUSTED_SECONDS

    def _entry(self, remote: str | None) -> _Address:
        name = group(remote)
        entry = self._known.setdefault(name, _Address(float(self._burst), self._clock()))
        self._known.move_to_end(name)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return entry


def group(remote: str | None) -> str:
    """Return what counts as one address: for IPv6 the /64 that one customer of a provider has."""
    try:
        found = ipaddress.ip_address((remote or "").split("%", 1)[0])
    except ValueError:
        return remote or ""
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)
