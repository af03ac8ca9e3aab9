"""A circuit breaker for one connection: after a run of failures nothing is sent for a while, then one job probes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

OPENS_AFTER = 5
FIRST_REST = timedelta(seconds=1)
LONGEST_REST = timedelta(seconds=60)


class Circuit(StrEnum):
    """Whether work flows."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """Counts failures in a row. Its rest doubles with every probe that fails. Time is a parameter."""

    failures: int = 0
    rest: timedelta = FIRST_REST
    opened_until: datetime | None = None

    def state(self, now: datetime) -> Circuit:
        """Return whether work may flow now: freely, as one probe, or not at all."""
        if self.opened_until is None:
            return Circuit.CLOSED
        return Circuit.HALF_OPEN if now >= self.opened_until else Circuit.OPEN

    def succeeded(self) -> bool:
        """Note that the provider has answered; return whether the circuit was open until now."""
        was_open = self.opened_until is not None
        self.failures, self.rest, self.opened_until = 0, FIRST_REST, None
        return was_open

    def failed(self, now: datetime) -> bool:
        """Note that the provider did not answer; return whether this has opened the circuit.

        What was under way when it opened tells nothing new: only a failed probe makes the rest longer.
        """
        if self.state(now) is Circuit.OPEN:
            return False
        self.failures += 1
        if self.failures < OPENS_AFTER:
            return False
        opens = self.opened_until is None
        self.opened_until = now + self.rest
        self.rest = min(self.rest * 2, LONGEST_REST)
        return opens
