"""One gateway that may be killed at any moment, its platforms and providers, some traffic, and a careful operator."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from connectors.testing.quickbooks import QuickBooksSimulator
from gateway import keys
from gateway.app import Gateway
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sandbox.sender import Mode, Target, WebhookSender, invoice_event, transaction_event
from gateway.settings import Settings
from gateway.sources.signing import new_secret
from storage import Store, store_for
from storage.records import DeliveryStatus, JobStatus, Review, ReviewStatus
from tests.configuring import ENVIRONMENT, SOURCE, TENANT, TITHELY, Configuring
from tests.crash.driver import POINT, RECORD
from tests.crash.killing import Point
from tests.crash.nursery import KILLED, Child, Nursery
from tests.invariants import World, check_invariants, check_secrecy, every
from tests.ledgers import LedgerNomod, invoices_in_nomod, invoices_in_quickbooks, made_in_quickbooks
from tests.ports import ReservedPort

ADMIN_KEY = "admin-key-of-the-crash-tests"
SECRET_KEY = "secret-key-of-the-crash-tests-000"
LOOKUPS = [0.3, 0.7, 1.2]
"""Short, so that a matrix of kills takes minutes; the order of things is that of the default ten minutes."""
UNFINISHED = frozenset({JobStatus.RUNNING, JobStatus.PENDING, JobStatus.FAILED})
PATIENCE = 60.0
"""Seconds that a machine with much else to do is given for what takes a second or three."""
RETRIES = ",".join(["0.1", "0.2", "0.4", *["1"] * 60])


class Scene(Configuring):
    """See the module's docstring. `nodes` processes share one database: an SQLite file, unless one is named."""

    def __init__(self, folder: Path, nursery: Nursery, *, nodes: int = 1, database: str | None = None) -> None:
        self.flexprice, self.nomod, self.intuit = FlexpriceSimulator(), LedgerNomod(), QuickBooksSimulator()
        self.intuit.quirks.home_currency = "AED"
        self.secret = new_secret()
        self.acknowledged: list[str] = []
        self.children: list[Child] = []
        self._nursery, self._folder = nursery, folder
        self._url = database or f"sqlite:///{folder / 'gateway.db'}"
        self._reserved = [ReservedPort() for _ in range(nodes)]
        self._ports = [reserved.number for reserved in self._reserved]
        self._sender = WebhookSender(schedule=(0.0,), timeout=2.0)
        self._sending: set[asyncio.Task[None]] = set()
        self._messages = itertools.count(1)
        self._configuring: Gateway | None = None
        self._observer = store_for(self._url)
        self._session: aiohttp.ClientSession | None = None

    # Lifetime --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the simulators and configure the gateway; no process runs yet."""
        for service in (self.flexprice, self.nomod, self.intuit):
            await service.start()
        async with Gateway(self._settings(), serve=False, work=False) as self._configuring:
            await self.add_flexprice()
            await self.add_tithely()
            await self.add_nomod(recovery_lookups=LOOKUPS, invoices=True)
            await self.add_quickbooks(recovery_lookups=LOOKUPS, invoices=True)
        await self._observer.open()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))

    def _settings(self) -> Settings:
        return Settings(
            database_url=self._url, admin_key=SecretStr(ADMIN_KEY), secret_key=SecretStr(SECRET_KEY),
            allow_private_addresses=True,
        )  # fmt: skip

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
        for service in (self.flexprice, self.nomod, self.intuit):
            await service.stop()
        for reserved in self._reserved:
            reserved.release()

    async def start(
        self, *, node: int = 0, point: Point | None = None, record: Path | None = None,
        begun: Callable[[Child], None] | None = None,
    ) -> Child:  # fmt: skip
        """Start a process: one that dies at `point`, one that writes its steps to `record`, or one as `serve` is.

        Returns when it listens, or is dead: one that is stopped while it starts has no way yet to end well. `begun` is
        called before it has done anything.
        """
        env = {
            **self.environment(node),
            **({POINT: point.dump()} if point is not None else {}),
            **({RECORD: str(record)} if record is not None else {}),
        }
        driven = point is not None or record is not None
        child = await self._nursery.start(env, stderr=self.log, driven=driven)
        self.children.append(child)
        if begun is not None:
            begun(child)
        deadline = time.monotonic() + PATIENCE
        while not await self._listens(node) and await child.poll() is None:
            assert time.monotonic() < deadline, f"it did not start{self._last_words()}"
            await asyncio.sleep(0.02)
        return child

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
            "LEDGERGATE_LEASE_SECONDS": "1",
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
        assert self._configuring is not None
        return self._configuring

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
        shown = self.flexprice.shown_invoice(self.flexprice.add_invoice(customer_id), lag=0)
        self._send(invoice_event(shown), SOURCE, Mode.SVIX, node)

    def gift(self, *, node: int = 0, **giver: str) -> None:
        """Send the envelope of a gift until it is acknowledged."""
        gift = {"transaction_id": f"ch_{next(self._messages)}", "amount": "2500", "currency": "USD", **giver}
        self._send(transaction_event(gift, timestamp=self.now().isoformat()), TITHELY, Mode.WEBHOOK, node)

    @property
    def under_way(self) -> int:
        """Return how many webhooks are being sent."""
        return len(self._sending)

    def _send(self, event: dict[str, Any], source: str, mode: Mode, node: int) -> None:
        task = asyncio.create_task(self._deliver(event, source, mode, node, f"msg_{next(self._messages)}"))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _deliver(self, event: dict[str, Any], source: str, mode: Mode, node: int, message_id: str) -> None:
        """Repeat as the platforms do, at every node in turn, until a 2xx is read."""
        for turn in itertools.count(node):
            port = self._ports[turn % len(self._ports)]
            url = f"http://127.0.0.1:{port}/webhooks/{source}"
            target = Target(url=url, secrets=(self.secret,), mode=mode)
            sent = await self._sender.send(target, event, message_id=message_id, tries=1)
            if sent.delivered:
                self.acknowledged.append(str(json.loads(sent.attempts[-1].body)["delivery_id"]))
                return
            await asyncio.sleep(0.05)

    async def hang_up(self) -> None:
        """Close the connections on which webhooks were sent: the next ones need new ones."""
        await self._sender.close()

    # The operator ----------------------------------------------------------------------------------------------

    async def finish(self, *, patience: float = PATIENCE) -> None:
        """Wait until all is sent and has ended; what is put before a person is looked up and decided with care.

        `patience` is for how many seconds nothing may end: a busy machine is given its time.
        """
        deadline, least = time.monotonic() + patience, float("inf")
        while waiting := await self._waiting():
            if len(waiting) < least:
                deadline, least = time.monotonic() + patience, len(waiting)
            assert time.monotonic() < deadline, f"still waiting: {waiting}"
            await self.operate()
            await asyncio.sleep(0.03)

    async def dies(self, child: Child, *, patience: float = PATIENCE) -> bool:
        """Wait until a process dies; return False if instead everything was done, and it lives."""
        deadline = time.monotonic() + patience
        while await child.poll() is None:
            if not await self._waiting():
                return False
            assert time.monotonic() < deadline, "it neither died nor finished"
            await self.operate()
            await asyncio.sleep(0.02)
        assert child.status == KILLED, f"it ended by itself: {child.status}{self._last_words()}"
        return True

    async def stops(self, child: Child) -> int:
        """Stop a process as an operator does; return how it ended: well, or killed where it was told to die."""
        status = await child.terminate()
        assert status in (0, KILLED), f"it did not end well: {status}{self._last_words()}"
        return status

    async def _waiting(self) -> Sequence[Any]:
        """Return what is not done yet; what moves on between two reads is seen by one of them.

        Deliveries are looked at before the jobs that are made of them, all jobs at one moment, and reviews both before
        the jobs that may be begun again and after those that may have opened one.
        """
        if self._sending:
            return [f"{len(self._sending)} webhooks"]
        fresh = await every(self.store.list_deliveries, status=DeliveryStatus.PENDING)
        asked = await every(self.store.list_reviews, status=ReviewStatus.OPEN)
        jobs = [job for job in await every(self.store.list_jobs) if job.status in UNFINISHED]
        return [*fresh, *asked, *jobs, *await every(self.store.list_reviews, status=ReviewStatus.OPEN)]

    async def operate(self) -> None:
        """Do what waits for a person: decide reviews, connect again, retry what has failed."""
        for review in await every(self.store.list_reviews, status=ReviewStatus.OPEN):
            await self._decide(review)
        for connection in await self.store.list_connections():
            if connection.status == "paused":
                await self._connect_again(connection.name)

        for job in await every(self.store.list_jobs, status=JobStatus.FAILED):
            await self._ask("POST", f"/api/v1/jobs/{job.job_id}/retry", None)

    async def _decide(self, review: Review) -> None:
        """Look at the provider, as a careful person does: adopt what was made already, else make one."""
        made = self.nomod.made_for if review.connection == "nomod-prod" else made_in_quickbooks(self.intuit)
        wanted = str(review.entity_id)
        if review.entity_type == "invoice" and review.connection == "nomod-prod":
            made, wanted = invoices_in_nomod(self.nomod), self.flexprice.invoices[wanted]["invoice_number"]
        elif review.entity_type == "invoice":
            made = invoices_in_quickbooks(self.intuit)
        known = made.get(wanted)
        decision = {"decision": "adopt", "provider_entity_id": known[0]} if known else {"decision": "create"}
        await self._ask("POST", f"/api/v1/reviews/{review.review_id}/resolve", decision)

    async def _connect_again(self, name: str) -> None:
        """A refresh token that was rotated and never stored is lost; a person gives the consent again."""
        assert name == "qbo-prod"
        async with Gateway(self._settings(), serve=False, work=False) as gateway:
            self._configuring = gateway
            await self.add_quickbooks(recovery_lookups=LOOKUPS, invoices=True)
            await gateway.app[keys.STORE].set_connection_status(name, status="active", now=self.now())

    async def _ask(self, method: str, path: str, body: object) -> None:
        """Ask the API of any node; one that dies meanwhile is asked again at the next turn."""
        assert self._session is not None
        headers = {
            "Authorization": f"Bearer {ADMIN_KEY}", "X-Tenant-ID": TENANT, "X-Environment-ID": ENVIRONMENT,
        }  # fmt: skip
        for port in self._ports:
            try:
                url = f"http://127.0.0.1:{port}{path}"
                async with self._session.request(method, url, json=body, headers=headers) as answer:
                    await answer.read()
                    return
            except (aiohttp.ClientError, TimeoutError):
                continue

    def _last_words(self) -> str:
        """Return the end of what the processes have written, to be shown when one has ended as it should not."""
        written = self.log.read_text() if self.log.exists() else ""
        return f"\n{written[-2000:]}"

    # The verdict -----------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Stop the processes, which must end well, and check the invariants and the log."""
        for child in self.children:
            if await child.poll() is None:
                assert await self.stops(child) == 0
        world = World(flexprice=self.flexprice, nomod=self.nomod, intuit=self.intuit)
        await check_invariants(self.store, world, acknowledged=self.acknowledged, all_linked=True)
        written = self.log.read_text() if self.log.exists() else ""
        assert "Traceback" not in written, written[written.index("Traceback") :][:2000]
        secrets = [
            self.secret,
            ADMIN_KEY,
            SECRET_KEY,
            self.nomod.api_key,
            self.flexprice.api_key,
            self.intuit.client_secret,
        ]
        check_secrecy(written, secrets=secrets)


@asynccontextmanager
async def open_scene(
    folder: Path, nursery: Nursery, *, nodes: int = 1, database: str | None = None
) -> AsyncIterator[Scene]:
    """Start a scene, and end it."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = Scene(folder, nursery, nodes=nodes, database=database)
    try:
        await scene.open()
        yield scene
    finally:
        await scene.close()
