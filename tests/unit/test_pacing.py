"""Giving way to the door: when the work behind it rests, and for how long."""

import pytest

from gateway.pipeline.pacing import BATCH, MOST, SMALL_BATCH, Pace


class Hands:
    """Clocks that the test moves."""

    def __init__(self) -> None:
        self.time = self.used = 0.0
        self.pace = Pace(clock=lambda: self.time, cpu=lambda: self.used)

    def turn(self, *, webhooks: int, seconds: float, load: float, took: float = 0.005) -> float:
        """Let webhooks arrive while time passes; return the rest after the turn."""
        for _ in range(webhooks):
            self.pace.arrived()
        self.time += seconds
        self.used += seconds * load
        return self.pace.rest_after(took)


def test_a_few_webhooks_are_worked_on_at_once() -> None:
    """Also two at the same moment, and any number where time passes between them."""
    hands = Hands()
    assert hands.turn(webhooks=1, seconds=0.001, load=1.0) == 0
    assert hands.turn(webhooks=100, seconds=1.0, load=1.0) == 0
    assert hands.turn(webhooks=0, seconds=60.0, load=0.0) == 0
    assert not hands.pace.pressed


def test_many_webhooks_are_gathered_for_a_moment() -> None:
    """In proportion to what a turn takes, and never long."""
    hands = Hands()
    assert hands.turn(webhooks=10, seconds=0.01, load=0.3, took=0.001) == 0.02
    assert hands.turn(webhooks=10, seconds=0.01, load=0.3, took=0.05) == pytest.approx(0.15)
    assert hands.turn(webhooks=10_000, seconds=1.0, load=0.3, took=9.0) == MOST
    assert not hands.pace.pressed
    assert (hands.pace.batch, hands.pace.places(16)) == (SMALL_BATCH, 16)
    assert hands.turn(webhooks=1, seconds=1.0, load=0.3) == 0
    assert hands.pace.batch == BATCH


def test_a_full_processor_leaves_more_to_the_door_until_it_has_time_again() -> None:
    """Small batches and a quarter of the places; work alone does not press."""
    hands = Hands()
    assert hands.turn(webhooks=1, seconds=1.0, load=1.0) == 0
    assert not hands.pace.pressed
    assert hands.turn(webhooks=5000, seconds=1.0, load=0.95, took=0.01) == pytest.approx(0.09)
    assert hands.pace.pressed
    assert (hands.pace.batch, hands.pace.places(16), hands.pace.places(1)) == (SMALL_BATCH, 4, 1)
    hands.turn(webhooks=5000, seconds=1.0, load=0.5)
    assert not hands.pace.pressed
