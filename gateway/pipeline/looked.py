"""How long this process has been looking for what a lost create has made, by a clock that nobody can set."""

MOST = 10_000
"""How many creates are remembered; of one that is forgotten a look-up more is made."""


class Looked:
    """When the first complete look-up of this process for each lost create began.

    The time of day may be set forth between two look-ups, any number of times, and then they prove nothing: what the
    provider did not show yet at the first it need not show at the second either. Another process cannot say how long
    ago its look-ups were by this one's clock, so they do not count.
    """

    def __init__(self) -> None:
        self._first: dict[str, float] = {}

    def seconds(self, intent_id: str, *, begun: float) -> float:
        """Note a complete look-up that began at `begun` by that clock; return how many seconds after the first one."""
        if intent_id not in self._first and len(self._first) >= MOST:
            del self._first[next(iter(self._first))]
        return begun - self._first.setdefault(intent_id, begun)
