"""What is remembered about looking at a source: the watermark, when it was looked at, and what went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from storage import Store

FACT = "poll"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollState:
    """One source's looks so far. `failures` counts those since the last one that went well."""

    began: datetime
    """When the source was first seen; nothing from before it is asked for, but the overlap of an eager feed."""
    watermark: datetime
    """Up to when everything was found."""
    next_at: datetime
    """When the next look is due."""
    looked_at: datetime | None = None
    """When a look was last begun."""
    polled_at: datetime | None = None
    """When a look last went well."""
    long_at: datetime | None = None
    """When a look last went back by the feed's long overlap."""
    delivered: int = 0
    """How many deliveries the last good look has made."""
    failures: int = 0
    error: Mapping[str, str] | None = None
    """`at`, `code` and `detail` of the last failure; None once all is well."""


_TIMES = ("began", "watermark", "next_at", "looked_at", "polled_at", "long_at")


def _owner(source: str) -> str:
    return f"source:{source}"


async def load_state(store: Store, source: str) -> PollState | None:
    """Return what is known of a source's looks; None before the first. Raises StoreUnavailableError."""
    text = await store.get_fact(_owner(source), FACT)
    if text is None:
        return None
    known: dict[str, Any] = orjson.loads(text)
    times = {name: datetime.fromisoformat(known[name]) if known.get(name) else None for name in _TIMES}
    rest = {name: known[name] for name in ("delivered", "failures", "error")}
    return PollState(**times, **rest)  # type: ignore[arg-type]  # the first three are always there


async def save_state(store: Store, source: str, state: PollState, *, now: datetime) -> None:
    """Keep the state. Raises StoreUnavailableError."""
    known: dict[str, Any] = {
        name: moment.astimezone(UTC).isoformat() if (moment := getattr(state, name)) is not None else None
        for name in _TIMES
    }
    known |= {"delivered": state.delivered, "failures": state.failures, "error": state.error}
    await store.put_fact(_owner(source), FACT, orjson.dumps(known).decode(), now=now)


async def poll_state(store: Store, source_name: str) -> dict[str, Any]:
    """Return what to show of a source's looks for events that no webhook told of; empty when it never had any.

    `last_polled_at`, `next_poll_at`, `watermark` as RFC 3339 text or None; `last_poll_delivered`; `last_poll_error` as
    `at`, `code`, `detail`, or None when the last look went well. Raises StoreUnavailableError.
    """
    state = await load_state(store, source_name)
    if state is None:
        return {}
    error = {**state.error, "at": _shown(datetime.fromisoformat(state.error["at"]))} if state.error else None
    return {
        "last_polled_at": _shown(state.polled_at), "next_poll_at": _shown(state.next_at),
        "watermark": _shown(state.watermark), "last_poll_delivered": state.delivered,
        "last_poll_error": error,
    }  # fmt: skip


def _shown(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
