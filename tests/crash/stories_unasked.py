"""Stories that no request begins: gifts that are polled, invoices whose webhook never came, alerts."""

import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, ClassVar

from aiohttp import web
from pydantic import SecretStr

from connectors.testing.simulator import Simulator
from gateway import keys
from gateway.configuration.channels import AlertKind, ChannelSpec
from gateway.pipeline.poll_state import load_state
from gateway.sources.base import PollConfig
from storage.records import AlertStatus, MessageStatus
from tests.configuring import ENVIRONMENT, SOURCE, TENANT, TITHELY
from tests.crash.scene import Scene
from tests.crash.stories_of_customers import Given, Invoiced
from tests.crash.story import Story
from tests.invariants import every
from tests.ledgers import made_in_quickbooks
from tests.receivers import Endpoint

CHANNEL = "ops"
SPARE = "spare"


class Polled(Story):
    """A gift, found among Tithely's charges."""

    name = "polled gift"
    like: ClassVar[tuple[type[Story], ...]] = (Given,)
    source: ClassVar[str] = TITHELY

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Look often."""
        tithely = scene.tithely
        poll = PollConfig(
            public_key=tithely.public_key, private_key=SecretStr(tithely.private_key),
            organization_id=tithely.organization_id, base_url=tithely.api_url, interval_seconds=0.5,
        )  # fmt: skip
        async with scene.configured():
            await scene.add_tithely(poll=poll)

    async def prepare(self) -> None:
        """Let a look end: the next one begins when all is ready."""
        before = await load_state(self.scene.store, self.source)

        async def another() -> bool:
            state = await load_state(self.scene.store, self.source)
            return state is not None and state != before

        await self.until(another)

    async def play(self) -> None:
        """Give, and wait until it was found."""
        tithely = self.scene.tithely
        self.giver = tithely.add_donor(
            first_name="Jane", last_name=f"Nr{self.number} Doe", email=f"jane{self.number}@example.org"
        )
        self.subject = tithely.add_gift(donor_id=self.giver)
        await self.until(self._found)

    async def _found(self) -> bool:
        page = await self.scene.store.list_deliveries(about=[self.subject])
        return bool(page.items)

    async def check(self) -> None:
        """It is one delivery, and one giver at each provider."""
        assert len(await every(self.scene.store.list_deliveries, about=[self.subject])) == 1
        made = made_in_quickbooks(self.scene.intuit)
        assert len(self.scene.nomod.made_for[self.giver]) == len(made[self.giver]) == 1


class Missed(Polled):
    """An invoice whose webhook never comes, found among the platform's."""

    name = "missed invoice"
    like = (Invoiced,)
    source = SOURCE

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Look often."""
        async with scene.configured():
            await scene.add_flexprice(SOURCE, options={"reconcile_seconds": 1})

    async def play(self) -> None:
        """Make the invoice, and wait until it was found."""
        who = self.customer()
        self.giver, self.subject = str(who["id"]), self.bill(who)
        await self.until(self._found)


class Alerts(Simulator):
    """Where alerts arrive, whose signatures are checked."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoint = Endpoint(clock=time.time)

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the one address."""
        return [web.post("/hook", self.endpoint.take)]


class Alerted(Story):
    """A connection is paused, and resumed once that was told."""

    name = "alert"
    waits_for = frozenset({"take_lease alerts"})

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Tell of paused connections."""
        scene.soon = True
        alerts = scene.services["alerts"] = Alerts()
        await alerts.start()
        spec = ChannelSpec(
            name=CHANNEL, url=SecretStr(f"{alerts.url}/hook"), secrets=(SecretStr(alerts.endpoint.secret),),
            tenant_id=TENANT, environment_id=ENVIRONMENT, kinds=(AlertKind.CONNECTION_PAUSED,),
        )  # fmt: skip
        async with scene.configured():
            await scene.gateway.app[keys.CONFIGURATION].put_channel(spec, actor="tests")

    @property
    def endpoint(self) -> Endpoint:
        """Return what has arrived."""
        alerts = self.scene.services["alerts"]
        assert isinstance(alerts, Alerts)
        return alerts.endpoint

    async def prepare(self) -> None:
        """Make a connection that nothing has been told of: what comes back soon is told later."""
        self.spare = f"{SPARE}-{self.number}"
        async with self.scene.configured():
            await self.scene.add_nomod(self.spare, outbound=False)

    async def play(self) -> None:
        """Pause it, wait for the alert, resume it, and wait for the end of it."""
        await self.scene.pause(self.spare)
        await self.until(lambda: self._told(AlertStatus.OPEN))
        await self.scene.resume(self.spare)
        await self.until(lambda: self._told(AlertStatus.CLOSED))
        await self.until(self._all_settled)

    async def _told(self, status: AlertStatus) -> bool:
        return any(each["data"]["status"] == status for each in self._mine())

    def _mine(self) -> list[dict[str, Any]]:
        return [each for each in self.endpoint.taken if each["data"]["subject"] == self.spare]

    async def _all_settled(self) -> bool:
        return not await every(self.scene.store.list_alert_messages, status=MessageStatus.PENDING)

    async def check(self) -> None:
        """Both messages have come, each with one id and one content however often, and none was given up."""
        told: dict[object, set[str]] = defaultdict(set)
        for each in self._mine():
            told[each["id"]].add(str({name: value for name, value in each.items() if name != "id"}))
        messages = [
            message
            for message in await every(self.scene.store.list_alert_messages, channel=CHANNEL)
            if message.message_id in told
        ]
        assert sorted(message.event for message in messages) == ["closed", "opened"]
        assert [message.status for message in messages] == [MessageStatus.SENT] * 2
        assert [len(contents) for contents in told.values()] == [1, 1]


STORIES = (Polled, Missed, Alerted)
