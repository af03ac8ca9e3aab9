"""The processes of a scene: started as `serve` is, told where to die, killed and stopped."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from connectors.testing.ports import ReservedPort
from tests.crash.driver import ORDERS, SOON
from tests.crash.killing import Point
from tests.crash.nursery import KILLED, Child, Nursery

ADMIN_KEY = "admin-key-of-the-crash-tests"
SECRET_KEY = "secret-key-of-the-crash-tests-000"
PATIENCE = 60.0
"""Seconds that a machine with much else to do is given for what takes a second or three."""
POLL_SECONDS = 0.02
RETRIES = ",".join(["0.1", "0.2", "0.4", *["1"] * 60])


class Processes:
    """So many processes as there are nodes, which share one database: an SQLite file, unless one is named."""

    def __init__(self, folder: Path, nursery: Nursery, *, nodes: int = 1, database: str | None = None) -> None:
        self.url = database or f"sqlite:///{folder / 'gateway.db'}"
        self.children: list[Child] = []
        self.soon = False
        """Whether the processes look at once at what needs a person."""
        self._nursery, self._folder = nursery, folder
        self._reserved = [ReservedPort() for _ in range(nodes)]
        self.ports = [reserved.number for reserved in self._reserved]
        """Where each of them listens."""

    def kill_all(self) -> None:
        """Kill what runs."""
        for child in self.children:
            child.kill()

    def release(self) -> None:
        """Give the ports back."""
        for reserved in self._reserved:
            reserved.release()

    async def start(
        self, *, node: int = 0, driven: bool = False, point: Point | None = None, record: Path | None = None,
        begun: Callable[[Child], None] | None = None,
    ) -> Child:  # fmt: skip
        """Start a process, as `serve` is; a driven one takes orders, the first before it does anything.

        Returns when it listens, or is dead: one that is stopped while it starts has no way yet to end well. `begun` is
        called before it has done anything.
        """
        driven = driven or point is not None or record is not None
        if driven:
            self._write_order(node, point, record)
        child = await self._nursery.start(self.environment(node), stderr=self.log, driven=driven)
        self.children.append(child)
        if begun is not None:
            begun(child)
        deadline = time.monotonic() + PATIENCE
        while not await self._listens(node) and await child.poll() is None:
            assert time.monotonic() < deadline, f"it did not start{self.last_words()}"
            await asyncio.sleep(POLL_SECONDS)
        return child

    async def order(
        self, child: Child, *, node: int = 0, point: Point | None = None, record: Path | None = None
    ) -> bool:
        """Tell a driven process where to die, or where to write its steps; without either, to do neither any more.

        Returns False where it has died of the order before.
        """
        self._write_order(node, point, record)
        child.kill(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        while self._orders(node).exists():
            if await child.poll() is not None:
                assert child.status == KILLED, f"it ended by itself: {child.status}{self.last_words()}"
                return False
            assert time.monotonic() < deadline, f"it takes no order{self.last_words()}"
            await asyncio.sleep(0.002)
        return True

    def _orders(self, node: int) -> Path:
        return self._folder / f"orders-{node}"

    def _write_order(self, node: int, point: Point | None, record: Path | None) -> None:
        order = {"point": point.dump() if point is not None else None, "record": str(record) if record else None}
        fresh = self._folder / f"fresh-orders-{node}"
        fresh.write_text(json.dumps(order))
        fresh.replace(self._orders(node))

    async def _listens(self, node: int) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.ports[node])
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    @property
    def port(self) -> int:
        """Where the first process listens."""
        return self.ports[0]

    def environment(self, node: int = 0) -> dict[str, str]:
        """Return the settings of a process."""
        return {
            "LEDGERGATE_DATABASE_URL": self.url, "LEDGERGATE_PORT": str(self.ports[node]),
            "LEDGERGATE_ADMIN_KEY": ADMIN_KEY, "LEDGERGATE_SECRET_KEY": SECRET_KEY, "LEDGERGATE_WORKERS": "8",
            "LEDGERGATE_ALLOW_PRIVATE_ADDRESSES": "true", "LEDGERGATE_RETRY_SCHEDULE": RETRIES,
            "LEDGERGATE_LEASE_SECONDS": "1", ORDERS: str(self._orders(node)), **({SOON: "1"} if self.soon else {}),
        }  # fmt: skip

    @property
    def log(self) -> Path:
        """Where the processes write their log lines."""
        return self._folder / "gateway.log"

    async def stops(self, child: Child) -> int:
        """Stop a process as an operator does; return how it ended: well, or killed where it was told to die."""
        status = await child.terminate()
        assert status in (0, KILLED), f"it did not end well: {status}{self.last_words()}"
        return status

    def last_words(self) -> str:
        """Return the end of what the processes have written, to be shown when one has ended as it should not."""
        written = self.log.read_text() if self.log.exists() else ""
        return f"\n{written[-2000:]}"
