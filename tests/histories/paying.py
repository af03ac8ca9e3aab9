"""What histories do about money: ask for payment links, pay, pay elsewhere, tell of it, or not, or again."""

import asyncio
import contextlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from connectors.errors import ConnectorError
from gateway import keys
from gateway.errors import GatewayError
from gateway.operations.payment_links import LinkState
from storage.errors import StorageError
from storage.records import Scope
from tests.configuring import ENVIRONMENT, NOMOD_EVENTS, TENANT
from tests.harness import NOMOD, QUICKBOOKS, Rig
from tests.histories.ground import Ground
from tests.histories.steps import step
from tests.integration.payment_setup import charge_event, payments_event, send_as_intuit

HOME = Scope(tenant_id=TENANT, environment_id=ENVIRONMENT)
TIMES = st.integers(0, 2)
"""How often a webhook comes: not at all, once, or twice."""

WHILE = 3.0
"""Seconds after which those who pay have something to pay."""
which = st.integers(0, 7)


class Paying:
    """The steps of those who pay, and of those who take the money."""

    rig: Rig
    _ground: Ground
    _invoices: list[str]
    _nodes: int

    def __init__(self) -> None:
        super().__init__()
        self._links: list[str] = []
        """Links that were given to somebody."""
        self.charges: list[str] = []
        """What was paid at Nomod, and told of."""

    @step(invoice=which, connection=st.sampled_from([NOMOD, NOMOD, QUICKBOOKS]), pays=st.booleans(), told=TIMES)
    def ask_for_link(self, *, invoice: int, connection: str, pays: bool, told: int) -> None:
        """Somebody asks for the payment link of an invoice, comes back for it after a while, and pays, or does not."""
        wanted = self._invoices[invoice % len(self._invoices)]
        for wait in (0.0, WHILE):
            self._ground.run(self.rig.live(wait))
            asking = (
                self.rig.nodes[invoice % self._nodes]
                .app[keys.OPERATIONS]
                .payment_links.request(HOME, invoice_id=wanted, connection=connection, patience=0.0, actor="somebody")
            )
            with contextlib.suppress(GatewayError, ConnectorError, StorageError):
                given = self._ground.run(asking)
                if given.status is LinkState.READY and connection == NOMOD:
                    self._links.append(str(given.provider_entity_id))
        if pays:
            self._pay(-1, told)

    @step(link=which, told=TIMES)
    def pay_link(self, *, link: int, told: int) -> None:
        """Somebody pays by a link that was given out, if that can be paid still."""
        if self._links:
            self._pay(link % len(self._links), told)

    @step(invoice=which, told=TIMES)
    def pay_in_nomod(self, *, invoice: int, told: int) -> None:
        """Somebody pays an invoice on the page of Nomod that was mailed to them."""
        self._ground.run(self.rig.live(WHILE))
        there = sorted(self.rig.nomod.invoices)
        with contextlib.suppress(ValueError, ZeroDivisionError):  # it is paid; there is none
            self._tell([self.rig.nomod.pay_invoice(there[invoice % len(there)])] * told)

    @step(invoice=which, part=st.booleans(), told=TIMES)
    def pay_in_quickbooks(self, *, invoice: int, part: bool, told: int) -> None:
        """The bookkeeper enters a payment, of all that is open or of a part."""
        self._ground.run(self.rig.live(WHILE))
        there = self.rig.intuit.invoices
        unpaid = sorted(key for key, made in there.items() if made["Balance"] >= 1)
        if not unpaid:
            return
        record = unpaid[invoice % len(unpaid)]
        payment = str(self.rig.intuit.pay(record, Decimal(1) if part else None)["Id"])
        for _ in range(told):
            self._ground.run(send_as_intuit(self.rig, payments_event(self.rig, payment)))

    @step(invoice=which, amount=st.sampled_from(["500", "1000", None]))
    def pay_elsewhere(self, *, invoice: int, amount: str | None) -> None:
        """The platform counts a payment, or all, that came another way."""
        paid = self._invoices[invoice % len(self._invoices)]
        if amount is None:
            self.rig.flexprice.pay_invoice(paid)
        else:
            self.rig.flexprice.count_payment(paid, Decimal(amount))

    @step()
    def told_of_all_payments(self) -> None:
        """Nomod tells of all charges once more, all at once, at all gateways."""
        self._tell(list(self.rig.nomod.charges))

    @step(link=which)
    def link_switched_off(self, *, link: int) -> None:
        """Somebody switches a link off in Nomod."""
        there = sorted(self.rig.nomod.links)
        if there:
            self.rig.nomod.links[there[link % len(there)]]["status"] = "disabled"

    def _pay(self, link: int, told: int) -> None:
        with contextlib.suppress(ValueError, IndexError):  # it can be paid no more; there is none
            self._tell([self.rig.nomod.pay_link(self._links[link])] * told)

    def _tell(self, charges: Sequence[str]) -> None:
        """Have Nomod's webhooks come, at the same moment."""
        self.charges += charges
        self._ground.run(self._send(charges))

    async def _send(self, charges: Sequence[str]) -> None:
        sending: list[Any] = [
            self.rig.send(charge_event(self.rig, charge), source=NOMOD_EVENTS, node=number % self._nodes)
            for number, charge in enumerate(charges)
        ]
        await asyncio.gather(*sending)
