"""What happens after a failure. Pure, and the only place that decides from an error."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.errors import Action, ConnectorError, RateLimitedError
from gateway.errors import GatewayError
from storage.errors import NotFoundError, StorageError, UnstorableError

BUG_TRIES = 3
JITTER = 0.1
STORE_DELAY = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again at `at`; `burn` says whether the try counts against the schedule."""

    at: datetime
    burn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stop the connection; the job waits and burns no attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Give up: the job becomes a dead letter, kept until a person retries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Ask a person."""


Verdict = Retry | Pause | Fail | Review


def decide(error: BaseException, *, failures: int, schedule: Sequence[float], now: datetime, spread: float) -> Verdict:
    """Return what follows from an error after `failures` failed tries. `spread` in [-1, 1] is the jitter drawn."""
    if isinstance(error, UnstorableError | NotFoundError):
        return Fail()
    if isinstance(error, StorageError):
        return Retry(at=now + timedelta(seconds=STORE_DELAY), burn=False)
    wait = getattr(error, "retry_after", None)
    if isinstance(error, RateLimitedError) and wait is not None:
        return Retry(at=now + timedelta(seconds=wait), burn=False)
    action = error.action if isinstance(error, ConnectorError | GatewayError) else Action.RETRY
    match action:
        case Action.PAUSE:
            return Pause()
        case Action.FAIL:
            return Fail()
        case Action.REVIEW:
            return Review()
        case Action.RETRY:
            is_bug = not isinstance(error, ConnectorError | GatewayError)
            tries = min(len(schedule), BUG_TRIES) if is_bug else len(schedule)
            if failures >= tries:
                return Fail()
            at_once = failures == 0 and isinstance(error, ConnectorError) and error.at_once
            delay = 0.0 if at_once else schedule[failures] * (1 + JITTER * spread)
            return Retry(at=now + timedelta(seconds=max(delay, wait or 0.0)), burn=True)
