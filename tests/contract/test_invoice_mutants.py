"""The rules about invoices catch what is wrong: each mutant of Nomod's connector is caught by the rule beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import ConnectorError, RejectedError
from connectors.invoices import CreatedInvoice, Invoice, InvoiceCandidate
from connectors.models import CreateIntent
from connectors.nomod.connector import NomodConnector
from connectors.nomod.harness import NomodHarness
from connectors.testing.quality import Mark, Marked
from connectors.testing.rulebook import Kit
from connectors.testing.rules import INVOICE_RULES
from connectors.testing.runner import Status, check_rule
from gateway.conformance import ENGINE


class NeverFinds(NomodConnector):
    async def find_invoices(self, invoice: Invoice, **_: Any) -> Sequence[InvoiceCandidate]:
        return []


class ReadsErrorsAsNone(NomodConnector):
    async def find_invoices(self, invoice: Invoice, **more: Any) -> Sequence[InvoiceCandidate]:
        try:
            return await super().find_invoices(invoice, **more)
        except ConnectorError:
            return []


class SendsAgain(NomodConnector):
    async def create_invoice(self, invoice: Invoice, **more: Any) -> CreatedInvoice:
        try:
            return await super().create_invoice(invoice, **more)
        except ConnectorError:
            return await super().create_invoice(invoice, **more)


class CallsItRefused(NomodConnector):
    async def create_invoice(self, invoice: Invoice, **more: Any) -> CreatedInvoice:
        try:
            return await super().create_invoice(invoice, **more)
        except ConnectorError as error:
            raise RejectedError("it did not work") from error


class LosesALine(NomodConnector):
    async def create_invoice(self, invoice: Invoice, **more: Any) -> CreatedInvoice:
        return await super().create_invoice(replace(invoice, lines=invoice.lines[:1]), **more)


class DropsDiscounts(NomodConnector):
    async def create_invoice(self, invoice: Invoice, **more: Any) -> CreatedInvoice:
        return await super().create_invoice(replace(invoice, discounts=(), credits=()), **more)


class Multiplies(NomodConnector):
    async def create_invoice(self, invoice: Invoice, **more: Any) -> CreatedInvoice:
        lines = tuple(
            replace(line, amount=(line.amount * line.quantity).quantize(Decimal("0.01"))) for line in invoice.lines
        )
        return await super().create_invoice(replace(invoice, lines=lines), **more)


class Claims(NomodConnector):
    """Answers with the sum that was asked for, whatever the service has made."""

    async def find_invoices(self, invoice: Invoice, **more: Any) -> Sequence[InvoiceCandidate]:
        found = await super().find_invoices(invoice, **more)
        return [replace(each, total=invoice.total) for each in found]


class CutsNumbers(NomodConnector):
    def filed_number(self, invoice: Invoice) -> str:
        return invoice.number[:30]


class ForgetsToVoid(NomodConnector):
    async def void_invoice(self, provider_entity_id: str) -> None:
        return None


class TellsTheTime(NomodConnector):
    async def create_invoice(self, invoice: Invoice, *, intent: CreateIntent, **more: Any) -> CreatedInvoice:
        late = replace(invoice, due_on=self.host.now().date())
        return await super().create_invoice(late, intent=replace(intent, started_at=self.host.now()), **more)


class Trips(NomodConnector):
    async def get_invoice(self, provider_entity_id: str) -> InvoiceCandidate | None:
        try:
            return await super().get_invoice(provider_entity_id)
        except ConnectorError:
            raise KeyError("amount") from None


@dataclass(frozen=True, slots=True)
class Mutant:
    kind: type[NomodConnector]
    rule: str
    says: str


MUTANTS = [
    Mutant(NeverFinds, "invoice-once", "there are 2 invoices"),
    Mutant(NeverFinds, "invoice-looks-first", "find_invoices returned []"),
    Mutant(ReadsErrorsAsNone, "invoice-looks-first", 'as "none"'),
    Mutant(SendsAgain, "invoice-lost-answer", "should have been outcome_unknown"),
    Mutant(CallsItRefused, "invoice-lost-answer", "should have been outcome_unknown"),
    Mutant(LosesALine, "invoice-exact", "asks for"),
    Mutant(DropsDiscounts, "invoice-exact", "a discount"),
    Mutant(Multiplies, "invoice-exact", "asks for"),
    Mutant(Claims, "invoice-asks", "another sum"),
    Mutant(CutsNumbers, "invoice-number", "do not tell three invoices apart"),
    Mutant(ForgetsToVoid, "invoice-void", "shows it as open"),
    Mutant(TellsTheTime, "invoice-same-bytes", "other bytes"),
    Mutant(Trips, "invoice-errors", "KeyError"),
    Mutant(NomodConnector, "invoice-key", "does not carry the key"),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kind.__name__}-{mutant.rule}")
async def test_the_mutant_is_caught_by_its_rule(mutant: Mutant) -> None:
    class MutantHarness(NomodHarness):
        connector = mutant.kind

    result = await check_rule(Kit(MutantHarness, ENGINE), INVOICE_RULES[mutant.rule], Marked(mark=Mark.DONE))
    assert result.status is Status.BROKEN
    assert mutant.says in result.detail


def test_there_are_mutants_for_all_rules() -> None:
    assert set(INVOICE_RULES) == {mutant.rule for mutant in MUTANTS}
