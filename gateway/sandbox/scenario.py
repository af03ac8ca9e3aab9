"""What the demo plays: everyday traffic, the accidents that double customers elsewhere, and what must come of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.testing.faults import Fault, FaultKind
from gateway.sandbox.flexprice import FlexpriceSimulator, Shape
from gateway.sandbox.flexprice_bills import Line
from gateway.sandbox.sender import Sent
from gateway.sandbox.world import World


@dataclass(slots=True, kw_only=True)
class Step:
    """One thing that happens, and what must come of it."""

    told: str
    source: str
    event: str
    expected: str
    """The delivery's end state, or `refused` for what the door must not take."""
    sent: Sent | None = None
    delivery_id: str | None = None
    status: str = ""
    reason: str = ""
    notes: dict[str, str] = field(default_factory=dict)


class Scenario:
    """Plays the steps and remembers them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.steps: list[Step] = []
        self.customers: dict[str, str] = {}
        """E-mail → how many records each provider must have of it at the end, as "nomod/quickbooks"."""

    async def play(self) -> None:
        """Send everything, in waves: what a wave prepares is there when the next begins."""
        await self._everyday()
        await self._accidents()
        await self._gifts()

    async def _everyday(self) -> None:
        flexprice, tirdad = self.world.flexprice, self.world.tirdad
        ada = flexprice.add_customer(name="Ada Lovelace", email="ada@example.com")
        first, second = flexprice.add_invoice(ada["id"]), flexprice.add_invoice(ada["id"])
        sent = await self._bill(flexprice, first, "a new customer's first invoice")
        self.customers["ada@example.com"] = "1/1"
        await self._again(sent, "the same webhook once more")
        await self._bill(flexprice, second, "the same customer's second invoice", shape=Shape.MINIMAL_2026_08)
        omar = tirdad.add_customer(name="Omar Khayyam", email="omar@example.com")
        await self._bill(tirdad, tirdad.add_invoice(omar["id"]), "a customer of Tirdad", source="tirdad-sandbox")
        self.customers["omar@example.com"] = "1/1"
        await self._send(
            "flexprice-sandbox", flexprice.event("customer.updated", ada["id"]), "an edit of a customer: no trigger",
            expected="ignored",
        )  # fmt: skip

    async def _accidents(self) -> None:
        world, flexprice = self.world, self.world.flexprice
        grace = flexprice.add_customer(name="Grace Hopper", email="grace@example.com")
        world.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v1/customers"))
        world.nomod.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v1/invoices"))
        world.quickbooks.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v3/company/*/customer"))
        world.quickbooks.faults.add(Fault(kind=FaultKind.DROP_AFTER, route="POST /v3/company/*/invoice"))
        await self._bill(
            flexprice, flexprice.add_invoice(grace["id"]), "both providers create, and both answers are lost"
        )
        self.customers["grace@example.com"] = "1/1"
        world.nomod.seed(first_name="Alan Turing", email="alan@example.com")
        world.quickbooks.seed_customer(DisplayName="Alan Turing", email="alan@example.com")
        alan = flexprice.add_customer(name="Alan Turing", email="alan@example.com")
        await self._bill(flexprice, flexprice.add_invoice(alan["id"]), "known to both providers already: adopted")
        self.customers["alan@example.com"] = "1/1"
        world.quickbooks.seed_vendor(DisplayName="Edsger Dijkstra")
        edsger = flexprice.add_customer(name="Edsger Dijkstra", email="edsger@example.com")
        await self._bill(flexprice, flexprice.add_invoice(edsger["id"]), "a vendor holds the name in QuickBooks")
        self.customers["edsger@example.com"] = "1/1"
        world.nomod.seed(first_name="Kurt Godel", email="office@example.com")
        world.nomod.seed(first_name="Emmy Noether", email="office@example.com")
        office = flexprice.add_customer(name="Vienna Circle", email="office@example.com")
        await self._bill(
            flexprice, flexprice.add_invoice(office["id"]), "two contacts share the e-mail in Nomod: a person decides",
            expected="needs_review",
        )  # fmt: skip
        self.customers["office@example.com"] = "2/1"
        lines = (Line("Compiler licence", "300.10", "7"), Line("Support", "99.95", "1"))
        billed = flexprice.add_invoice(grace["id"], lines=lines, discount="50.01", credits_applied="0.03", tax="17.50")
        await self._bill(flexprice, billed, "lines, a discount, credits and tax: the same sum at both, to the fils")
        voided = flexprice.add_invoice(grace["id"])
        event = flexprice.event("invoice.update.finalized", voided["id"])
        flexprice.void_invoice(voided["id"])
        await self._send("flexprice-sandbox", event, "an invoice voided before its webhook came", expected="ignored")
        nameless = flexprice.add_customer(name="No Mail", email="")
        await self._bill(
            flexprice, flexprice.add_invoice(nameless["id"]), "no e-mail address: Nomod needs one", expected="failed"
        )
        await self._forged(event)

    async def _gifts(self) -> None:
        tithely = self.world.tithely
        jane = tithely.add_donor(first_name="Jane", last_name="Doe", email="jane@example.com")
        for told in ("a gift through Tithely", "the same donor's second gift"):
            await self._give(tithely.add_gift(donor_id=jane), told)
        await self._give(tithely.add_gift(last_name="Doe", email="doe@example.com"), "a donor with a last name only")
        await self._give(tithely.add_gift(email="anon@example.com"), "a donor with an e-mail address only")
        await self._give(
            tithely.add_gift(first_name="Jane", last_name="Doe", email="jane.other@example.com"),
            "another Jane Doe: the name is taken",
        )

    async def _bill(
        self, platform: FlexpriceSimulator, invoice: Mapping[str, Any], told: str, *, source: str = "flexprice-sandbox",
        expected: str = "processed", shape: Shape = Shape.SLIM_2026_09,
    ) -> Sent:  # fmt: skip
        event = platform.event("invoice.update.finalized", invoice["id"], shape=shape)
        return await self._send(source, event, told, expected=expected)

    async def _give(self, charge_id: str, told: str) -> None:
        await self._send("tithely-sandbox", self.world.tithely.event(charge_id), told, expected="processed")

    async def _send(self, source: str, event: Mapping[str, Any], told: str, *, expected: str) -> Sent:
        sent = await self.world.sender.send(self.world.target(source), event)
        name = str(event.get("event_type") or event.get("type"))
        self.steps.append(Step(told=told, source=source, event=name, expected=expected, sent=sent))
        return sent

    async def _again(self, before: Sent, told: str) -> None:
        target = self.world.target("flexprice-sandbox")
        sent = await self.world.sender.send(target, before.body, message_id=before.message_id)
        self.steps.append(
            Step(
                told=told, source="flexprice-sandbox", event="invoice.update.finalized", expected="absorbed", sent=sent
            )
        )

    async def _forged(self, event: Mapping[str, Any]) -> None:
        target = replace(self.world.target("flexprice-sandbox"), secrets=self.world.target("tirdad-sandbox").secrets)
        sent = await self.world.sender.send(target, event, tries=1)
        self.steps.append(
            Step(told="a webhook signed with the wrong secret", source="flexprice-sandbox",
                 event="invoice.update.finalized", expected="refused", sent=sent)
        )  # fmt: skip
