"""Processes that share a provider's limits in virtual time, their store, and a provider that counts strictly."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.models import Limits
from gateway.breaker import Breaker
from gateway.budget import Budget
from storage.errors import StoreUnavailableError
from storage.records import WELL, CircuitRow

T0 = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MOST_AWAY = 0.002
"""Seconds that a question to the store takes."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in which waiting takes no time: its clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 1000.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> Any:
            self._passed += timeout or 0.0
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        """Return the seconds that have passed."""
        return self._passed

    def now(self) -> datetime:
        """Return the time of day."""
        return T0 + timedelta(seconds=self._passed)


class SharedStore:
    """What the budget wants of a store. That real ones keep to it is tested in storage/testing/budgets.py."""

    def __init__(self, loop: VirtualLoop, chance: random.Random) -> None:
        self._loop, self._chance = loop, chance
        self.budgets: dict[str, Any] = {}
        self.circuits: dict[str, CircuitRow] = {}
        self.asked = 0
        self.away = False

    async def change_budget(
        self, connection: str, change: Callable[[Any, datetime], tuple[Any, Any]], *, now: datetime | None = None
    ) -> tuple[Any, datetime, CircuitRow]:
        self.asked += 1
        await asyncio.sleep(self._chance.uniform(0, MOST_AWAY / 2))
        if self.away:
            raise StoreUnavailableError
        at = now or self._loop.now()
        self.budgets[connection], result = change(self.budgets.get(connection), at)
        circuit = self.circuits.get(connection, WELL)
        await asyncio.sleep(self._chance.uniform(0, MOST_AWAY / 2))
        return result, at, circuit

    async def change_circuit(self, connection: str, change: Callable[[CircuitRow], CircuitRow]) -> CircuitRow:
        await asyncio.sleep(self._chance.uniform(0, MOST_AWAY))
        self.circuits[connection] = change(self.circuits.get(connection, WELL))
        return self.circuits[connection]


@dataclass
class Provider:
    """Refuses every request beyond its limits, in any window, wherever it begins; counts what it did."""

    loop: VirtualLoop
    chance: random.Random
    limits: Limits
    served: int = 0
    refused: int = 0
    crowded: int = 0
    busy: int = 0

    def __post_init__(self) -> None:
        """Begin with empty windows."""
        whole = max(1, int(self.limits.per_second))
        self.windows = [(whole, whole / self.limits.per_second), (self.limits.per_minute or 1e9, 60.0)]
        self.arrivals: list[deque[float]] = [deque() for _ in self.windows]

    async def ask(self) -> None:
        """Arrive after an uncertain while, be counted, and be answered."""
        await asyncio.sleep(0.03 + self.chance.uniform(0, 0.02))
        now = self.loop.time()
        for (count, length), arrivals in zip(self.windows, self.arrivals, strict=True):
            while arrivals and arrivals[0] <= now - length:
                arrivals.popleft()
            arrivals.append(now)
            self.refused += len(arrivals) > count
        self.served += 1
        self.busy += 1
        self.crowded += self.busy > self.limits.concurrency
        await asyncio.sleep(self.chance.uniform(0.01, 0.1))
        self.busy -= 1


@dataclass
class World:
    """A provider, a store, and the processes that share them."""

    loop: VirtualLoop
    store: SharedStore
    provider: Provider
    made: list[Budget] = field(default_factory=list)

    def process(self, *, now: Callable[[], datetime] | None = None, **how: Any) -> Budget:
        """Start another process. `now` is the time of its breaker."""
        store: Any = self.store
        budget = Budget(
            "nomod", self.provider.limits, store=store, owner=f"p{len(self.made)}", clock=self.loop.time,
            breaker=Breaker("nomod", store=store, now=now or self.loop.now), **how,
        )  # fmt: skip
        self.made.append(budget)
        return budget

    async def press(self, budget: Budget, seconds: float) -> None:
        """Send as much as the budget allows."""
        end = self.loop.time() + seconds

        async def lane() -> None:
            while self.loop.time() < end:
                async with budget.slot():
                    await self.provider.ask()

        await asyncio.gather(*[lane() for _ in range(2 * self.provider.limits.concurrency)])


@contextmanager
def world(limits: Limits, seed: int) -> Iterator[World]:
    print(f"seed {seed}")
    chance = random.Random(seed)
    loop = VirtualLoop()
    try:
        yield World(loop, SharedStore(loop, chance), Provider(loop, chance, limits))
    finally:
        loop.run_until_complete(_end())
        loop.close()


async def _end() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
