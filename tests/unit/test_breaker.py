"""The circuit breaker: opens after a run of failures, lets one probe through, rests longer each time."""

from datetime import UTC, datetime, timedelta

from gateway.breaker import FIRST_REST, LONGEST_REST, OPENS_AFTER, Breaker, Circuit

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def opened() -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker()
    assert [breaker.failed(NOW) for _ in range(OPENS_AFTER)] == [*[False] * (OPENS_AFTER - 1), True]
    return breaker


def test_it_opens_after_a_run_of_failures_and_an_answer_starts_the_count_again() -> None:
    """One answer among failures keeps it closed."""
    breaker = Breaker()
    for _ in range(OPENS_AFTER - 1):
        breaker.failed(NOW)
    assert breaker.succeeded() is False
    assert breaker.failed(NOW) is False
    assert breaker.state(NOW) is Circuit.CLOSED


def test_it_rests_then_lets_a_probe_through_and_closes_on_an_answer() -> None:
    """Open, half open, closed; it says once that it was open."""
    breaker = opened()
    assert breaker.state(NOW) is Circuit.OPEN
    assert breaker.state(NOW + FIRST_REST) is Circuit.HALF_OPEN
    assert breaker.succeeded() is True
    assert breaker.succeeded() is False
    assert breaker.state(NOW) is Circuit.CLOSED


def test_each_failed_probe_doubles_the_rest_up_to_the_longest() -> None:
    """It is not told again that the provider is down."""
    breaker, now, rests = opened(), NOW, []
    for _ in range(12):
        now = breaker.opened_until or now
        assert breaker.failed(now) is False
        rests.append((breaker.opened_until or now) - now)
    assert rests[0] == 2 * FIRST_REST
    assert rests[-1] == LONGEST_REST
    assert rests == sorted(rests)
    assert all(rest <= timedelta(seconds=60) for rest in rests)
