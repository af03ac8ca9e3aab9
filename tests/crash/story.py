"""What happens in a scene while its process is killed: one story, told again and again with other people."""

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

from connectors.testing.simulator import Call
from tests.crash.killing import Point
from tests.crash.nursery import KILLED, Child
from tests.crash.processes import PATIENCE
from tests.crash.scene import Scene

Record = dict[str, Any]
POLL_SECONDS = 0.05


class Story(ABC):
    """One telling. `prepare` makes what it begins from, `play` is what the process is killed in, `check` judges.

    `number` tells it from the tellings before it in the same scene. What `prepare` begins is waited for, with a person
    at hand for what is put before one: who waits for it alone may wait for ever.
    """

    name: ClassVar[str]
    like: ClassVar[tuple[type["Story"], ...]] = ()
    """The stories of which this one is a variant: the short form kills it only where none of those comes by."""
    waits_for: ClassVar[frozenset[str]] = frozenset()
    """What comes with time alone, and surely in this story."""

    def __init__(self, scene: Scene, number: int) -> None:
        self.scene, self.number = scene, number

    @classmethod  # noqa: B027 - most need nothing
    async def set_up(cls, scene: Scene) -> None:
        """Set up what this story needs beyond what every scene has; no process runs yet."""

    async def prepare(self) -> None:  # noqa: B027 - most begin from nothing
        """Make what it begins from."""

    @abstractmethod
    async def play(self) -> None:
        """Let it happen: send, ask, and repeat, as the others do, until there is an answer."""

    async def check(self) -> None:  # noqa: B027 - of most the invariants say all
        """Raise AssertionError unless it came out as promised; what holds of all stories is checked beside it."""

    # How a process comes by its end --------------------------------------------------------------------------------

    async def tell(
        self, child: Child, *, point: Point | None = None, record: Path | None = None,
        begun: Callable[[Child], None] | None = None,
    ) -> Child:  # fmt: skip
        """Give the living process its order, and begin; return the process that may die. `begun` is called before."""
        await self.scene.order(child, point=point, record=record)
        if begun is not None:
            begun(child)
        self.begin(child)
        return child

    def begin(self, child: Child) -> None:
        """Set it off, once the process has its order."""
        self.scene.begin(self.play())

    async def died(self, child: Child) -> bool:
        """Wait until the process has died, or all is done; return whether it has died."""
        return await self.scene.dies(child)

    # What stories share --------------------------------------------------------------------------------------------

    def customer(self, name: str = "Ada", **fields: Any) -> Record:
        """Make a customer whom nobody knows yet."""
        email = f"{name.casefold()}{self.number}@example.com"
        return self.scene.flexprice.add_customer(name=f"{name} Nr{self.number} Lovelace", email=email, **fields)

    def bill(self, customer: Record) -> str:
        """Make a final invoice, of which no webhook tells yet; return its id."""
        return str(self.scene.flexprice.add_invoice(customer["id"])["id"])

    async def billed(self) -> str:
        """Have an invoice at both providers; return its id."""
        invoice = self.bill(self.customer())
        self.scene.announce(invoice)
        await self.scene.finish()
        return invoice

    async def record_of(self, entity: str, entity_type: str, connection: str) -> str:
        """Return the provider's record that something is linked to."""
        found = await self.scene.mappings(entity_id=entity, entity_type=entity_type, connection=connection)
        assert len(found) == 1, found
        return str(found[0].provider_entity_id)

    async def until(self, condition: Callable[[], Awaitable[object]], *, what: Callable[[], object] = str) -> None:
        """Wait until something holds; `what` tells what there was instead, where it never did."""
        deadline = time.monotonic() + 3 * PATIENCE  # a killed process and a busy machine take theirs
        while not await condition():
            assert time.monotonic() < deadline, f"it has not come about in {self.name}: {what()}"
            await asyncio.sleep(POLL_SECONDS)


class Starting(Story):
    """The process starts, with nothing to do but to look around."""

    name = "start"
    waits_for = frozenset({"GET /v1/integrations/config"})

    async def play(self) -> None:
        """Nothing comes in."""

    async def tell(
        self, child: Child, *, point: Point | None = None, record: Path | None = None,
        begun: Callable[[Child], None] | None = None,
    ) -> Child:  # fmt: skip
        """Stop the living process, and start the one that may die."""
        self.asked = len(self._questions())
        assert await self.scene.stops(child) == 0
        self.child = await self.scene.start(driven=True, point=point, record=record, begun=begun)
        self.scene.begin(self._looked_around())
        return self.child

    async def _looked_around(self) -> None:
        """Wait for the one question that a start has for the platform."""

        async def asked() -> bool:
            return await self.child.poll() is not None or len(self._questions()) > self.asked

        await self.until(asked)

    def _questions(self) -> list[Call]:
        return self.scene.flexprice.calls_of("GET */integrations/config")


class Stopping(Story):
    """The process is told to stop, and has nothing to do."""

    name = "stop"

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Have it hold a turn that it gives back."""
        scene.soon = True

    async def play(self) -> None:
        """Nothing comes in."""

    def begin(self, child: Child) -> None:
        """Tell the living process to stop."""
        child.kill(signal.SIGTERM)

    async def died(self, child: Child) -> bool:
        """Wait for its end; return whether it was killed on the way."""
        return await self.scene.stops(child) == KILLED
