"""What stops the work of a connection, as all processes know it: a pause that was asked for, failures in a row."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitRow:
    """The state of one connection's circuit. The defaults say that all is well, and then no row is kept."""

    failures: int = 0
    """How often in a row the provider did not answer."""
    rest: timedelta = timedelta()
    """How long the circuit rests the next time; 0 for the first."""
    open_until: datetime | None = None
    """Until when nothing is sent; when it has passed, one job may probe. None while the circuit is closed."""
    opened_at: datetime | None = None
    """Since when it is open; None while it is closed."""
    probe_until: datetime | None = None
    """Until when the job that probes has time to tell; nobody else begins meanwhile."""
    held_until: datetime | None = None
    """Until when the provider wants nothing, by its own word."""

    def may_begin(self, now: datetime) -> bool:
        """Return whether a job of the connection may begin: nothing holds it back, and no other is probing."""
        return self.waits_until is None or self.waits_until <= now

    @property
    def waits_until(self) -> datetime | None:
        """Return until when no job may begin; None when nothing was ever in the way."""
        return max((at for at in (self.held_until, self.open_until, self.probe_until) if at is not None), default=None)


WELL = CircuitRow()
