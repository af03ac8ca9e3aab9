"""Our own connectors keep every rule of the quality scale, or say which not and why."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from connectors.nomod.harness import MarkedNomodHarness, NomodHarness
from connectors.quickbooks.harness import QuickBooksHarness
from connectors.testing import Harness
from connectors.testing.bench import HarnessFactory
from connectors.testing.contract import ConnectorContract, InvoiceContract, LinkContract, PaymentContract
from connectors.testing.quality import Mark, Marked, Quality, quality_of
from connectors.testing.rulebook import Kit, Tier

EXEMPT: Mapping[type[Harness], set[str]] = {
    NomodHarness: {"idempotency-key", "invoice-key", "link-key", "leaves-the-rest", "marks-records"},
    QuickBooksHarness: set(),
}


class TestNomod(InvoiceContract, LinkContract, PaymentContract):
    @pytest.fixture
    def harness(self) -> type[NomodHarness]:
        return NomodHarness


class TestNomodWithMarker(ConnectorContract):
    """With `marker` on, the one rule that Nomod is exempt from by its own choice holds too."""

    @pytest.fixture
    def harness(self) -> type[MarkedNomodHarness]:
        return MarkedNomodHarness

    @pytest.fixture
    def quality(self) -> Quality:
        told = quality_of(NomodHarness.connector)
        return replace(told, rules={**told.rules, "marks-records": Marked(mark=Mark.DONE)})

    def test_capabilities(self, harness: HarnessFactory) -> None:
        """What the marker changes are customers alone; the rest is held to by TestNomod."""

    @pytest.mark.parametrize(
        "name", ["one-in-turn", "lost-answer", "search-lag", "adopts-the-one", "marks-records", "text-torture"]
    )
    async def test_rule(self, name: str, kit: Kit, quality: Quality) -> None:
        await super().test_rule(name, kit, quality)


class TestQuickBooks(InvoiceContract, PaymentContract):
    @pytest.fixture
    def harness(self) -> type[QuickBooksHarness]:
        return QuickBooksHarness


@pytest.mark.parametrize("harness", EXEMPT, ids=lambda harness: harness.connector.name)
def test_ours_are_gold_and_exempt_only_where_the_service_leaves_no_choice(harness: type[Harness]) -> None:
    told = quality_of(harness.connector)
    assert told.tier is Tier.GOLD
    assert {name for name, marked in told.rules.items() if marked.mark is Mark.EXEMPT} == EXEMPT[harness]
