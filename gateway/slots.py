"""When the next requests of a connection may be sent, and how many at a time: decided over all processes. Pure.

What is noted in the store (`Store.change_budget`) is when slots were given out lately, and which processes send at the
moment. Times are microseconds since 1970 by the store's clock: whole numbers, since windows are compared exactly.
Why it is so: docs/decisions/0009-one-budget-for-all-processes.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.models import Limits

LATE = 0.015
"""A slot may be used so much later than its time, as a share of the shortest window: a loop is never quite punctual."""
JITTER = 0.025
"""By how much later than another a request may arrive that was sent at the same time, as a share of the window."""
MOST_JITTER = 0.5
"""Seconds. Together, a window is kept 4 % longer than it is: so at least 96 % of a limit can be used."""
SECOND = 1_000_000
GONE_AFTER = 3 * SECOND
"""After so long without a word a process counts as gone, and its places are free."""
TURN = SECOND
"""After so long processes swap the places that cannot be divided evenly."""
GRID = 2000
"""Slots lie on a grid, so that what is noted of a high rate stays short."""
ALONE = SECOND // 2
"""So long a process that has found no other may hand slots out by itself; one that comes then waits for the end."""
FARTHEST = 600 * SECOND
"""So far ahead a slot may lie. What is noted beyond stems from a clock that was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """At most `count` requests in any `seconds`."""

    count: int
    seconds: float

    def apart(self, late: int) -> int:
        """Return the microseconds that lie between a slot and the one `count` places before, which may be used late."""
        return _on_grid(round((self.seconds + min(JITTER * self.seconds, MOST_JITTER)) * SECOND) + late)


def windows_of(limits: Limits) -> tuple[Window, ...]:
    """Return a provider's limits as windows of whole requests."""
    found = [_window(limits.per_second, 1.0)]
    if limits.per_minute is not None:
        found.append(_window(limits.per_minute, 60.0))
    return tuple(found)


def lateness(windows: Sequence[Window]) -> int:
    """Return for how many microseconds a slot is good: a second where there is no limit."""
    return round(SECOND * min((LATE * window.seconds for window in windows), default=1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a process asks for."""

    owner: str
    busy: int
    """Requests under way."""
    waiting: int
    """Requests that wait for a place or a slot."""
    holding: int = 0
    """Slots that it has and has not used yet."""
    spare: int = 0
    """Slots to take beyond these, if they can be had at once."""
    used: Sequence[tuple[int, int]] = ()
    """Slots that it has handed out by itself since it asked last."""
    unused: Sequence[tuple[int, int]] = ()
    """Slots that it was given, could not use in time, and gives back."""
    alone: bool = False
    """Whether it has so much to do that it would like to hand them out by itself."""
    lead: int = 0
    """Microseconds from now before which a slot is of no use: the answer takes so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What it gets."""

    places: int
    """How many requests it may have under way."""
    slots: Sequence[tuple[int, int]]
    """When it may send, and how many requests each time."""
    alone_until: int = 0
    """Until when it may hand out slots by itself; 0 when it may not."""


def grant(
    state: Any, wish: Wish, *, windows: Sequence[Window], concurrency: int, now: int
) -> tuple[dict[str, Any], Grant]:
    """Return what to note, and what the process gets."""
    noted = state if isinstance(state, dict) else {}
    users = {name: tuple(user) for name, user in noted.get("users", {}).items() if user[2] > now}
    taken = [(int(at), int(count)) for at, count in noted.get("taken", []) if at <= now + FARTHEST]
    owner, alone_until = noted.get("alone") or (wish.owner, 0)
    users[wish.owner] = (wish.busy, wish.busy + wish.waiting, now + GONE_AFTER)
    if owner != wish.owner and now < alone_until <= now + ALONE:
        return {**noted, "users": users}, Grant(places=wish.busy, slots=())
    if owner != wish.owner and windows and alone_until:  # it has died, or was late: who knows what it has handed out
        taken.append((_on_grid(min(alone_until, now)), windows[0].count))
    taken = _merged([*taken, *wish.used, *((at, -count) for at, count in wish.unused)])
    places = _places(users, wish, concurrency=concurrency, now=now)
    users[wish.owner] = (places, wish.busy + wish.waiting, now + GONE_AFTER)
    if wish.busy + wish.waiting == 0:
        del users[wish.owner]
    spaces, start = _spaces(windows), _on_grid(now + wish.lead)
    free = places - wish.busy - wish.holding
    slots = _slots(taken, min(wish.waiting - wish.holding, free), spaces=spaces, start=start)
    if not any(at > start for at, _ in slots):
        spare = min(wish.spare, free - sum(count for _, count in slots))
        slots += _slots([*taken, *slots], spare, spaces=spaces, start=start, last=start)
    longest = max((apart for _, apart in spaces), default=0)
    kept = [(at, count) for at, count in _merged([*taken, *slots]) if at + longest > now]
    until = now + ALONE if wish.alone and users.keys() <= {wish.owner} else 0
    after = {"taken": kept, "users": users, "alone": (wish.owner, until) if until else None}
    return after, Grant(places=places, slots=slots, alone_until=until)


def _slots(
    taken: Sequence[tuple[int, int]], wanted: int, *, spaces: Sequence[tuple[int, int]], start: int,
    last: int | None = None,
) -> list[tuple[int, int]]:  # fmt: skip
    """Return the next slots, in order, none after `last`.

    Slot k comes no sooner than a whole window after the last moment at which slot k - count may have been used: so no
    window of that length ever holds more than `count` requests, wherever it begins.
    """
    if not spaces:
        return [(start, wanted)] if wanted > 0 else []
    known, found = list(taken), list[tuple[int, int]]()
    while wanted > 0:
        at = max([start, *(at for at, _ in known[-1:]), *(_free_at(known, count, apart) for count, apart in spaces)])
        if last is not None and at > last:
            break
        count = min(wanted, *(count - _since(known, at - apart) for count, apart in spaces))
        known.append((at, count))
        found.append((at, count))
        wanted -= count
    return found


def _free_at(known: Sequence[tuple[int, int]], count: int, apart: int) -> int:
    """Return when a window has room for one more; 0 when it always has."""
    for at, slots in reversed(known):
        count -= slots
        if count <= 0:
            return at + apart
    return 0


def _since(known: Sequence[tuple[int, int]], moment: int) -> int:
    """Return how many slots lie after a moment."""
    total = 0
    for at, count in reversed(known):
        if at <= moment:
            break
        total += count
    return total


def _spaces(windows: Sequence[Window]) -> list[tuple[int, int]]:
    """Return how many slots may lie how close together."""
    late = lateness(windows)
    return [(window.count, window.apart(late)) for window in windows]


def _merged(slots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return slots in order, those of one time together, without those that were given back."""
    found: dict[int, int] = {}
    for at, count in sorted(slots):
        found[at] = found.get(at, 0) + count
    return [(at, count) for at, count in found.items() if count > 0]


def _on_grid(moment: int) -> int:
    """Return the next time on the grid."""
    return -(-moment // GRID) * GRID


def _places(users: dict[str, tuple[Any, ...]], wish: Wish, *, concurrency: int, now: int) -> int:
    """Return how many requests a process may have under way: what is free, and while others want, its fair share."""
    others = {name: user for name, user in users.items() if name != wish.owner}
    wanted = wish.busy + wish.waiting
    if any(user[1] > user[0] for user in others.values()):
        wanted = min(wanted, _fair(sorted([*others, wish.owner]), wish.owner, concurrency=concurrency, now=now))
    free = concurrency - sum(user[0] for user in others.values())
    return int(max(wish.busy, min(wanted, free), 0))


def _fair(names: Sequence[str], owner: str, *, concurrency: int, now: int) -> int:
    """Return a process's share; what cannot be divided goes round, so that one place serves any number of them."""
    share, rest = divmod(concurrency, len(names))
    return share + ((names.index(owner) + now // TURN) % len(names) < rest)


def _window(rate: float, seconds: float) -> Window:
    """Return a rate as a window of whole requests, of as nearly the given length as that allows."""
    rate = max(rate, 1e-3)
    count = max(1, int(rate))
    return Window(count=count, seconds=count * seconds / rate)
