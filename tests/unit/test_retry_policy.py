"""What follows from each error: retried and when, paused, failed, asked; by the class alone, in one place."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import errors as connector_errors
from connectors.errors import Action, ConnectorError, RateLimitedError
from connectors.invoice_errors import CustomerReturnedError, StaleItemError
from gateway import errors as gateway_errors
from gateway.errors import GatewayError
from gateway.pipeline.policy import JITTER, Fail, Pause, Retry, Review, decide
from gateway.settings import DEFAULT_SCHEDULE
from storage import errors as storage_errors
from storage.errors import StorageError

NOW = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)
SCHEDULE = (1.0, 10.0, 100.0)
VERDICTS = {Action.RETRY: Retry, Action.PAUSE: Pause, Action.FAIL: Fail, Action.REVIEW: Review}
KINDS = [
    kind
    for module, base in ((connector_errors, ConnectorError), (gateway_errors, GatewayError))
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, base)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_class_is_its_own_policy(kind: type[ConnectorError] | type[GatewayError]) -> None:
    verdict = decide(kind(), failures=0, schedule=SCHEDULE, now=NOW, spread=0.0)
    assert isinstance(verdict, VERDICTS[kind.action])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.action is Action.RETRY])
def test_what_is_retried_fails_when_the_schedule_is_over(kind: type[ConnectorError] | type[GatewayError]) -> None:
    for failures, delay in enumerate(SCHEDULE):
        verdict = decide(kind(), failures=failures, schedule=SCHEDULE, now=NOW, spread=0.0)
        assert verdict == Retry(at=NOW + timedelta(seconds=delay), burn=True)
    assert decide(kind(), failures=len(SCHEDULE), schedule=SCHEDULE, now=NOW, spread=0.0) == Fail()


@pytest.mark.parametrize("kind", [CustomerReturnedError, StaleItemError])
def test_what_has_passed_already_is_tried_at_once_and_then_by_the_schedule(kind: type[ConnectorError]) -> None:
    waits = [decide(kind(), failures=n, schedule=SCHEDULE, now=NOW, spread=0.0) for n in range(3)]
    assert waits == [Retry(at=NOW + timedelta(seconds=wait), burn=True) for wait in (0, *SCHEDULE[1:])]
    assert decide(kind(), failures=len(SCHEDULE), schedule=SCHEDULE, now=NOW, spread=0.0) == Fail()


def test_a_bug_is_tried_a_few_times_and_then_fails() -> None:
    verdicts = [decide(KeyError(), failures=n, schedule=DEFAULT_SCHEDULE, now=NOW, spread=0.0) for n in range(6)]
    assert [type(verdict) for verdict in verdicts] == [Retry, Retry, Retry, Fail, Fail, Fail]


@pytest.mark.parametrize("spread,wait", [(-1.0, 90.0), (0.0, 100.0), (0.5, 105.0), (1.0, 110.0)])
def test_the_jitter_is_a_tenth_of_the_delay_both_ways(spread: float, wait: float) -> None:
    verdict = decide(connector_errors.ProviderError(), failures=0, schedule=(100.0,), now=NOW, spread=spread)
    assert isinstance(verdict, Retry)
    assert (verdict.at - NOW).total_seconds() == pytest.approx(wait)


@pytest.mark.parametrize("failures", [0, 2, 1000])
def test_a_throttled_try_waits_as_long_as_the_provider_asks_and_burns_nothing(failures: int) -> None:
    verdict = decide(RateLimitedError(retry_after=77.0), failures=failures, schedule=SCHEDULE, now=NOW, spread=1.0)
    assert verdict == Retry(at=NOW + timedelta(seconds=77), burn=False)


def test_retry_after_makes_a_wait_longer_and_never_shorter() -> None:
    error = connector_errors.ProviderError(retry_after=50.0)
    waits = [decide(error, failures=n, schedule=SCHEDULE, now=NOW, spread=0.0) for n in range(3)]
    assert [(w.at - NOW).total_seconds() for w in waits if isinstance(w, Retry)] == [50.0, 50.0, 100.0]


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(storage_errors).values() if isinstance(kind, type) and issubclass(kind, StorageError)],
)
def test_a_store_in_trouble_burns_nothing_and_what_it_can_never_hold_fails(kind: type[StorageError]) -> None:
    verdict = decide(kind(), failures=1000, schedule=SCHEDULE, now=NOW, spread=0.0)
    if kind in (storage_errors.UnstorableError, storage_errors.NotFoundError):
        assert verdict == Fail()
    else:
        assert isinstance(verdict, Retry)
        assert verdict.at == NOW + timedelta(seconds=2)
        assert not verdict.burn


@given(
    failures=st.integers(0, 30), spread=st.floats(-1, 1),
    schedule=st.lists(st.floats(0, 604_800), min_size=1, max_size=20),
)  # fmt: skip
def test_whatever_the_schedule_a_retry_lies_ahead_within_its_jitter(
    failures: int, spread: float, schedule: list[float]
) -> None:
    verdict = decide(connector_errors.ProviderError(), failures=failures, schedule=schedule, now=NOW, spread=spread)
    if failures >= len(schedule):
        assert verdict == Fail()
    else:
        assert isinstance(verdict, Retry)
        wait, delay = (verdict.at - NOW).total_seconds(), schedule[failures]
        assert delay * (1 - JITTER) - 1e-6 <= wait <= delay * (1 + JITTER) + 1e-6


def test_the_default_schedule_reaches_over_three_days_even_with_the_least_of_its_jitter() -> None:
    assert sum(DEFAULT_SCHEDULE) * (1 - JITTER) >= 72 * 3600
