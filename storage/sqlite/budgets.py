"""What all processes share about a provider: how much of its limits is taken, and what stops work."""

import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from storage import rows, values
from storage.records import WELL, CircuitRow, Json
from storage.scalars import dumps, loads, micros
from storage.sqlite.database import Database

T = TypeVar("T")
_PUT_BUDGET = """
INSERT INTO budgets (connection, state) VALUES (?, ?) ON CONFLICT (connection) DO UPDATE SET state = excluded.state"""
_CIRCUIT = "SELECT * FROM circuits WHERE connection = ?"
_PUT_CIRCUIT = """
INSERT INTO circuits (connection, failures, rest, open_until, opened_at, probe_until, held_until)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (connection) DO UPDATE SET
    failures = excluded.failures, rest = excluded.rest, open_until = excluded.open_until,
    opened_at = excluded.opened_at, probe_until = excluded.probe_until, held_until = excluded.held_until"""
_PROBE = "UPDATE circuits SET probe_until = ? WHERE connection = ?"


class Budgets:
    """The part of the store that deals with what providers allow."""

    _db: Database

    async def change_budget(
        self, connection: str, change: Callable[[Json, datetime], tuple[Json, T]], *, now: datetime | None = None
    ) -> tuple[T, datetime, CircuitRow]:
        """Replace what is noted about the use of a connection's limits by what `change` makes of it.

        The processes on one file run on one machine: the time is its time.
        """

        def work(db: sqlite3.Connection) -> tuple[T, datetime, CircuitRow]:
            at = now or datetime.now(UTC)
            found = db.execute("SELECT state FROM budgets WHERE connection = ?", (connection,)).fetchone()
            state, result = change(loads(found["state"]) if found is not None else None, at)
            db.execute(_PUT_BUDGET, (connection, dumps(state) or "null"))
            return result, at, _circuit(db, connection)

        return await self._db.write(work, quiet=True)

    async def change_circuit(self, connection: str, change: Callable[[CircuitRow], CircuitRow]) -> CircuitRow:
        """Replace a circuit's state by what `change` makes of it, and return that; `change` may be called again."""

        def work(db: sqlite3.Connection) -> CircuitRow:
            before = _circuit(db, connection)
            after = change(before)
            if after == WELL:
                db.execute("DELETE FROM circuits WHERE connection = ?", (connection,))
            elif after != before:
                db.execute(_PUT_CIRCUIT, (connection, *values.circuit(after)))
            return after

        return await self._db.write(work)

    async def list_circuits(self) -> Mapping[str, CircuitRow]:
        """Return the circuits that are not all well, by connection."""

        def work(db: sqlite3.Connection) -> dict[str, CircuitRow]:
            return {row["connection"]: rows.circuit(row) for row in db.execute("SELECT * FROM circuits")}

        return await self._db.read(work)


def allowed(db: sqlite3.Connection, gate: str, free: int, now: datetime) -> tuple[int, bool]:
    """Return how many of a gate's jobs may begin, and whether that one is a probe of its circuit."""
    circuit = _circuit(db, gate)
    if not circuit.may_begin(now):
        return 0, False
    return (free, False) if circuit.open_until is None else (1, True)


def begin_probe(db: sqlite3.Connection, gate: str, *, until: int) -> None:
    """Note that the job which probes was taken, and has so long."""
    db.execute(_PROBE, (until, gate))


def waiting_until(db: sqlite3.Connection, gate: str) -> int | None:
    """Return until when a gate's circuit lets no job begin, in microseconds; None when nothing is in the way."""
    at = _circuit(db, gate).waits_until
    return None if at is None else micros(at)


def _circuit(db: sqlite3.Connection, connection: str) -> CircuitRow:
    row = db.execute(_CIRCUIT, (connection,)).fetchone()
    return WELL if row is None else rows.circuit(row)
