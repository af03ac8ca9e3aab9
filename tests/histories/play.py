"""Playing histories on one ground: many of them, drawn from a seed or at random; or one again, from its steps."""

from collections.abc import Iterable

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis.stateful import run_state_machine_as_test

from connectors.testing.simulator import FaultKind
from tests.histories.ground import Ground
from tests.histories.history import History

STEPS = 15


def play(
    ground: Ground, number: int, *, seed: int | None = None, always_the_same: bool = False, shrink: bool = True
) -> None:
    """Play so many histories. Raises what went wrong, with the steps of the smallest history found in which it did.

    Without a `seed` they are drawn at random, or are `always_the_same`.
    """

    def begun() -> History:
        return History(ground)

    phases = [phase for phase in Phase if shrink or phase is not Phase.shrink]
    run_state_machine_as_test(
        begun if seed is None else seeded(seed)(begun),  # type: ignore[arg-type]  # any callable will do
        settings=settings(
            max_examples=number, stateful_step_count=STEPS, deadline=None, print_blob=True, phases=phases,
            suppress_health_check=list(HealthCheck), database=None, derandomize=always_the_same,
        ),
    )  # fmt: skip


def replay(ground: Ground, steps: str) -> None:
    """Play one history again, from the lines that were printed of it. Raises what goes wrong."""
    lines = [line.strip(" |") for line in steps.splitlines()]
    state = History(ground)
    try:
        exec("\n".join(_calls(lines)), {"state": state, "FaultKind": FaultKind})  # noqa: S102 - lines of our own
    finally:
        state.teardown()


def _calls(lines: Iterable[str]) -> list[str]:
    """Return the calls among the lines; what does not begin one goes on with the one before."""
    calls: list[str] = []
    for line in lines:
        if line.startswith("state."):
            calls.append(line)
        elif calls and not calls[-1].endswith(")"):
            calls[-1] += line
    return calls
