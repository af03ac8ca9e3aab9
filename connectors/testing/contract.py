"""The conformance suite as plain pytest: subclass it, fill in one fixture. Needs the extra `ledgergate[testing]`."""

from typing import ClassVar

import pytest

from connectors.invoices import InvoiceSync
from connectors.links import PaymentLinks
from connectors.payments import Payments
from connectors.testing.bench import HarnessFactory
from connectors.testing.clock import Clock
from connectors.testing.engine import load_engine
from connectors.testing.quality import Mark, Quality, quality_of
from connectors.testing.rulebook import Kit
from connectors.testing.rules import ALL_RULES, BY_CAPABILITY, INVOICE_RULES, LINK_RULES, PAYMENT_RULES, RULES
from connectors.testing.runner import Status, check_rule


class ConnectorContract:
    """Every rule of the quality scale as a test, marked as the connector's quality.toml says.

    Example:
        ```python
        class TestAcme(ConnectorContract):
            @pytest.fixture
            def harness(self) -> type[AcmeHarness]:
                return AcmeHarness
        ```

    A rule marked `todo` is an expected failure; one that is exempt is held to what the connector itself declares.
    A connector with capabilities has the contract of each: `InvoiceContract`, `LinkContract`, `PaymentContract`.
    """

    held: ClassVar[frozenset[type]] = frozenset()
    """The capabilities whose rules this class has."""

    @pytest.fixture
    def harness(self) -> HarnessFactory:
        """Return the harness's class. Fill this in."""
        raise NotImplementedError("fill in the fixture `harness`: return your Harness class")

    @pytest.fixture
    def quality(self, harness: HarnessFactory) -> Quality:
        """Return the connector's quality file."""
        return quality_of(harness(Clock()).connector)

    @pytest.fixture
    def kit(self, harness: HarnessFactory) -> Kit:
        """Return what the rules work with."""
        return Kit(harness, load_engine())

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", list(RULES))
    async def test_rule(self, name: str, kit: Kit, quality: Quality) -> None:
        """The rule holds, as the quality file says."""
        await _hold(name, kit, quality)

    def test_capabilities(self, harness: HarnessFactory) -> None:
        """Every capability of the connector is held to its rules."""
        able = {capability for capability in BY_CAPABILITY if issubclass(harness(Clock()).connector, capability)}
        held = {capability for kind in type(self).__mro__ for capability in getattr(kind, "held", ())}
        left = ", ".join(sorted(capability.__name__ for capability in able - held))
        assert not left, f"{left}: mix the contract of each into {type(self).__name__}"


class InvoiceContract(ConnectorContract):
    """The rules for a connector that also makes invoices (`InvoiceSync`), on top of the others."""

    held = frozenset({InvoiceSync})

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", list(INVOICE_RULES))
    async def test_invoice_rule(self, name: str, kit: Kit, quality: Quality) -> None:
        """The rule holds, as the quality file says."""
        await _hold(name, kit, quality)


class LinkContract(ConnectorContract):
    """The rules for a connector that also makes payment links (`PaymentLinks`), on top of the others."""

    held = frozenset({PaymentLinks})

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", list(LINK_RULES))
    async def test_link_rule(self, name: str, kit: Kit, quality: Quality) -> None:
        """The rule holds, as the quality file says."""
        await _hold(name, kit, quality)


class PaymentContract(ConnectorContract):
    """The rules for a connector that tells of payments (`Payments`), on top of the others."""

    held = frozenset({Payments})

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", list(PAYMENT_RULES))
    async def test_payment_rule(self, name: str, kit: Kit, quality: Quality) -> None:
        """The rule holds, as the quality file says."""
        await _hold(name, kit, quality)


async def _hold(name: str, kit: Kit, quality: Quality) -> None:
    """Check one rule as the quality file marks it."""
    result = await check_rule(kit, ALL_RULES[name], quality.rules[name])
    if result.status is Status.TODO:
        pytest.xfail(result.detail)
    if result.status is Status.BROKEN:
        pytest.fail(f"{name}: {result.detail}", pytrace=False)
    assert result.status is (Status.EXEMPT if quality.rules[name].mark is Mark.EXEMPT else Status.PASSED)
