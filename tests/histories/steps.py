"""What makes a method a step of histories, and has it told of as Hypothesis tells."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

from hypothesis.stateful import initialize, rule

from connectors.testing.simulator import FaultKind


class Told(Protocol):
    """A history which keeps its steps, as lines of Python."""

    told: list[str]


def step(**arguments: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a method a step of histories, and have it told of as Hypothesis does."""
    return lambda function: rule(**arguments)(_told(function))  # type: ignore[no-untyped-call]


def first(**arguments: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `step`, for the one that every history begins with."""
    return lambda function: initialize(**arguments)(_told(function))  # type: ignore[no-untyped-call]


def _told(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def tell(self: Told, **given: Any) -> None:
        arguments = ", ".join(f"{name}={_shown(value)}" for name, value in given.items())
        self.told.append(f"state.{function.__name__}({arguments})")
        function(self, **given)

    return tell


def _shown(value: object) -> str:
    return f"FaultKind.{value.name}" if isinstance(value, FaultKind) else repr(value)
