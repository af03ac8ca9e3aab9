"""What all processes share about a provider: how much of its limits is taken, and what stops work."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from storage import rows, values
from storage.postgres.connection import Session
from storage.postgres.database import Database
from storage.records import WELL, CircuitRow, Json
from storage.scalars import dumps, loads, micros, moment

T = TypeVar("T")
# A slot that is forgotten in a power cut has long passed when the server is back: nobody waits for the disk here.
_BUDGET = """
SELECT b.state, set_config('synchronous_commit', 'off', true),
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at
  FROM budgets b WHERE b.connection = $1 FOR UPDATE"""
_ADD_BUDGET = """
INSERT INTO budgets (connection, state) VALUES ($1, 'null')
ON CONFLICT (connection) DO UPDATE SET connection = excluded.connection"""
_PUT_BUDGET = """
WITH put AS (UPDATE budgets SET state = $2 WHERE connection = $1)
SELECT c.* FROM circuits c WHERE c.connection = $1"""
_CIRCUIT = """
INSERT INTO circuits (connection, failures, rest) VALUES ($1, 0, 0)
ON CONFLICT (connection) DO UPDATE SET connection = excluded.connection RETURNING *"""
_PUT_CIRCUIT = """
UPDATE circuits SET failures = $2, rest = $3, open_until = $4, opened_at = $5, probe_until = $6, held_until = $7
 WHERE connection = $1"""
_DROP_CIRCUIT = "DELETE FROM circuits WHERE connection = $1"
_WAITING = "SELECT * FROM circuits WHERE connection = ANY($1::text[])"
_PROBE = """
UPDATE circuits SET probe_until = $2
 WHERE connection = $1 AND open_until <= $3 AND coalesce(probe_until, 0) <= $3 AND coalesce(held_until, 0) <= $3"""
_NO_PROBE = "UPDATE circuits SET probe_until = NULL WHERE connection = $1 AND probe_until = $2"


class Budgets:
    """The part of the store that deals with what providers allow."""

    _db: Database

    async def change_budget(
        self, connection: str, change: Callable[[Json, datetime], tuple[Json, T]], *, now: datetime | None = None
    ) -> tuple[T, datetime, CircuitRow]:
        """Replace what is noted about the use of a connection's limits by what `change` makes of it.

        The time is the server's: the clocks of nodes are not close enough to each other for slots of milliseconds.
        """

        async def work(db: Session) -> tuple[T, datetime, CircuitRow]:
            found = await db.row(_BUDGET, connection)
            if found is None:
                await db.execute(_ADD_BUDGET, connection)
                found = await db.row(_BUDGET, connection)
            if found is None:
                raise AssertionError(connection)
            at = now or moment(found["at"])
            state, result = change(loads(found["state"]), at)
            circuit = await db.row(_PUT_BUDGET, connection, dumps(state) or "null")
            return result, at, WELL if circuit is None else rows.circuit(circuit)

        return await self._db.write(work, rings=False)

    async def change_circuit(self, connection: str, change: Callable[[CircuitRow], CircuitRow]) -> CircuitRow:
        """Replace a circuit's state by what `change` makes of it, and return that; `change` may be called again."""

        async def work(db: Session) -> CircuitRow:
            (found,) = await db.rows(_CIRCUIT, connection)
            before = rows.circuit(found)
            after = change(before)
            if after == WELL:
                await db.execute(_DROP_CIRCUIT, connection)
            elif after != before:
                await db.execute(_PUT_CIRCUIT, connection, *values.circuit(after))
            return after

        return await self._db.write(work)

    async def list_circuits(self) -> Mapping[str, CircuitRow]:
        """Return the circuits that are not all well, by connection."""
        found = await self._db.run(lambda db: db.rows("SELECT * FROM circuits"))
        return {row["connection"]: rows.circuit(row) for row in found}


async def allowed(
    db: Session, room: Mapping[str, int], now: datetime, *, until: datetime
) -> tuple[dict[str, int], set[str]]:
    """Return how many jobs of each gate may begin, and the gates whose one job is a probe: nobody else gets that."""
    free, probes = dict(room), set[str]()
    for row in await db.rows(_WAITING, [gate for gate, count in room.items() if count > 0]):
        gate, circuit = row["connection"], rows.circuit(row)
        if not circuit.may_begin(now):
            free[gate] = 0
        elif circuit.open_until is not None:
            free[gate] = await db.execute(_PROBE, gate, micros(until), micros(now))
            if free[gate]:
                probes.add(gate)
    return free, probes


async def give_back_probe(db: Session, gate: str, *, until: datetime) -> None:
    """Note that there was no job to probe with."""
    await db.execute(_NO_PROBE, gate, micros(until))
