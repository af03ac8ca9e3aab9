"""A running gateway between simulated services, on a real port, with a clock that tests move; and the invariants.

    async def test_something(rig: Rig) -> None:               # the fixture of tests/integration/conftest.py
        await rig.add_flexprice()                              # a source; also add_nomod(), add_quickbooks(), …
        await rig.add_nomod()
        ada = rig.flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
        await rig.finalize(ada["id"])                          # an invoice; its signed webhook, through the door
        await rig.finish()                                     # waits, moving the clock, until nothing is left to do
        await rig.check()                                      # the invariants, against the ledgers of the simulators

Time: the gateway and all simulators live by `rig.clock`, which `finish` moves on: see tests/waiting.py. The pauses
between requests pass in no time too, those that a provider asks for with `Retry-After` among them.

`rig.start_node()` adds a second gateway on the same database, `rig.restart()` ends all and starts one again.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from connectors.testing.quickbooks import QuickBooksSimulator
from gateway import keys
from gateway.app import Gateway
from gateway.sandbox.flexprice import FlexpriceSimulator
from gateway.sandbox.sender import Mode, Sent, Target, WebhookSender, invoice_event, transaction_event
from gateway.sandbox.tithely import TithelySimulator
from gateway.settings import Settings
from gateway.sources.signing import new_secret
from storage import Store
from tests.configuring import ENVIRONMENT, SOURCE, TENANT, TITHELY, Configuring
from tests.invariants import World, check_invariants
from tests.ledgers import LedgerNomod
from tests.looking import NOMOD, QUICKBOOKS, Record
from tests.sqlite_setup import put_database
from tests.waiting import Clock, Waiting

__all__ = ["NOMOD", "QUICKBOOKS", "SOURCE", "TITHELY", "Rig", "open_rig"]

SQLITE = "sqlite:///"
ADMIN_KEY = "admin-key-of-the-tests"
SHORT = 0.01
"""A pause below this many seconds takes real time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the simulators listen; 0 is anywhere."""

    flexprice: int = 0
    tithely: int = 0
    nomod: int = 0
    intuit: int = 0


class Given(Settings):
    """Settings as they are given to it, whatever the environment and a `.env` say."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is theirs
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is passed."""
        return (init_settings,)


class Rig(Waiting, Configuring):
    """A gateway, its sources and its providers. See the module's docstring."""

    kind: Callable[..., Gateway] = Gateway

    def __init__(
        self, folder: Path, *, now: Callable[[], datetime] | None = None, start: datetime | None = None,
        ports: Ports | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.clock = Clock(start=start)
        at = ports or Ports()
        self.flexprice = FlexpriceSimulator(clock=self.clock.unix, port=at.flexprice)
        self.tithely = TithelySimulator(clock=self.clock.unix, port=at.tithely)
        self.nomod = LedgerNomod(clock=self.clock.unix, port=at.nomod)
        self.intuit = QuickBooksSimulator(port=at.intuit)
        self.intuit.quirks.clock = self.clock.unix
        self.settings = Given(
            **{
                "database_url": f"{SQLITE}{folder / 'rig.db'}", "port": 0, "admin_key": SecretStr(ADMIN_KEY),
                "allow_private_addresses": True, "workers": 8, **settings,
            }
        )  # fmt: skip
        self.secret = new_secret()
        self.acknowledged: list[str] = []
        """Ids of all deliveries that were answered with 2xx."""
        self.nodes: list[Gateway] = []
        self._gifts = itertools.count(1)
        self.skew = timedelta()
        """By how much the gateways' clock is wrong."""
        self._now = now or (lambda: self.clock.now() + self.skew)
        self._sender = WebhookSender(schedule=(0.0,), clock=lambda: self.now().timestamp())
        self._session: aiohttp.ClientSession | None = None

    # Lifetime --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the simulators and one gateway."""
        for service in (self.flexprice, self.tithely, self.nomod, self.intuit):
            await service.start()
        self._session = aiohttp.ClientSession()
        if self.settings.database_url.startswith(SQLITE):
            put_database(Path(self.settings.database_url.removeprefix(SQLITE)))
        await self.start_node()

    async def stop(self) -> None:
        """Stop all."""
        await self.stop_nodes()
        await self._sender.close()
        if self._session is not None:
            await self._session.close()
        for service in (self.flexprice, self.tithely, self.nomod, self.intuit):
            await service.stop()

    async def start_node(self) -> Gateway:
        """Start another gateway on the same database."""
        node = self.kind(self.settings, now=self._now, sleep=self._sleep, steady=self.clock.unix)
        await node.__aenter__()
        self._quicken(node)
        self.nodes.append(node)
        return node

    async def stop_nodes(self) -> None:
        """Stop all gateways, as SIGTERM does."""
        while self.nodes:
            await self.nodes.pop().__aexit__()

    async def restart(self) -> None:
        """Stop all gateways and start one."""
        await self.stop_nodes()
        await self.start_node()

    @property
    def gateway(self) -> Gateway:
        """The first gateway."""
        return self.nodes[0]

    @property
    def store(self) -> Store:
        """The first gateway's store."""
        return self.gateway.app[keys.STORE]

    def now(self) -> datetime:
        """Return the time by which the gateways live."""
        return self._now()

    def set_clock(self, seconds: float) -> None:
        """Set the gateways' clock forth or back, as a person does. No time passes, and no other clock is set."""
        self.skew += timedelta(seconds=seconds)

    async def refresh(self) -> None:
        """Have every gateway take up what has changed, and wake it."""
        for node in self.nodes:
            await node.app[keys.REGISTRY].refresh()
            self._quicken(node)
            node.app[keys.WORKER].wake()

    @staticmethod
    def _quicken(node: Gateway) -> None:
        """Let no provider's rate per second slow a test down; what happens is the same, only sooner."""
        for live in node.app[keys.REGISTRY].connections.values():
            if live.budget is not None:
                live.budget.share.windows = ()

    async def _sleep(self, seconds: float) -> None:
        """Let a pause of a gateway pass: the clock moves on, with signs of life as often as a process gives them."""
        if seconds < SHORT:
            await asyncio.sleep(seconds)
            return
        while seconds > 0:
            step = min(seconds, self.settings.lease_seconds / 3)
            seconds -= step
            await self.pass_by(step)

    async def pass_by(self, seconds: float) -> None:
        """Let less than a lease pass, whatever runs; every gateway keeps what it holds."""
        self.clock.advance(seconds)
        for node in self.nodes:
            await node.app[keys.WORKER].keep_leases()

    # Webhooks --------------------------------------------------------------------------------------------------

    def target(self, source: str = SOURCE, *, node: int = 0, mode: Mode = Mode.SVIX) -> Target:
        """Return where webhooks of a source go, and how they are signed."""
        return Target(url=f"{self.nodes[node].url}/webhooks/{source}", secrets=(self.secret,), mode=mode)

    async def send(
        self, event: Record | bytes, *, source: str = SOURCE, message_id: str | None = None, node: int = 0,
        mode: Mode = Mode.SVIX,
    ) -> str:  # fmt: skip
        """Post a signed webhook, and return the id of the delivery. It must be acknowledged."""
        sent = await self.post(event, source=source, message_id=message_id, node=node, mode=mode)
        assert sent.delivered, sent.attempts
        return self.note(sent)

    async def post(
        self, event: Record | bytes, *, source: str = SOURCE, message_id: str | None = None, node: int = 0,
        mode: Mode = Mode.SVIX,
    ) -> Sent:  # fmt: skip
        """Post a signed webhook, whatever the answer."""
        target = self.target(source, node=node, mode=mode)
        return await self._sender.send(target, event, message_id=message_id, tries=1)

    def note(self, sent: Sent) -> str:
        """Keep the id of an acknowledged delivery, and return it."""
        delivery_id = str(json.loads(sent.attempts[-1].body)["delivery_id"])
        self.acknowledged.append(delivery_id)
        return delivery_id

    async def finalize(self, customer_id: str, *, source: str = SOURCE, node: int = 0, **invoice: Any) -> str:
        """Make a final invoice at Flexprice, send its webhook, and return the id of the delivery."""
        record = self.flexprice.add_invoice(customer_id, **invoice)
        return await self.announce(record["id"], source=source, node=node)

    async def announce(self, invoice_id: str, *, source: str = SOURCE, node: int = 0, **options: Any) -> str:
        """Send `invoice.update.finalized` about an invoice that is there."""
        shown = self.flexprice.shown_invoice(self.flexprice.invoices[invoice_id], lag=0)
        return await self.send(invoice_event(shown), source=source, node=node, **options)

    async def give(self, *, transaction_id: str | None = None, node: int = 0, **giver: Any) -> str:
        """Send the envelope of a gift by `donor_id`, `first_name`, `last_name`, `email`; return the delivery's id."""
        transaction_id = transaction_id or f"ch_{next(self._gifts)}"
        gift = {"transaction_id": transaction_id, "amount": "2500", "currency": "USD", **giver}
        event = transaction_event(gift, timestamp=self.clock.now().isoformat())
        return await self.send(event, source=TITHELY, node=node, mode=Mode.WEBHOOK)

    async def api(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Ask the HTTP API with the admin key; return status and decoded body."""
        assert self._session is not None
        given = {
            "Authorization": f"Bearer {ADMIN_KEY}", "X-Tenant-ID": TENANT, "X-Environment-ID": ENVIRONMENT, **headers,
        }  # fmt: skip
        url = f"{self.gateway.url}{path}"
        async with self._session.request(method, url, json=body, headers=given) as answer:
            return answer.status, await answer.json(content_type=None)

    async def check(self, **expected: Any) -> None:
        """Check the invariants against the ledgers of the simulators. See tests/invariants.py."""
        await check_invariants(self.store, self.world(), acknowledged=self.acknowledged, **expected)

    def world(self) -> World:
        """Return the simulators as the invariants want them."""
        return World(flexprice=self.flexprice, nomod=self.nomod, intuit=self.intuit)


@asynccontextmanager
async def open_rig(folder: Path, **settings: Any) -> AsyncIterator[Rig]:
    """Start a rig for one test, and stop it. Two of them need a folder each: with one database they share the work."""
    folder.mkdir(exist_ok=True)
    rig = Rig(folder, **settings)
    try:
        await rig.start()
        yield rig
    finally:
        await rig.stop()
