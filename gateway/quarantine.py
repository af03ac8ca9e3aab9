"""Refused requests: counted all, and the last few of each source kept without body, so that a wrong secret shows."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime

from storage import Store
from storage.errors import StorageError
from storage.records import Rejection

KEPT_PER_SOURCE = 10
DETAILS_PER_SECOND = 5
SHOWN = frozenset(
    {"content-type", "content-length", "user-agent", "svix-id", "svix-timestamp", "webhook-id", "webhook-timestamp"}
)
MAX_VALUE = 200


class Quarantine:
    """What the door refused and accepted since the last flush. Bounded: a flood costs a counter, not a row."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._kept: dict[str, deque[Rejection]] = {}
        self._accepted: dict[str, datetime] = {}
        self._second, self._detailed = 0, 0

    def accepted(self, source: str, at: datetime) -> None:
        """Note that a source was heard."""
        self._accepted[source] = at

    def refused(
        self, source: str, reason: str, *, headers: Iterable[tuple[str, str]], body: bytes, at: datetime
    ) -> None:
        """Count a refusal, and keep its facts unless there are too many this second."""
        self._counts[source, reason] += 1
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._detailed = second, 0
        if self._detailed >= DETAILS_PER_SECOND:
            return
        self._detailed += 1
        kept = self._kept.setdefault(source, deque(maxlen=KEPT_PER_SOURCE))
        kept.append(
            Rejection(
                source=source, at=at, reason=reason, headers=redacted(headers),
                body_sha256=hashlib.sha256(body).hexdigest(), body_bytes=len(body),
            )
        )  # fmt: skip

    async def flush(self, store: Store) -> None:
        """Write down what has gathered; what cannot be written waits for the next time."""
        if not (self._counts or self._kept or self._accepted):
            return
        counts, kept, accepted = self._counts, self._kept, self._accepted
        self._counts, self._kept, self._accepted = Counter(), {}, {}
        rejected = [rejection for each in kept.values() for rejection in each]
        try:
            await store.note_activity(accepted=accepted, rejected=rejected, counts=dict(counts))
        except StorageError:
            self._counts.update(counts)
            for source, at in accepted.items():
                self._accepted.setdefault(source, at)


def redacted(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers with their names, and values only where those are neither secret nor a signature."""
    told = []
    for name, value in list(headers)[:60]:
        safe = value.encode("utf-8", "backslashreplace").decode()[:MAX_VALUE]
        shown = safe if name.lower() in SHOWN else f"[{len(value)} characters]"
        told.append((name.encode("utf-8", "backslashreplace").decode()[:MAX_VALUE], shown))
    return told
