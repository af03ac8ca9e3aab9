"""Equal records wait in line in this process: while one is looked for and made, the next need not look in vain.

What no two open creates may share (guards, in the database) keeps equal records apart on all nodes. It does so only
after the look-ups, and requests are limited in number. Here the next in line begins when the one before is settled.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

MOST_WAITING = 2
"""Attempts that wait in one line; each holds a place of the worker meanwhile. Further ones come again later."""
WAIT_SECONDS = 5.0


@dataclass(slots=True)
class _Turn:
    over: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0


class Lines:
    """The turns that are taken in one process."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    async def enter(self, guards: Iterable[str]) -> Callable[[], None] | None:
        """Wait until nobody has any of these, and return what ends the turn; None when that takes too long."""
        wanted = set(guards)
        if not self._turns.keys().isdisjoint(wanted) and not await self._wait(wanted):
            return None
        turn = _Turn()
        self._turns.update(dict.fromkeys(wanted, turn))

        def leave() -> None:
            for each in wanted:
                del self._turns[each]
            turn.over.set()

        return leave

    async def _wait(self, wanted: set[str]) -> bool:
        """Return whether nobody has any of these by now."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while (ahead := next((self._turns[each] for each in wanted if each in self._turns), None)) is not None:
                    if ahead.waiting >= MOST_WAITING:
                        return False
                    ahead.waiting += 1
                    try:
                        await ahead.over.wait()
                    finally:
                        ahead.waiting -= 1
        except TimeoutError:
            return False
        return True
