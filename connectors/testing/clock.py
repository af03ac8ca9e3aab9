"""The one time of gateway, connector and simulated service: it stands still until somebody waits, or moves it."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)


class Clock:
    """A clock moved by hand. `slept` keeps what was waited for, in seconds."""

    def __init__(self, start: datetime = START) -> None:
        self._time = start
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the time, aware."""
        return self._time

    def unix(self) -> float:
        """Return the time as seconds since 1970, for simulators."""
        return self._time.timestamp()

    async def sleep(self, seconds: float) -> None:
        """Wait without waiting: time has moved on when this returns."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._time += timedelta(seconds=max(0.0, seconds))

    def advance_to(self, moment: datetime) -> None:
        """Move on to a moment; one that has passed changes nothing."""
        self._time = max(self._time, moment)
