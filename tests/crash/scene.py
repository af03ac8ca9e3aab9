"""One gateway that may be killed at any moment, its platforms and providers, some traffic, and a careful operator."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gateway.app import Gateway
from gateway.settings import Settings
from storage import Store, store_for
from storage.records import Backlog, DeliveryStatus, JobStatus, ReviewStatus
from tests.configuring import Configuring
from tests.crash.nursery import KILLED, Child, Nursery
from tests.crash.operator import Operator
from tests.crash.processes import ADMIN_KEY, PATIENCE, POLL_SECONDS, SECRET_KEY, Processes
from tests.crash.traffic import Traffic
from tests.invariants import World, check_invariants, check_secrecy, every

LOOKUPS = [0.3, 0.7, 1.2]
"""Short, so that a matrix of kills takes minutes; the order of things is that of the default ten minutes."""
UNFINISHED = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FAILED)
LONGEST_POLL = 0.25


class Scene(Traffic, Processes, Configuring):
    """See the module's docstring. `nodes` processes share one database: an SQLite file, unless one is named."""

    def __init__(self, folder: Path, nursery: Nursery, *, nodes: int = 1, database: str | None = None) -> None:
        Processes.__init__(self, folder, nursery, nodes=nodes, database=database)
        Traffic.__init__(self, self.ports)
        self.quickbooks: dict[str, Any] = {}
        """Further settings of the connection to QuickBooks."""
        self.configuring: Gateway | None = None
        self._observer = store_for(self.url)
        self._operator = Operator(self)

    # Lifetime --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the simulators and configure the gateway; no process runs yet."""
        await self.start_services()
        async with Gateway(self.settings(), serve=False, work=False) as self.configuring:
            await self.configure()
        await self._observer.open()

    async def configure(self) -> None:
        """Set up what all scenes have."""
        await self.add_flexprice(options={"reconcile_seconds": 0})
        await self.add_tithely()
        await self.add_nomod(recovery_lookups=LOOKUPS, invoices=True)
        await self.connect_quickbooks()

    async def connect_quickbooks(self) -> None:
        """Set up QuickBooks, with a consent that was just given."""
        await self.add_quickbooks(recovery_lookups=LOOKUPS, invoices=True, **self.quickbooks)

    def settings(self) -> Settings:
        """Return the settings of a gateway in this process, through which is configured."""
        return Settings(
            database_url=self.url, admin_key=SecretStr(ADMIN_KEY), secret_key=SecretStr(SECRET_KEY),
            allow_private_addresses=True,
        )  # fmt: skip

    @asynccontextmanager
    async def configured(self) -> AsyncIterator[None]:
        """Open a gateway in this process, to change what is configured beside the others."""
        async with Gateway(self.settings(), serve=False, work=False) as self.configuring:
            yield

    async def close(self) -> None:
        """Kill what runs, and stop all."""
        self.kill_all()
        await self.stop_services()
        await self._observer.close()
        self.release()

    @property
    def store(self) -> Store:
        """The database, as seen from outside of the processes."""
        return self._observer

    @property
    def gateway(self) -> Gateway:
        """The gateway through which is configured."""
        assert self.configuring is not None
        return self.configuring

    async def refresh(self) -> None:
        """Nothing: the processes take up by themselves what has changed."""

    # Waiting ---------------------------------------------------------------------------------------------------

    async def finish(self, *, patience: float = PATIENCE) -> None:
        """Wait until all is sent and has ended; what is put before a person is looked up and decided with care.

        `patience` is for how many seconds nothing may end: a busy machine is given its time.
        """
        deadline, before = time.monotonic() + patience, set[str]()
        while waiting := await self._waiting():
            left = {_name(each) for each in waiting if not isinstance(each, Backlog)}  # whose counts come and go
            if before - left:  # what follows from it may be more
                deadline = time.monotonic() + patience
            before = left
            assert time.monotonic() < deadline, f"still waiting: {waiting}"
            await self._operator.turn()
            await self._moved()

    async def until(self, happened: asyncio.Event, *, patience: float = PATIENCE) -> None:
        """Wait until something has happened; what is put before a person meanwhile is decided."""
        deadline = time.monotonic() + patience
        while not happened.is_set():
            assert time.monotonic() < deadline, f"it has not happened: {await self._waiting()}"
            await self._operator.turn()
            await asyncio.sleep(POLL_SECONDS)

    async def dies(self, child: Child, *, patience: float = PATIENCE) -> bool:
        """Wait until a process dies; return False if instead everything was done, and it lives."""
        deadline = time.monotonic() + patience
        while await child.poll() is None:
            if not await self._waiting():
                break
            assert time.monotonic() < deadline, "it neither died nor finished"
            await self._operator.turn()
            await self._moved(child)
        if await child.poll() is None:
            return False
        assert child.status == KILLED, f"it ended by itself: {child.status}{self.last_words()}"
        return True

    async def _moved(self, child: Child | None = None) -> None:
        """Wait until something has changed, or a process has died, or for a little while."""
        until, before, sending = time.monotonic() + LONGEST_POLL, await self.store.change_token(), self.under_way
        while time.monotonic() < until and sending == self.under_way:
            await asyncio.sleep(POLL_SECONDS)
            if await self.store.change_token() != before or (child is not None and await child.poll() is not None):
                return

    async def _waiting(self) -> Sequence[Any]:
        """Return what is not done yet; what moves on between two reads is seen by one of them.

        What is counted is counted at one moment. Reviews are looked at both before the jobs that may be begun again and
        after those that may have opened one.
        """
        if self.broken:
            raise self.broken[0]
        if self.under_way:
            return [f"{self.under_way} that are sent or asked for"]
        left = await self.store.backlog()
        if not left.deliveries and not left.reviews and not any(left.jobs.get(status) for status in UNFINISHED):
            return []
        fresh = await every(self.store.list_deliveries, status=DeliveryStatus.PENDING)
        asked = await every(self.store.list_reviews, status=ReviewStatus.OPEN)
        jobs = [job for status in UNFINISHED for job in await every(self.store.list_jobs, status=status)]
        return [left, *fresh, *asked, *jobs]

    async def operate(self) -> None:
        """Do what waits for a person, once."""
        await self._operator.turn()

    # The verdict -----------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Stop the processes, which must end well, and check that the promise was kept."""
        for child in self.children:
            if await child.poll() is None:
                assert await self.stops(child) == 0
        await self.holds()

    async def holds(self) -> None:
        """Check the invariants and the log; the processes may go on."""
        world = World(flexprice=self.flexprice, nomod=self.nomod, intuit=self.intuit)
        await check_invariants(self.store, world, acknowledged=self.acknowledged, all_linked=True)
        written = self.log.read_text() if self.log.exists() else ""
        assert "Traceback" not in written, written[written.index("Traceback") :][:2000]
        secrets = [
            self.secret, ADMIN_KEY, SECRET_KEY, self.nomod.api_key, self.flexprice.api_key, self.intuit.client_secret,
            self.tithely.private_key,
        ]  # fmt: skip
        check_secrecy(written, secrets=secrets)


@asynccontextmanager
async def open_scene(
    folder: Path, nursery: Nursery, *, nodes: int = 1, database: str | None = None,
    set_up: Callable[[Scene], Coroutine[Any, Any, None]] | None = None,
) -> AsyncIterator[Scene]:  # fmt: skip
    """Start a scene, with what else is set up in it, and end it."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene(folder, nursery, nodes=nodes, database=database)
    try:
        await scene.open()
        if set_up is not None:
            await set_up(scene)
        yield scene
    finally:
        await scene.close()


def _name(waiting: Any) -> str:
    """Return what tells one thing that waits from another."""
    names = ("job_id", "review_id", "delivery_id")
    return next((str(getattr(waiting, name)) for name in names if hasattr(waiting, name)), str(waiting))
