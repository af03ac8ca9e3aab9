"""One entity type's records in the simulated company: the truth, and the older view that its queries see."""

import itertools
import math
from dataclasses import dataclass, field

from connectors.testing.quickbooks_wire import Record


@dataclass(slots=True)
class Shelf:
    """The records of one type. A change replaces a record, so that older views stay what they were."""

    first_id: int
    records: dict[str, Record] = field(default_factory=dict)
    """What a GET by Id sees: active and inactive records, by Id."""
    gone: dict[str, str | None] = field(default_factory=dict)
    """Ids that answer 610: with the Id that a merge left alive, or None for a deleted transaction."""
    changed: dict[str, float] = field(default_factory=dict)
    """When each Id, gone ones included, last changed: what change data capture reads."""
    _history: list[tuple[float, str, Record | None]] = field(default_factory=list)
    _ids: "itertools.count[int]" = field(init=False)

    def __post_init__(self) -> None:
        self._ids = itertools.count(self.first_id)

    def new_id(self) -> str:
        """Return an Id that no record of this type had before."""
        return str(next(self._ids))

    def put(self, record: Record, *, now: float, known_before: bool = False) -> None:
        """Store a record. `known_before` puts it into every query at once, whatever the lag."""
        key = str(record["Id"])
        self.records[key] = record
        self.changed[key] = now
        self._history.append((-math.inf if known_before else now, key, record))

    def remove(self, key: str, *, survivor: str | None, now: float) -> None:
        """Take a record away for good."""
        del self.records[key]
        self.gone[key] = survivor
        self.changed[key] = now
        self._history.append((now, key, None))

    def seen_at(self, moment: float) -> list[Record]:
        """Return the records as an index knew them that had taken in all changes up to `moment`."""
        view: dict[str, Record] = {}
        for when, key, record in self._history:
            if when > moment:
                continue
            if record is None:
                view.pop(key, None)
            else:
                view[key] = record
        return list(view.values())
