"""Records as Flexprice keeps them: ids, times, exact money, and a past for reads from a replica that lags."""

import copy
import datetime as dt
import random
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

Record = dict[str, Any]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VERSIONS = 32


def ulid(at: float, rng: random.Random) -> str:
    """Return a ULID: 48 bits of milliseconds and 80 random bits, in 26 characters of Crockford's base 32."""
    number = (int(at * 1000) << 80) | rng.getrandbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def rfc3339(at: float | dt.datetime) -> str:
    """Write a time as Go does: UTC, as few digits of the second as it takes, `Z`."""
    moment = at if isinstance(at, dt.datetime) else dt.datetime.fromtimestamp(at, dt.UTC)
    text = moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def decimal_text(amount: Decimal) -> str:
    """Write money as Flexprice does: a plain decimal without trailing zeros, never an exponent."""
    text = f"{amount:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def read_decimal(value: object) -> Decimal | None:
    """Return a finite decimal sent as text or number, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def read_time(value: object) -> dt.datetime | None:
    """Return an aware time from RFC 3339 text, None for anything else."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


class Table:
    """Rows by id, with their latest versions. The primary answers writes; reads may come from a replica."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Make an empty table whose versions are dated by `clock`, in Unix time."""
        self.rows: dict[str, Record] = {}
        self._clock = clock
        self._past: dict[str, deque[tuple[float, Record]]] = {}

    def put(self, record: Record) -> Record:
        """Keep a new version of a record and return it."""
        self.rows[record["id"]] = record
        versions = self._past.setdefault(record["id"], deque(maxlen=_VERSIONS))
        versions.append((self._clock(), copy.deepcopy(record)))
        return record

    def read(self, record_id: str, lag: float = 0.0) -> Record | None:
        """Return the version that a replica `lag` seconds behind has; None when it has none."""
        if not lag:
            return self.rows.get(record_id)
        horizon = self._clock() - lag
        versions = self._past.get(record_id, ())
        return next((version for at, version in reversed(versions) if at <= horizon), None)

    def scan(self, lag: float = 0.0) -> Iterator[Record]:
        """Yield every record that such a replica has, in the order in which they were made."""
        for record_id in self.rows:
            record = self.read(record_id, lag)
            if record is not None:
                yield record
