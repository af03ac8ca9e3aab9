"""Giving way to the door: while webhooks pour in, they are stored first and looked at a little later."""

import time
from collections.abc import Callable

BRISK = 200.0
"""Webhooks a second from which on turns are gathered: one transaction for many instead of two for each."""
FULL = 0.7
"""CPU seconds a second above which jobs take from the door: the rest is what a disk and a neighbour leave."""
BATCH = 100
SMALL_BATCH = 32
"""While webhooks pour in, a settled batch must not hold up the acknowledgements that wait behind it."""
SHARE, PRESSED_SHARE = 3, 9
"""How many times as long as a turn the door is left alone after it."""
GATHERING = 0.02
MOST = 0.25


class Pace:
    """How much of the time the work behind the door takes. Below `BRISK` it takes all it wants, at once.

    Above, it takes small batches and rests between turns, three times as long as the last turn took; and where the
    processor is full, nine times as long, with few jobs at a time. An acknowledgement cannot wait, since the sender
    gives up; what is stored can. A process that has time left over is never held back for long: the rest is at most a
    quarter of a second.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.perf_counter, cpu: Callable[[], float] = time.process_time
    ) -> None:
        self._clock, self._cpu = clock, cpu
        self._arrived = 0
        self._since, self._used = clock(), cpu()
        self.brisk = False
        """Whether webhooks come fast."""
        self.pressed = False
        """Whether they do, and the processor is full."""

    def arrived(self) -> None:
        """Count a webhook."""
        self._arrived += 1

    def rest_after(self, turn: float) -> float:
        """Return for how many seconds to leave the door alone after a turn that took so many; 0 is not at all."""
        now, used = self._clock(), self._cpu()
        passed = max(now - self._since, 1e-6)
        self.brisk = self._arrived / passed >= BRISK and self._arrived > 1
        self.pressed = self.brisk and (used - self._used) / passed >= FULL
        self._arrived, self._since, self._used = 0, now, used
        share = PRESSED_SHARE if self.pressed else SHARE
        return min(MOST, max(GATHERING, turn * share)) if self.brisk else 0.0

    @property
    def batch(self) -> int:
        """Return how many deliveries a turn takes."""
        return SMALL_BATCH if self.brisk else BATCH

    def places(self, configured: int) -> int:
        """Return how many jobs may run at the same time."""
        return max(1, configured // 4) if self.pressed else configured
