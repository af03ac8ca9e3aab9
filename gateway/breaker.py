"""What stops the work of one connection, in every process: failures in a row, and a pause the provider has asked for.

The state lies in the store, which lets no job of a connection begin while its circuit is open or held (`claim_jobs`),
and lets one job of one process probe when the rest is over. Its times are those of the processes' clocks, which are
kept by NTP: that a pause ends a few milliseconds sooner in one process than in another does not matter here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from storage import Store
from storage.errors import StorageError
from storage.records import WELL, CircuitRow

log = structlog.get_logger("ledgergate.breaker")

OPENS_AFTER = 5
FIRST_REST = timedelta(seconds=1)
LONGEST_REST = timedelta(seconds=60)
LONGEST_HOLD = 86_400.0


class Circuit(StrEnum):
    """Whether work flows."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """The circuit of one connection, as this process last knew it, and what it changes for all processes."""

    def __init__(self, connection: str, *, store: Store, now: Callable[[], datetime]) -> None:
        self._connection, self._store, self._now = connection, store, now
        self._held_until: datetime | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self.row = WELL

    # What is known ---------------------------------------------------------------------------------------------

    def heard(self, row: CircuitRow) -> None:
        """Take up what the store says."""
        self.row = row

    @property
    def state(self) -> Circuit:
        """Return whether work may flow now: freely, as one probe, or not at all."""
        if self.row.open_until is None:
            return Circuit.CLOSED
        return Circuit.HALF_OPEN if self._now() >= self.row.open_until else Circuit.OPEN

    @property
    def held_for(self) -> float:
        """Return for how many seconds more the provider wants nothing."""
        until = max((at for at in (self._held_until, self.row.held_until) if at is not None), default=None)
        return max(0.0, (until - self._now()).total_seconds()) if until is not None else 0.0

    @property
    def waits_until(self) -> datetime | None:
        """Return until when no job may begin, if it is not yet."""
        return max((at for at in (self._held_until, self.row.waits_until) if at is not None), default=None)

    # What changes it -------------------------------------------------------------------------------------------

    def hold(self, seconds: float) -> None:
        """Send nothing for so long, at most a day: here at once, and in the other processes once it is stored."""
        until = self._now() + timedelta(seconds=min(seconds, LONGEST_HOLD))
        self._held_until = max(self._held_until or until, until)
        task = asyncio.get_running_loop().create_task(self._tell_hold(until))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def failed(self) -> bool:
        """Note that the provider did not answer; return whether this has opened the circuit.

        What was under way when it opened tells nothing new: only a failed probe makes the rest longer. Raises
        StorageError kinds.
        """
        now, before = self._now(), self.row

        def change(was: CircuitRow) -> CircuitRow:
            nonlocal before
            before = was
            if was.open_until is not None and now < was.open_until:
                return was
            if was.failures + 1 < OPENS_AFTER:
                return replace(was, failures=was.failures + 1)
            rest = was.rest or FIRST_REST
            return replace(
                was, failures=was.failures + 1, open_until=now + rest, opened_at=was.opened_at or now,
                probe_until=None, rest=min(rest * 2, LONGEST_REST),
            )  # fmt: skip

        self.row = await self._store.change_circuit(self._connection, change)
        return before.open_until is None and self.row.open_until is not None

    async def succeeded(self) -> bool:
        """Note that the provider has answered; return whether the circuit was open until now.

        While all is well, nothing is stored. Raises StorageError kinds.
        """
        if self.row == WELL:
            return False
        now, was_open = self._now(), False

        def change(was: CircuitRow) -> CircuitRow:
            nonlocal was_open
            was_open = was.open_until is not None
            held = was.held_until is not None and was.held_until > now
            return replace(WELL, held_until=was.held_until) if held else WELL

        self.row = await self._store.change_circuit(self._connection, change)
        return was_open

    async def undecided(self) -> None:
        """Note that a job has ended without a word from the provider: another may probe. Raises StorageError kinds."""
        if self.row.open_until is not None:
            self.row = await self._store.change_circuit(self._connection, lambda was: replace(was, probe_until=None))

    async def _tell_hold(self, until: datetime) -> None:
        def change(was: CircuitRow) -> CircuitRow:
            return replace(was, held_until=max(was.held_until or until, until))

        try:
            self.row = await self._store.change_circuit(self._connection, change)
        except StorageError as error:  # the others hear it from the provider itself
            log.warning("hold_not_told", connection=self._connection, code=error.code)
