"""The rules about payments catch what is wrong: each mutant of our connectors is caught by the rule beside it."""

import logging
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from connectors.errors import ConnectorError
from connectors.nomod.connector import NomodConnector
from connectors.nomod.harness import NomodHarness
from connectors.payments import PaidFor, PaidKind, Payment, PaymentStatus
from connectors.quickbooks.connector import QuickBooksConnector
from connectors.quickbooks.harness import QuickBooksHarness
from connectors.testing import Harness
from connectors.testing.quality import Mark, Marked
from connectors.testing.rulebook import Kit
from connectors.testing.rules import PAYMENT_RULES
from connectors.testing.runner import Status, check_rule
from gateway.conformance import ENGINE


class CountsInFloats(NomodConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        return _each(await super().get_payment(provider_entity_id), lambda paid: Decimal(float(paid.amount)))


class TakesAllForInvoices(NomodConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        found = await super().get_payment(provider_entity_id)
        if found is None:
            return None
        return replace(found, paid_for=tuple(replace(each, kind=PaidKind.INVOICE) for each in found.paid_for))


class ReadsErrorsAsNone(NomodConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        try:
            return await super().get_payment(provider_entity_id)
        except ConnectorError:
            return None


class CountsWhatWasGivenBack(NomodConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        found = await super().get_payment(provider_entity_id)
        returned = found is not None and found.status is PaymentStatus.RETURNED
        return replace(found, status=PaymentStatus.SETTLED) if found is not None and returned else found


class Guesses(NomodConnector):
    """Takes money for something else for what was paid last."""

    last: tuple[PaidFor, ...] = ()

    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        found = await super().get_payment(provider_entity_id)
        if found is not None and found.paid_for:
            type(self).last = found.paid_for
        return None if found is None else replace(found, paid_for=found.paid_for or self.last)


class NamesAnotherRecord(NomodConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        found = await super().get_payment(provider_entity_id)
        if found is None:
            return None
        renamed = [replace(each, provider_entity_id=f"LINK-{each.provider_entity_id}") for each in found.paid_for]
        return replace(found, paid_for=tuple(renamed))


class Trips(NomodConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        reply = await self._api.request("GET", f"/v1/charges/{provider_entity_id}")
        return Payment(
            provider_entity_id=provider_entity_id, currency=reply.json()["currency"], status=PaymentStatus.SETTLED
        )


class LogsTheCard(NomodConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        reply = await self._api.request("GET", f"/v1/charges/{provider_entity_id}")
        logging.getLogger("charges").debug("%s", reply.body)
        return await super().get_payment(provider_entity_id)


class TakesPartsForTheWhole(QuickBooksConnector):
    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        return _each(await super().get_payment(provider_entity_id), lambda _: Decimal("100.37"))


def _each(payment: Payment | None, amount: object) -> Payment | None:
    if payment is None:
        return None
    paid = [replace(each, amount=amount(each)) for each in payment.paid_for]  # type: ignore[operator]
    return replace(payment, paid_for=tuple(paid))


@dataclass(frozen=True, slots=True)
class Mutant:
    kind: type[NomodConnector | QuickBooksConnector]
    rule: str
    says: str

    @property
    def harness(self) -> type[Harness]:
        """The harness of what it was."""
        base = NomodHarness if issubclass(self.kind, NomodConnector) else QuickBooksHarness
        return type("MutantHarness", (base,), {"connector": self.kind})


MUTANTS = [
    Mutant(CountsInFloats, "payment-whole", "was told as"),
    Mutant(TakesAllForInvoices, "payment-whole", "for payment_link"),
    Mutant(ReadsErrorsAsNone, "payment-none", 'as "none"'),
    Mutant(CountsWhatWasGivenBack, "payment-settled", "that is returned was told as settled"),
    Mutant(Guesses, "payment-elsewhere", "money for something else"),
    Mutant(NamesAnotherRecord, "payment-once", "was told to the platform as []"),
    Mutant(Trips, "payment-errors", "raised"),
    Mutant(LogsTheCard, "payment-quiet", "in the log"),
    Mutant(TakesPartsForTheWhole, "payment-parts", "a part of 40.01"),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kind.__name__}-{mutant.rule}")
async def test_the_mutant_is_caught_by_its_rule(mutant: Mutant) -> None:
    result = await check_rule(Kit(mutant.harness, ENGINE), PAYMENT_RULES[mutant.rule], Marked(mark=Mark.DONE))
    assert result.status is Status.BROKEN
    assert mutant.says in result.detail


def test_there_are_mutants_for_all_rules() -> None:
    assert set(PAYMENT_RULES) == {mutant.rule for mutant in MUTANTS}
