"""The gateway in front of the simulated QuickBooks: its limits, and its memory of request ids."""

from collections import deque
from dataclasses import dataclass, field

from connectors.testing.quickbooks_quirks import Quirks, RequestIdMode
from connectors.testing.quickbooks_wire import Refusal, throttle_xml


class Throttled(Exception):
    """Answer 429 with this body."""

    def __init__(self, body: bytes) -> None:
        super().__init__("throttled")
        self.body = body


@dataclass(slots=True, kw_only=True)
class Limits:
    """The limits of one company, off unless set; Intuit's own are 500 a minute, 10 a second and 10 at once.

    https://developer.intuit.com/app/developer/qbo/docs/learn/limits-and-throttles
    """

    per_minute: int | None = None
    per_second: int | None = None
    at_once: int | None = None
    month_blocked: bool = False
    """The month's reads are used up: reads, queries and change data answer 429, creates and updates still work."""
    retry_after: int | None = None
    """Seconds for a `Retry-After` header, which Intuit does not document."""
    throttled: int = 0
    """How many 429s these limits gave."""
    running: int = 0
    peak: int = 0
    """The most calls that were ever under way at once."""
    _recent: deque[float] = field(default_factory=deque)

    def spend(self, now: float, *, metered: bool) -> None:
        """Count a call in. Raises Throttled where it is one too many; a refused call counts as well."""
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        minute, second = len(self._recent), sum(1 for moment in self._recent if moment > now - 1)
        self._recent.append(now)
        over = (
            (self.per_minute is not None and minute >= self.per_minute)
            or (self.per_second is not None and second >= self.per_second)
            or (self.at_once is not None and self.running > self.at_once)
        )
        if over or (self.month_blocked and metered):
            self.throttled += 1
            raise Throttled(throttle_xml())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, ready to be sent and to be sent again."""

    status: int
    body: bytes
    content_type: str = "application/json"


class RequestIds:
    """What was answered to which `requestid`: one name space for all writes of a company."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._known: dict[str, tuple[float, Answer]] = {}
        self._under_way: set[str] = set()
        self.replayed: list[str] = []
        """The ids that were answered from memory, in order."""

    def begin(self, request_id: str | None, *, longest: int) -> Answer | None:
        """Return the first answer to this id, or None where the request is to be executed.

        Raises Refusal: 2130 for an id longer than `longest` (50, and 36 of a batch) or empty, 600 for one whose first
        request is still being executed.
        """
        if request_id is None:
            return None
        if not 0 < len(request_id) <= longest:
            raise Refusal(2130, f"Invalid Request Id Format : the length must be between 1 and {longest}")
        if self._quirks.requestid_mode == RequestIdMode.OFF:
            return None
        if request_id in self._under_way:
            raise Refusal(600, "Duplicate Request ID : the request is still being processed")
        known = self._known.get(request_id)
        forgets = self._quirks.requestid_mode == RequestIdMode.FORGET
        if known is None or (forgets and self._quirks.clock() - known[0] >= self._quirks.requestid_memory):
            self._under_way.add(request_id)
            return None
        self.replayed.append(request_id)
        return known[1]

    def end(self, request_id: str | None, answer: Answer | None) -> None:
        """Remember what was answered; None, for a request that came to no answer, is forgotten."""
        if request_id is None:
            return
        self._under_way.discard(request_id)
        if answer is not None and (answer.status < 400 or self._quirks.requestid_remembers_refusals):
            self._known[request_id] = (self._quirks.clock(), answer)

    def forget(self) -> None:
        """Forget every id."""
        self._known.clear()
