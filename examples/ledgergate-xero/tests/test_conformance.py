"""The Xero connector keeps every rule of ledgergate's quality scale."""

import pytest
from connectors.testing.contract import ConnectorContract

from ledgergate_xero.harness import XeroHarness


class TestXero(ConnectorContract):
    """One test for each rule."""

    @pytest.fixture
    def harness(self) -> type[XeroHarness]:
        """Return the harness."""
        return XeroHarness
