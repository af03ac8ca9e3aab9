"""What all processes share about a provider: how much of its limits is taken, and what stops work."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from storage.records import CircuitRow, Json

T = TypeVar("T")


class BudgetStore(Protocol):
    """What all processes share about a provider."""

    async def change_budget(
        self, connection: str, change: Callable[[Json, datetime], tuple[Json, T]], *, now: datetime | None = None
    ) -> tuple[T, datetime, CircuitRow]:
        """Replace what is noted about the use of a connection's limits by what `change` makes of it.

        `change` gets what was noted last (None at first) and the time, and returns what to note and what to return. It
        may be called more than once. No two changes of a connection overlap, in any process. The time is the store's
        own, which all processes share, unless `now` is given; it is returned too, and so is the connection's circuit.
        What was noted in the last second may be lost when the machine of the database loses power.
        """
        ...

    async def change_circuit(self, connection: str, change: Callable[[CircuitRow], CircuitRow]) -> CircuitRow:
        """Replace a circuit's state by what `change` makes of it, and return that; `change` may be called again."""
        ...

    async def list_circuits(self) -> Mapping[str, CircuitRow]:
        """Return the circuits that are not all well, by connection."""
        ...
