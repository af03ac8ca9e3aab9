"""Histories drawn by Hypothesis, judged by the invariants; many more of them with HYPOTHESIS_PROFILE=thorough."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.histories import History

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


@pytest.mark.slow
@pytest.mark.timeout(0 if THOROUGH else 600)
def test_whatever_happens_in_whatever_order_nothing_is_lost_and_nobody_doubled() -> None:
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=10_000 if THOROUGH else 25, stateful_step_count=20, deadline=None, print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
