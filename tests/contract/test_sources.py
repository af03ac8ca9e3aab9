"""Our own sources hold what every source must hold: the suite that a stranger's adapter is tested with."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from connectors.testing import Clock
from gateway.sandbox.flexprice import FINALIZED, FlexpriceSimulator, TirdadSimulator
from gateway.sandbox.tithely import TithelySimulator
from gateway.sources.flexprice import FlexpriceSource
from gateway.sources.testing import SourceContract, SourceHarness
from gateway.sources.tirdad import TirdadSource
from gateway.sources.tithely import TithelySource


class FlexpriceHarness(SourceHarness):
    source = FlexpriceSource

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.flexprice = self.service = self.made(clock)

    def made(self, clock: Clock) -> FlexpriceSimulator:
        return FlexpriceSimulator(clock=clock.unix)

    def config(self, url: str) -> Mapping[str, Any]:
        path = self.flexprice.api_url.removeprefix(self.flexprice.url)
        return {"api_url": f"{url}{path}", "api_key": self.flexprice.api_key}

    def add_customer(self, *, name: str, email: str) -> str:
        record = self.flexprice.add_customer(name=name, email=email, metadata={"plan": "yearly"})
        return str(record["id"])

    def trigger(self, customer_id: str) -> bytes:
        if customer_id not in self.flexprice.customers:
            self.flexprice.add_customer(id=customer_id)
        return orjson.dumps(self.flexprice.event(FINALIZED, self.flexprice.add_invoice(customer_id)["id"]))

    def other(self) -> bytes:
        record = self.flexprice.add_customer()
        return orjson.dumps(self.flexprice.event("customer.updated", record["id"]))

    def metadata(self, customer_id: str) -> Mapping[str, str]:
        metadata: Mapping[str, str] = self.flexprice.customers[customer_id]["metadata"]
        return metadata


class TirdadHarness(FlexpriceHarness):
    source = TirdadSource

    def made(self, clock: Clock) -> FlexpriceSimulator:
        return TirdadSimulator(clock=clock.unix)


class TithelyHarness(SourceHarness):
    """Its webhooks say all that is known: nobody is asked, and nothing is written back."""

    source = TithelySource

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.tithely = TithelySimulator(clock=clock.unix)

    def config(self, url: str) -> Mapping[str, Any]:
        return {}

    def add_customer(self, *, name: str, email: str) -> str:
        first, _, last = name.partition(" ")
        return self.tithely.add_donor(first_name=first, last_name=last, email=email)

    def trigger(self, customer_id: str) -> bytes:
        donor = customer_id if customer_id in self.tithely.accounts else self.tithely.add_donor(first_name="Ada")
        return orjson.dumps(self.tithely.event(self.tithely.add_gift(donor_id=donor)))

    def other(self) -> bytes:
        return b'{"type": "transaction.refunded", "timestamp": "2026-01-20T10:30:00Z", "data": {}}'


class TestFlexprice(SourceContract):
    @pytest.fixture
    def harness(self) -> type[FlexpriceHarness]:
        return FlexpriceHarness


class TestTirdad(SourceContract):
    @pytest.fixture
    def harness(self) -> type[TirdadHarness]:
        return TirdadHarness


class TestTithely(SourceContract):
    @pytest.fixture
    def harness(self) -> type[TithelyHarness]:
        return TithelyHarness
