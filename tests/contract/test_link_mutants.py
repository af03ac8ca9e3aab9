"""The rules about links catch what is wrong: each mutant of Nomod's connector is caught by the rule beside it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import orjson
import pytest

from connectors.errors import ConnectorError, ProviderError, RejectedError, StaleRecordError
from connectors.links import CreatedLink, LinkCandidate, PaymentLinkRequest
from connectors.models import CreateIntent
from connectors.nomod.connector import NomodConnector
from connectors.nomod.harness import NomodHarness
from connectors.nomod.linking import LISTING
from connectors.nomod.links import marked
from connectors.nomod.paging import envelope
from connectors.testing.quality import Mark, Marked
from connectors.testing.rulebook import Kit
from connectors.testing.rules import LINK_RULES
from connectors.testing.runner import Status, check_rule
from gateway.conformance import ENGINE


class NeverFinds(NomodConnector):
    async def find_links(self, request: PaymentLinkRequest, **_: Any) -> Sequence[LinkCandidate]:
        return []


class ReadsTheFirstPage(NomodConnector):
    async def find_links(self, request: PaymentLinkRequest, **_: Any) -> Sequence[LinkCandidate]:
        page = envelope(await self._api.request("GET", LISTING.path, query={"page_size": "100"}), LISTING)
        mine = [await self.get_link(row.id) for row in page.rows if marked(row.fields, request)]
        return [each for each in mine if each is not None]


class ReadsErrorsAsNone(NomodConnector):
    async def find_links(self, request: PaymentLinkRequest, **more: Any) -> Sequence[LinkCandidate]:
        try:
            return await super().find_links(request, **more)
        except ConnectorError:
            return []


class SendsAgain(NomodConnector):
    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        try:
            return await super().create_link(request, **more)
        except ConnectorError:
            return await super().create_link(request, **more)


class CallsItRefused(NomodConnector):
    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        try:
            return await super().create_link(request, **more)
        except ConnectorError as error:
            raise RejectedError("it did not work") from error


class CallsItLost(NomodConnector):
    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        try:
            return await super().create_link(request, **more)
        except ConnectorError as error:
            raise ProviderError("it did not work") from error


class KnowsCentsOnly(NomodConnector):
    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        cents = request.amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
        return await super().create_link(replace(request, amount=cents), **more)


class RoundsWhatDoesNotFit(NomodConnector):
    def validate_link(self, request: PaymentLinkRequest) -> None:
        return None

    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        if request.currency == "JPY":
            request = replace(request, amount=request.amount.quantize(Decimal(1), ROUND_HALF_UP))
        return await super().create_link(request, **more)


class Claims(NomodConnector):
    """Answers with the sum that was asked for, whatever the service has made."""

    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        made = await super().create_link(request, **more)
        return replace(made, record=replace(made.record, amount=request.amount))


class Trips(NomodConnector):
    async def get_link(self, provider_entity_id: str) -> LinkCandidate | None:
        try:
            return await super().get_link(provider_entity_id)
        except ConnectorError:
            raise KeyError("amount") from None


class MarksTheNumberOnly(NomodConnector):
    """Takes two platforms' invoices of one number for one."""

    async def find_links(self, request: PaymentLinkRequest, **more: Any) -> Sequence[LinkCandidate]:
        found = await super().find_links(self._of_anybody(request), **more)
        return [replace(each, marker=request.reference) for each in found]

    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        return await super().create_link(self._of_anybody(request), **more)

    @staticmethod
    def _of_anybody(request: PaymentLinkRequest) -> PaymentLinkRequest:
        return replace(request, invoice=replace(request.invoice, source="anybody"))


class ForgetsToSwitchOff(NomodConnector):
    async def disable_link(self, provider_entity_id: str) -> None:
        return None


class ShowsAllAsOpen(NomodConnector):
    async def get_link(self, provider_entity_id: str) -> LinkCandidate | None:
        found = await super().get_link(provider_entity_id)
        return found if found is None else replace(found, active=True)


class SwitchesOffWhatIsNotThere(NomodConnector):
    async def disable_link(self, provider_entity_id: str) -> None:
        try:
            await super().disable_link(provider_entity_id)
        except StaleRecordError:
            return


class TakesAnyNumberOfPayments(NomodConnector):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._links._api = Unlimited(self._api)  # type: ignore[assignment]


class Unlimited:
    """Takes the limit out of what is sent."""

    def __init__(self, api: Any) -> None:
        self.api = api

    async def request(self, *given: Any, body: bytes | None = None, **more: Any) -> Any:
        if body is not None:
            told = {name: value for name, value in orjson.loads(body).items() if name != "payment_expiry_limit"}
            body = orjson.dumps(told)
        return await self.api.request(*given, body=body, **more)


class CallsPaidOnesOff(NomodConnector):
    async def get_link(self, provider_entity_id: str) -> LinkCandidate | None:
        found = await super().get_link(provider_entity_id)
        return found if found is None else replace(found, used=False)


class Gossips(NomodConnector):
    async def create_link(self, request: PaymentLinkRequest, **more: Any) -> CreatedLink:
        logging.getLogger("gossip").info("a link %s", request.invoice.description)
        return await super().create_link(request, **more)


class TellsTheTime(NomodConnector):
    async def create_link(self, request: PaymentLinkRequest, *, intent: CreateIntent, **more: Any) -> CreatedLink:
        dated = replace(request, invoice=replace(request.invoice, number=f"{self.host.now():%Y-%m-%d}"))
        return await super().create_link(dated, intent=intent, **more)


@dataclass(frozen=True, slots=True)
class Mutant:
    kind: type[NomodConnector]
    rule: str
    says: str


MUTANTS = [
    Mutant(NeverFinds, "link-once", "there are 2 links"),
    Mutant(ReadsTheFirstPage, "link-looks-first", "find_links returned []"),
    Mutant(ReadsErrorsAsNone, "link-looks-first", 'as "none"'),
    Mutant(SendsAgain, "link-lost-answer", "should have been outcome_unknown"),
    Mutant(CallsItRefused, "link-lost-answer", "should have been outcome_unknown"),
    Mutant(CallsItLost, "link-refused", "a refusal is definite"),
    Mutant(KnowsCentsOnly, "link-exact", "asks for 12.35"),
    Mutant(RoundsWhatDoesNotFit, "link-exact", "which no payment can be"),
    Mutant(Claims, "link-asks", "should have gone to a person"),
    Mutant(Trips, "link-errors", "KeyError"),
    Mutant(MarksTheNumberOnly, "link-own-mark", "2 carry the mark"),
    Mutant(ForgetsToSwitchOff, "link-off", "lets it be paid"),
    Mutant(ShowsAllAsOpen, "link-off", "get_link tells of"),
    Mutant(SwitchesOffWhatIsNotThere, "link-off", "never there"),
    Mutant(TakesAnyNumberOfPayments, "link-paid", "paid twice"),
    Mutant(CallsPaidOnesOff, "link-paid", "should be used"),
    Mutant(Gossips, "link-quiet", "in the log"),
    Mutant(TellsTheTime, "link-same-bytes", "other bytes"),
    Mutant(NomodConnector, "link-key", "does not carry the key"),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.kind.__name__}-{mutant.rule}")
async def test_the_mutant_is_caught_by_its_rule(mutant: Mutant) -> None:
    class MutantHarness(NomodHarness):
        connector = mutant.kind

    result = await check_rule(Kit(MutantHarness, ENGINE), LINK_RULES[mutant.rule], Marked(mark=Mark.DONE))
    assert result.status is Status.BROKEN
    assert mutant.says in result.detail


def test_there_are_mutants_for_all_rules() -> None:
    assert set(LINK_RULES) == {mutant.rule for mutant in MUTANTS}
