"""Stories of payment links and payments: asked for, asked for again, changed, paid, voided."""

import json
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from gateway.configuration.specs import SourceSpec
from gateway.pipeline.keeping import payments_of
from gateway.sandbox.sender import Mode
from gateway.sources.base import Verification
from gateway.sources.signing import sign_as_intuit
from tests.configuring import ENVIRONMENT, NOMOD_EVENTS, SOURCE, TENANT
from tests.crash.scene import Scene
from tests.crash.stories_of_customers import Invoiced
from tests.crash.story import Record, Story
from tests.ledgers import invoices_in_quickbooks, links_in_nomod
from tests.looking import NOMOD, QUICKBOOKS

INTUIT_EVENTS, VERIFIER_TOKEN = "quickbooks-events", "verifier-token-of-the-crash-tests"
PART = Decimal(1000)
"""A part of an invoice over 1500, which is more than the rest."""


class LinkAsked(Story):
    """A payment link is asked for at Nomod, for a customer whom nobody knows yet."""

    name = "payment link"

    async def play(self) -> None:
        """Ask until there is one."""
        self.invoice = self.bill(self.customer())
        self.link = await self.asked()

    async def asked(self, connection: str = NOMOD) -> Record:
        """Ask for a link, again and again, until there is a page on which can be paid."""
        answer: tuple[int, Any] | None = None

        async def has_page() -> bool:
            nonlocal answer
            answer = await self.request(connection)
            return answer is not None and answer[0] == 200

        await self.until(has_page, what=lambda: answer)
        assert answer is not None
        return dict(answer[1])

    async def request(self, connection: str) -> tuple[int, Any] | None:
        """Ask once; return status and answer, None where nobody has answered."""
        wish = {"invoice_id": self.invoice, "connection": connection, "wait_seconds": 1}
        return await self.scene.ask("POST", "/api/v1/payment-links", wish)

    async def check(self) -> None:
        """One link can be paid, it is over what is open, and who asks again gets the same."""
        due = Decimal(self.scene.flexprice.invoices[self.invoice]["amount_remaining"])
        assert Decimal(self.link["amount"]) == due
        assert self.open_links() == [self.link["provider_entity_id"]]
        assert (await self.asked())["url"] == self.link["url"]
        assert self.open_links() == [self.link["provider_entity_id"]]

    def open_links(self) -> list[str]:
        """Return the links for the invoice that can be paid."""
        number = str(self.scene.flexprice.invoices[self.invoice]["invoice_number"])
        return [each for title, links in links_in_nomod(self.scene.nomod).items() if number in title for each in links]


class AmountChanged(LinkAsked):
    """There is a link, and a part was paid elsewhere: the next request is for another amount."""

    name = "changed payment link"

    async def prepare(self) -> None:
        """Have a link for the whole."""
        self.scene.begin(super().play())

    async def play(self) -> None:
        """Take a part, and ask until there is a link for the rest."""
        self.old = self.link
        self.scene.flexprice.invoices[self.invoice].update(amount_paid="500", amount_remaining="1000")
        self.link = await self.asked()

    async def check(self) -> None:
        """There is a new link, the old one is off, and there is no third."""
        await super().check()
        old = self.old["provider_entity_id"]
        assert old != self.link["provider_entity_id"]
        assert self.scene.nomod.links[old]["status"] == "disabled"
        assert sum(link["title"].startswith(self._title()) for link in self.scene.nomod.links.values()) == 2

    def _title(self) -> str:
        return str(self.scene.nomod.links[self.old["provider_entity_id"]]["title"]).rpartition(" (")[0]


class InvoicePageAsked(LinkAsked):
    """A payment link is asked for at QuickBooks, where it is the page of the invoice."""

    name = "payment link of QuickBooks"
    like = (Invoiced,)

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Let QuickBooks take payments."""
        scene.intuit.quirks.payments_enabled = True
        scene.quickbooks = {"payment_link": True}
        async with scene.configured():
            await scene.connect_quickbooks()

    async def play(self) -> None:
        """Ask before the invoice's webhook comes, send that, and ask until the invoice's page is there."""
        self.invoice = self.bill(self.customer())
        await self.until(lambda: self.request(QUICKBOOKS))
        self.scene.announce(self.invoice)
        self.link = await self.asked(QUICKBOOKS)

    async def check(self) -> None:
        """There is one invoice, and who asks again gets the same page."""
        assert invoices_in_quickbooks(self.scene.intuit)[self.invoice] == [self.link["provider_entity_id"]]
        assert (await self.asked(QUICKBOOKS))["url"] == self.link["url"]


class Paid(LinkAsked):
    """A payment link is paid, and Nomod tells of the charge."""

    name = "paid link"
    entity_type, connection = "payment_link", NOMOD

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Listen to Nomod's events."""
        async with scene.configured():
            await scene.add_nomod_events()

    async def prepare(self) -> None:
        """Have a link."""
        self.scene.begin(super().play())

    async def play(self) -> None:
        """Pay, and send the event until it is acknowledged."""
        charge = self.scene.nomod.pay_link(self.link["provider_entity_id"])
        self.payment, self.amount = charge, Decimal(1500)
        event = {"type": "charge.completed", "objectId": charge, "data": {"id": charge}}
        await self.scene.deliver(event, NOMOD_EVENTS, mode=Mode.SVIX)

    async def check(self) -> None:
        """The platform counts the payment once, and our record keeps it."""
        platform = self.scene.flexprice
        told = [each for each in platform.payments.values() if each["destination_id"] == self.invoice]
        assert [(Decimal(each["amount"]), each["payment_status"]) for each in told] == [(self.amount, "SUCCEEDED")]
        assert Decimal(platform.invoices[self.invoice]["amount_paid"]) == self.amount
        found = await self.scene.mappings(
            entity_id=self.invoice, entity_type=self.entity_type, connection=self.connection
        )
        assert [each["id"] for mapping in found for each in payments_of(mapping)] == [self.payment]


class PartPaid(Paid):
    """More than the half of an invoice is paid in QuickBooks, and Intuit tells of the payment."""

    name = "payment in QuickBooks"
    entity_type, connection = "invoice", QUICKBOOKS

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Listen to Intuit's events."""
        spec = SourceSpec(
            name=INTUIT_EVENTS, platform="quickbooks", tenant_id=TENANT, environment_id=ENVIRONMENT,
            verification=Verification.INTUIT_SIGNATURE, secrets=(SecretStr(VERIFIER_TOKEN),),
            options={"connection": QUICKBOOKS},
        )  # fmt: skip
        async with scene.configured():
            await scene.put_source(spec)

    async def prepare(self) -> None:
        """Have an invoice."""
        self.invoice = await self.billed()

    async def play(self) -> None:
        """Pay, and post the event until it is acknowledged."""
        scene = self.scene
        self.payment = str(scene.intuit.pay(await self.record_of(self.invoice, "invoice", QUICKBOOKS), PART)["Id"])
        self.amount = PART
        told = {
            "specversion": "1.0", "id": f"evt-{self.payment}", "type": "qbo.payment.created.v1",
            "intuitentityid": self.payment, "time": "2025-09-10T21:31:25.179851517Z",
            "intuitaccountid": scene.intuit.realm_id,
        }  # fmt: skip
        body = json.dumps([told]).encode()
        headers = {"Content-Type": "application/json", **sign_as_intuit(VERIFIER_TOKEN, body)}

        async def acknowledged() -> bool:
            answer = await scene.post(f"/webhooks/{INTUIT_EVENTS}", body, headers)
            if answer is None or answer[0] not in (200, 202):
                return False
            scene.acknowledged.append(str(answer[1]["delivery_id"]))
            return True

        await self.until(acknowledged)


class Voided(LinkAsked):
    """An invoice that is at both providers, with a payment link, is voided by the platform."""

    name = "voided invoice"

    async def prepare(self) -> None:
        """Have all of it."""
        self.invoice = await self.billed()
        self.scene.begin(self._linked())

    async def _linked(self) -> None:
        self.link = await self.asked()

    async def play(self) -> None:
        """Void it, and send the webhook until it is acknowledged."""
        invoice = self.scene.flexprice.void_invoice(self.invoice)
        await self.scene.deliver({"event_type": "invoice.update.voided", "invoice": invoice}, SOURCE)

    async def check(self) -> None:
        """Nobody can pay it any more, anywhere."""
        scene = self.scene
        made = await self.record_of(self.invoice, "invoice", NOMOD)
        assert scene.nomod.invoices[made]["status"] == "cancelled"
        made = await self.record_of(self.invoice, "invoice", QUICKBOOKS)
        assert scene.intuit.invoices[made]["TotalAmt"] == 0
        assert self.open_links() == []


class VoidedInReview(LinkAsked):
    """A link that came out dearer than the invoice is put before a person, and the platform voids the invoice."""

    name = "voided link in review"
    like = (LinkAsked, Voided)

    @classmethod
    async def set_up(cls, scene: Scene) -> None:
        """Let the account add a tax, of which no request can know."""
        scene.nomod.account_tax = Decimal(5)

    async def play(self) -> None:
        """Ask until a person is asked, void the invoice, and send the webhook until it is acknowledged."""
        self.invoice = self.bill(self.customer())
        answer: tuple[int, Any] | None = None

        async def is_in_review() -> bool:
            nonlocal answer
            answer = await self.request(NOMOD)
            return answer is not None and answer[1].get("status") == "needs_review"

        await self.until(is_in_review, what=lambda: answer)
        invoice = self.scene.flexprice.void_invoice(self.invoice)
        await self.scene.deliver({"event_type": "invoice.update.voided", "invoice": invoice}, SOURCE)

    async def check(self) -> None:
        """There was one link, which nobody can pay, and nobody is given another."""
        number = str(self.scene.flexprice.invoices[self.invoice]["invoice_number"])
        links = [link for link in self.scene.nomod.links.values() if number in link["title"]]
        assert [link["status"] for link in links] == ["disabled"]
        answer = await self.request(NOMOD)
        assert answer is not None
        assert (answer[0], answer[1]["code"]) == (409, "invoice_not_payable")


STORIES = (LinkAsked, AmountChanged, InvoicePageAsked, Paid, PartPaid, Voided, VoidedInReview)
