"""Stories of customers and their invoices: new ones, a name that is taken, a doubtful match, a gift."""

from typing import Any

from connectors.testing.faults import Fault, FaultKind
from tests.crash.story import Record, Story
from tests.ledgers import invoices_in_nomod, invoices_in_quickbooks, made_in_quickbooks
from tests.looking import NOMOD


class Invoiced(Story):
    """A new customer has two invoices at once, and QuickBooks' access has just ended."""

    name = "invoice"

    async def prepare(self) -> None:
        """End the access, so that a refresh token is rotated on the way."""
        self.scene.intuit.oauth.expire_access_tokens()

    async def play(self) -> None:
        """Send both webhooks."""
        self.who = self.customer(address_country="AE", address_state="Dubai", address_city="Dubai")
        self.invoices = [self.bill(self.who) for _ in range(2)]
        for invoice in self.invoices:
            self.scene.announce(invoice)

    async def check(self) -> None:
        """One customer and two invoices at each provider, not only at most."""
        scene, who = self.scene, str(self.who["id"])
        assert len(scene.nomod.made_for[who]) == len(made_in_quickbooks(scene.intuit)[who]) == 1
        numbers = [scene.flexprice.invoices[invoice]["invoice_number"] for invoice in self.invoices]
        assert [len(invoices_in_nomod(scene.nomod)[number]) for number in numbers] == [1, 1]
        assert [len(invoices_in_quickbooks(scene.intuit)[invoice]) for invoice in self.invoices] == [1, 1]


class NameTaken(Story):
    """A vendor in QuickBooks has the customer's name."""

    name = "taken name"
    like = (Invoiced,)

    async def play(self) -> None:
        """Send the webhook."""
        who = self.customer("Charles")
        self.scene.intuit.seed_vendor(DisplayName=who["name"])
        self.scene.announce(self.bill(who))


class Doubtful(Story):
    """Two contacts in Nomod could be the customer, and one customer in QuickBooks surely is: a person decides."""

    name = "doubtful match"
    like = (Invoiced,)

    async def play(self) -> None:
        """Send the webhook."""
        who = self.customer("Grace")
        self.scene.nomod.seed(first_name="Grace", email=who["email"])
        self.scene.nomod.seed(first_name="Hopper", email=who["email"])
        self.scene.intuit.seed_customer(DisplayName=who["name"], email=who["email"])
        self.scene.announce(self.bill(who))


class Hinted(Story):
    """The platform's metadata names the customer's contact in Nomod."""

    name = "hint"
    like = (Invoiced,)

    async def play(self) -> None:
        """Send the webhook."""
        email = f"heidi{self.number}@example.com"
        self.record = self.scene.nomod.seed(first_name="Heidi", last_name=f"Nr{self.number}", email=email)
        self.who = self.customer("Heidi", metadata={"nomod_customer_id": self.record})
        self.scene.announce(self.bill(self.who))

    async def check(self) -> None:
        """It is that one."""
        assert await self.record_of(self.who["id"], "customer", NOMOD) == self.record


class Given(Story):
    """A gift, in a signed envelope."""

    name = "gift"
    like = (Invoiced,)

    async def play(self) -> None:
        """Send the envelope."""
        self.scene.gift(
            donor_id=f"user_{self.number}", first_name="Jane", last_name=f"Nr{self.number} Doe",
            email=f"jane{self.number}@example.org",
        )  # fmt: skip


class Slow(Story):
    """Nomod takes longer for an answer than a lease lasts without a sign of life."""

    name = "slow provider"
    like = (Invoiced,)
    waits_for = frozenset({"extend_leases"})

    async def play(self) -> None:
        """Send the webhook."""
        self.scene.nomod.faults.add(Fault(kind=FaultKind.DRIP, route="GET /v1/customers", seconds=1.5))
        self.scene.announce(self.bill(self.customer()))


class Tangled(Invoiced):
    """A new customer, whose name a vendor has."""

    name = "new customer with a taken name"

    def customer(self, name: str = "Ada", **fields: Any) -> Record:
        """Give the vendor the name, too."""
        who = super().customer(name, **fields)
        self.scene.intuit.seed_vendor(DisplayName=who["name"])
        return who


STORIES = (Invoiced, NameTaken, Doubtful, Hinted, Given, Slow)
