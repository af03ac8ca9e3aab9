"""What the door counts, thousands of times a second: plain numbers, turned into metrics when somebody asks for them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.families import ACCEPTED, ACK_SECONDS, REJECTED

BUCKETS = ACK_SECONDS.buckets


class Tally(Collector):
    """Accepted, refused, and how long acknowledgements took. Belongs to one event loop, so that it needs no locks.

    The library's own counters take a lock for each sample and look labels up each time: together half of what
    checking a signature costs.
    """

    def __init__(self) -> None:
        self._accepted: Counter[tuple[str, bool]] = Counter()
        self._rejected: Counter[tuple[str, str]] = Counter()
        self._within = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def accepted(self, source: str, *, duplicate: bool, seconds: float) -> None:
        """Count an acknowledged delivery, and the seconds from its last byte to its answer."""
        self._accepted[source, duplicate] += 1
        self._within[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds

    def rejected(self, source: str, reason: str) -> None:
        """Count a refused request. `source` is a configured one or `unknown`: a stranger must not make labels."""
        self._rejected[source, reason] += 1

    def collect(self) -> Iterator[Metric]:
        """Return the metrics, as the library asks for them."""
        accepted = CounterMetricFamily(ACCEPTED.name, ACCEPTED.meaning, labels=ACCEPTED.labels)
        for (source, duplicate), count in self._accepted.items():
            accepted.add_metric([source, "true" if duplicate else "false"], count)
        yield accepted
        rejected = CounterMetricFamily(REJECTED.name, REJECTED.meaning, labels=REJECTED.labels)
        for (source, reason), count in self._rejected.items():
            rejected.add_metric([source, reason], count)
        yield rejected
        yield self._ack_seconds()

    def _ack_seconds(self) -> Metric:
        below, cumulative = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._within, strict=True):
            below += count
            cumulative.append((bound, float(below)))
        seconds = HistogramMetricFamily(ACK_SECONDS.name, ACK_SECONDS.meaning)
        seconds.add_metric([], cumulative, sum_value=self._seconds)
        return seconds
