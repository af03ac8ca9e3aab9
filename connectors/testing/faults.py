"""What goes wrong at a simulated service: kinds of fault, and the plan which says to which requests they happen."""

import fnmatch
from dataclasses import dataclass, field, replace
from enum import StrEnum


class FaultKind(StrEnum):
    """How a request goes wrong. The name says whether the service did its work first."""

    REFUSE = "refuse"
    """Answer `status` (400) with `body`, doing nothing."""
    ECHO = "echo"
    """Answer `status` (400) with a refusal that quotes all that was sent, secrets too, doing nothing."""
    THROTTLE = "throttle"
    """Answer the service's own 429, with `retry_after` seconds where set, doing nothing."""
    FAIL_BEFORE = "fail_before"
    """Answer `status` (500), doing nothing."""
    FAIL_AFTER = "fail_after"
    """Do the work, then answer `status` (500)."""
    DROP_BEFORE = "drop_before"
    """Cut the connection, doing nothing."""
    DROP_AFTER = "drop_after"
    """Do the work, then cut the connection: the lost answer."""
    HANG_BEFORE = "hang_before"
    """Wait `seconds`, then cut the connection, doing nothing."""
    HANG_AFTER = "hang_after"
    """Do the work, wait `seconds`, then cut the connection."""
    GARBAGE = "garbage"
    """Do the work, then answer 200 with `body`, by default bytes that are no JSON."""
    HTML = "html"
    """Answer `status` (503) with an HTML page, doing nothing."""
    DRIP = "drip"
    """Do the work, then send the answer a byte at a time over `seconds`."""
    HALF = "half"
    """Do the work, then send half of the announced answer and cut the connection."""
    REDIRECT = "redirect"
    """Answer 302 to another address, doing nothing."""


DOES_THE_WORK = frozenset(
    {
        FaultKind.FAIL_AFTER,
        FaultKind.DROP_AFTER,
        FaultKind.HANG_AFTER,
        FaultKind.GARBAGE,
        FaultKind.DRIP,
        FaultKind.HALF,
    }
)
"""The faults which the service has already done its work before; the caller cannot tell them from the others."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One entry of the plan: requests that match `route` go wrong, `times` times, after `skip` good ones."""

    kind: FaultKind
    route: str = "*"
    """Shell pattern over "METHOD /path", such as "POST /v1/customers"."""
    times: int = 1
    skip: int = 0
    status: int | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    retry_after: int | None = None
    seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a fault that could never happen, which would make a test pass for nothing."""
        if self.times < 1 or self.skip < 0:
            raise ValueError("a fault happens at least once, after no fewer than no good requests")


@dataclass(slots=True)
class FaultPlan:
    """The faults still to come, first match first."""

    faults: list[Fault] = field(default_factory=list)

    def add(self, *faults: Fault) -> None:
        """Append to the plan. Copies are kept, so that one `Fault` may be planned twice, or at two services."""
        self.faults.extend(replace(fault) for fault in faults)

    def clear(self) -> None:
        """Forget all that was planned."""
        self.faults.clear()

    def take(self, route: str) -> Fault | None:
        """Return the fault for this request and count it down, or None for a request that goes well."""
        for index, fault in enumerate(self.faults):
            if not fnmatch.fnmatchcase(route, fault.route):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times == 0:
                del self.faults[index]
            return fault
        return None
