"""What a gateway's /metrics says, read by the reference parser."""

from collections.abc import Mapping

import aiohttp
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import Rig

Labels = Mapping[str, str]


class Scrape:
    """One answer of /metrics."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}

    def series(self) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        """Every time series there is, of ours."""
        return {
            (sample.name, frozenset(sample.labels.items()))
            for name, family in self.families.items()
            for sample in family.samples
            if name.startswith("ledgergate_")
        }

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the samples with these labels, whatever their others are; None when there is none."""
        found = [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None


async def scrape(rig: Rig) -> Scrape:
    """Ask a rig's gateway."""
    async with aiohttp.ClientSession() as session, session.get(f"{rig.gateway.url}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return Scrape(await answer.text())
