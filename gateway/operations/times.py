"""Times as the views show them, RFC 3339 in UTC with `Z`; and as people ask for them."""

from datetime import UTC, datetime
from typing import overload

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


@overload
def stamp(moment: datetime) -> str: ...
@overload
def stamp(moment: None) -> None: ...
def stamp(moment: datetime | None) -> str | None:
    """Return a time as text, None for None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def bounded(moment: datetime) -> datetime:
    """Return a time that narrows a list, in UTC, as one without an offset is; far ones become the ends of time."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(aware, _FIRST), _LAST).astimezone(UTC)
