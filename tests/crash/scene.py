"""One gateway that may be killed at any moment, its platforms and providers, some traffic, and a careful operator."""

import asyncio
import contextlib
import itertools
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from connectors.testing.ports import ReservedPort
from connectors.testing.quickbooks import QuickBooksSimulator
from connectors.testing.simulator import Simulator
from gateway.app import Gateway
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sandbox.sender import Mode, Target, WebhookSender, invoice_event, transaction_event
from gateway.sandbox.tithely import TithelySimulator
from gateway.settings import Settings
from gateway.sources.signing import new_secret
from storage import Store, store_for
from storage.records import DeliveryStatus, JobStatus, ReviewStatus
from tests.configuring import ENVIRONMENT, SOURCE, TENANT, TITHELY, Configuring
from tests.crash.driver import ORDERS, SOON
from tests.crash.killing import Point
from tests.crash.nursery import KILLED, Child, Nursery
from tests.crash.operator import Operator
from tests.invariants import World, check_invariants, check_secrecy, every
from tests.ledgers import LedgerNomod

ADMIN_KEY = "admin-key-of-the-crash-tests"
SECRET_KEY = "secret-key-of-the-crash-tests-000"
LOOKUPS = [0.3, 0.7, 1.2]
"""Short, so that a matrix of kills takes minutes; the order of things is that of the default ten minutes."""
UNFINISHED = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.FAILED)
PATIENCE = 60.0
"""Seconds that a machine with much else to do is given for what takes a second or three."""
POLL_SECONDS, LONGEST_POLL = 0.02, 0.25
RETRIES = ",".join(["0.1", "0.2", "0.4", *["1"] * 60])


class Scene(Configuring):
    """See the module's docstring. `nodes` processes share one database: an SQLite file, unless one is named."""

    def __init__(self, folder: Path, nursery: Nursery, *, nodes: int = 1, database: str | None = None) -> None:
        self.flexprice, self.tithely = FlexpriceSimulator(), TithelySimulator()
        self.nomod, self.intuit = LedgerNomod(), QuickBooksSimulator()
        self.intuit.quirks.home_currency = "AED"
        self.services: dict[str, Simulator] = {
            "flexprice": self.flexprice, "tithely": self.tithely, "nomod": self.nomod, "quickbooks": self.intuit,
        }  # fmt: skip
        self.secret = new_secret()
        self.acknowledged: list[str] = []
        self.children: list[Child] = []
        self.soon = False
        """Whether the processes look at once at what needs a person."""
        self.quickbooks: dict[str, Any] = {}
        """Further settings of the connection to QuickBooks."""
        self.configuring: Gateway | None = None
        self._nursery, self._folder = nursery, folder
        self._url = database or f"sqlite:///{folder / 'gateway.db'}"
        self._reserved = [ReservedPort() for _ in range(nodes)]
        self._ports = [reserved.number for reserved in self._reserved]
        self._sender = WebhookSender(schedule=(0.0,), timeout=2.0)
        self._sending: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []
        self._messages = itertools.count(1)
        self._observer = store_for(self._url)
        self._operator = Operator(self)
        self._session: aiohttp.ClientSession | None = None

    # Lifetime --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the simulators and configure the gateway; no process runs yet."""
        for service in self.services.values():
            await service.start()
        async with Gateway(self.settings(), serve=False, work=False) as self.configuring:
            await self.configure()
        await self._observer.open()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))

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
            database_url=self._url, admin_key=SecretStr(ADMIN_KEY), secret_key=SecretStr(SECRET_KEY),
            allow_private_addresses=True,
        )  # fmt: skip

    @asynccontextmanager
    async def configured(self) -> AsyncIterator[None]:
        """Open a gateway in this process, to change what is configured beside the others."""
        async with Gateway(self.settings(), serve=False, work=False) as self.configuring:
            yield

    async def close(self) -> None:
        """Kill what runs, and stop all."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        for child in self.children:
            child.kill()
        if self._session is not None:
            await self._session.close()
        await self._observer.close()
        await self._sender.close()
        for service in self.services.values():
            await service.stop()
        for reserved in self._reserved:
            reserved.release()

    # Processes -------------------------------------------------------------------------------------------------

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
            assert time.monotonic() < deadline, f"it did not start{self._last_words()}"
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
                assert child.status == KILLED, f"it ended by itself: {child.status}{self._last_words()}"
                return False
            assert time.monotonic() < deadline, f"it takes no order{self._last_words()}"
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
            _, writer = await asyncio.open_connection("127.0.0.1", self._ports[node])
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    @property
    def port(self) -> int:
        """Where the first process listens."""
        return self._ports[0]

    def environment(self, node: int = 0) -> dict[str, str]:
        """Return the settings of a process."""
        return {
            "LEDGERGATE_DATABASE_URL": self._url, "LEDGERGATE_PORT": str(self._ports[node]),
            "LEDGERGATE_ADMIN_KEY": ADMIN_KEY, "LEDGERGATE_SECRET_KEY": SECRET_KEY, "LEDGERGATE_WORKERS": "8",
            "LEDGERGATE_ALLOW_PRIVATE_ADDRESSES": "true", "LEDGERGATE_RETRY_SCHEDULE": RETRIES,
            "LEDGERGATE_LEASE_SECONDS": "1", ORDERS: str(self._orders(node)), **({SOON: "1"} if self.soon else {}),
        }  # fmt: skip

    @property
    def log(self) -> Path:
        """Where the processes write their log lines."""
        return self._folder / "gateway.log"

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

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    # Traffic ---------------------------------------------------------------------------------------------------

    def traffic(self) -> None:
        """Begin to send what a day brings: new customers, known ones, a taken name, a doubtful one, a gift."""
        ada = self.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com", metadata={"plan": "gold"})
        self.invoice(ada["id"])
        self.invoice(ada["id"])
        self.intuit.seed_vendor(DisplayName="Charles Babbage")
        self.invoice(self.flexprice.add_customer(name="Charles Babbage", email="charles@example.com")["id"])
        self.nomod.seed(first_name="Grace", email="grace@example.com")
        self.nomod.seed(first_name="Hopper", email="grace@example.com")
        self.intuit.seed_customer(DisplayName="Grace Hopper", email="grace@example.com")
        self.gift(donor_id="user_1", first_name="Grace", last_name="Hopper", email="grace@example.com")

    def invoice(self, customer_id: str, *, node: int = 0) -> None:
        """Make a final invoice, and send its webhook until it is acknowledged."""
        self.announce(self.flexprice.add_invoice(customer_id)["id"], node=node)

    def announce(self, invoice_id: str, *, node: int = 0) -> None:
        """Send the webhook about a final invoice until it is acknowledged."""
        shown = self.flexprice.shown_invoice(self.flexprice.invoices[invoice_id], lag=0)
        self.begin(self.deliver(invoice_event(shown), SOURCE, node=node))

    def gift(self, *, node: int = 0, **giver: str) -> None:
        """Send the envelope of a gift until it is acknowledged."""
        gift = {"transaction_id": f"ch_{next(self._messages)}", "amount": "2500", "currency": "USD", **giver}
        event = transaction_event(gift, timestamp=self.now().isoformat())
        self.begin(self.deliver(event, TITHELY, mode=Mode.WEBHOOK, node=node))

    @property
    def under_way(self) -> int:
        """Return how much is being sent or asked for."""
        return len(self._sending)

    def begin(self, doing: Coroutine[Any, Any, None]) -> None:
        """Begin something that the scene waits for; where it fails, the scene has."""
        task = asyncio.create_task(doing)
        self._sending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken.append(error)

    async def deliver(
        self, event: Mapping[str, Any] | bytes, source: str, *, mode: Mode = Mode.SVIX, node: int = 0
    ) -> None:
        """Repeat as the platforms do, at every node in turn, until a 2xx is read."""
        message_id = f"msg_{next(self._messages)}"
        for turn in itertools.count(node):
            port = self._ports[turn % len(self._ports)]
            url = f"http://127.0.0.1:{port}/webhooks/{source}"
            target = Target(url=url, secrets=(self.secret,), mode=mode)
            sent = await self._sender.send(target, event, message_id=message_id, tries=1)
            if sent.delivered:
                self.acknowledged.append(str(json.loads(sent.attempts[-1].body)["delivery_id"]))
                return
            await asyncio.sleep(0.05)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any] | None:
        """Post to the first process, signed or not; return status and answer, None where nobody has answered."""
        return await self._request("POST", 0, path, data=body, headers=headers)

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any] | None:
        """Ask the API of any process; return status and answer, None where nobody has answered."""
        headers = {
            "Authorization": f"Bearer {ADMIN_KEY}", "X-Tenant-ID": TENANT, "X-Environment-ID": ENVIRONMENT,
        }  # fmt: skip
        for node in range(len(self._ports)):
            answer = await self._request(method, node, path, json=body, headers=headers)
            if answer is not None:
                return answer
        return None

    async def _request(self, method: str, node: int, path: str, **more: Any) -> tuple[int, Any] | None:
        assert self._session is not None
        url = f"http://127.0.0.1:{self._ports[node]}{path}"
        try:
            async with self._session.request(method, url, **more) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def hang_up(self) -> None:
        """Close the connections on which webhooks were sent: the next ones need new ones."""
        await self._sender.close()

    # Waiting ---------------------------------------------------------------------------------------------------

    async def finish(self, *, patience: float = PATIENCE) -> None:
        """Wait until all is sent and has ended; what is put before a person is looked up and decided with care.

        `patience` is for how many seconds nothing may end: a busy machine is given its time.
        """
        deadline, before = time.monotonic() + patience, set[str]()
        while waiting := await self._waiting():
            left = {_name(each) for each in waiting}
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
        assert child.status == KILLED, f"it ended by itself: {child.status}{self._last_words()}"
        return True

    async def _moved(self, child: Child | None = None) -> None:
        """Wait until something has changed, or a process has died, or for a little while."""
        until, before, sending = time.monotonic() + LONGEST_POLL, await self.store.change_token(), len(self._sending)
        while time.monotonic() < until and sending == len(self._sending):
            await asyncio.sleep(POLL_SECONDS)
            if await self.store.change_token() != before or (child is not None and await child.poll() is not None):
                return

    async def stops(self, child: Child) -> int:
        """Stop a process as an operator does; return how it ended: well, or killed where it was told to die."""
        status = await child.terminate()
        assert status in (0, KILLED), f"it did not end well: {status}{self._last_words()}"
        return status

    async def _waiting(self) -> Sequence[Any]:
        """Return what is not done yet; what moves on between two reads is seen by one of them.

        What is counted is counted at one moment. Reviews are looked at both before the jobs that may be begun again and
        after those that may have opened one.
        """
        if self._broken:
            raise self._broken[0]
        if self._sending:
            return [f"{len(self._sending)} that are sent or asked for"]
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

    def _last_words(self) -> str:
        """Return the end of what the processes have written, to be shown when one has ended as it should not."""
        written = self.log.read_text() if self.log.exists() else ""
        return f"\n{written[-2000:]}"

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
