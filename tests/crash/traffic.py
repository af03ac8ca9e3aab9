"""The platforms and providers of a scene, the webhooks that they send, and what is asked of the gateway meanwhile."""

import asyncio
import itertools
import json
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp

from connectors.testing.quickbooks import QuickBooksSimulator
from connectors.testing.simulator import Simulator
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sandbox.sender import Mode, Target, WebhookSender, invoice_event, transaction_event
from gateway.sandbox.tithely import TithelySimulator
from gateway.sources.signing import new_secret
from tests.configuring import ENVIRONMENT, SOURCE, TENANT, TITHELY
from tests.crash.processes import ADMIN_KEY
from tests.ledgers import LedgerNomod


class Traffic:
    """Simulators, and what goes from them and from people to the processes that listen at some ports."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.flexprice, self.tithely = FlexpriceSimulator(), TithelySimulator()
        self.nomod, self.intuit = LedgerNomod(), QuickBooksSimulator()
        self.intuit.quirks.home_currency = "AED"
        self.services: dict[str, Simulator] = {
            "flexprice": self.flexprice, "tithely": self.tithely, "nomod": self.nomod, "quickbooks": self.intuit,
        }  # fmt: skip
        self.secret = new_secret()
        self.acknowledged: list[str] = []
        self.broken: list[BaseException] = []
        """What has gone wrong of all that was begun."""
        self._at = ports
        self._sender = WebhookSender(schedule=(0.0,), timeout=2.0)
        self._sending: set[asyncio.Task[None]] = set()
        self._messages = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None

    async def start_services(self) -> None:
        """Start the simulators; nothing is sent yet."""
        for service in self.services.values():
            await service.start()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))

    async def stop_services(self) -> None:
        """Send and ask no more, and stop the simulators."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        await self._sender.close()
        for service in self.services.values():
            await service.stop()

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

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
            self.broken.append(error)

    async def deliver(
        self, event: Mapping[str, Any] | bytes, source: str, *, mode: Mode = Mode.SVIX, node: int = 0
    ) -> None:
        """Repeat as the platforms do, at every node in turn, until a 2xx is read."""
        message_id = f"msg_{next(self._messages)}"
        for turn in itertools.count(node):
            port = self._at[turn % len(self._at)]
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
        for node in range(len(self._at)):
            answer = await self._request(method, node, path, json=body, headers=headers)
            if answer is not None:
                return answer
        return None

    async def _request(self, method: str, node: int, path: str, **more: Any) -> tuple[int, Any] | None:
        assert self._session is not None
        url = f"http://127.0.0.1:{self._at[node]}{path}"
        try:
            async with self._session.request(method, url, **more) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def hang_up(self) -> None:
        """Close the connections on which webhooks were sent: the next ones need new ones."""
        await self._sender.close()
