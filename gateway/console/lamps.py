"""A light with a word for every source and connection: what it does now, and since when."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.breaker import Circuit
from gateway.console.words import BAD, GOOD, QUIET, WARN
from gateway.registry import LiveConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """A tone, a shape, a word, and a sentence with an optional time at its end."""

    tone: str
    shape: str
    word: str
    more: str = ""
    at: datetime | None = None


def source_lamp(source: Mapping[str, Any], *, now: datetime) -> Lamp:
    """Return how a source stands, from its view."""
    if source["problem"]:
        return Lamp(tone=BAD, shape="cross", word="Unusable", more=str(source["problem"]))
    if source["status"] != "active":
        return Lamp(tone=QUIET, shape="pause", word="Disabled", more="Its sender gets 404.")
    accepted, refused = _time(source["last_accepted_at"]), source["last_rejected"]
    refused_at = _time(refused["time"]) if refused else None
    if refused_at is not None and (accepted is None or refused_at > accepted):
        return Lamp(tone=WARN, shape="warn", word="Refusing", more=f"Last refused ({refused['reason']})", at=refused_at)
    polling = source["polling"]
    if polling and polling["last_poll_error"]:
        wrong = polling["last_poll_error"]
        return Lamp(
            tone=WARN, shape="warn", word="Polling fails", more=f"Last look ({wrong['code']})", at=_time(wrong["at"])
        )
    if polling and polling["last_polled_at"] and accepted is None:
        return Lamp(tone=GOOD, shape="check", word="Polling", more="Last looked", at=_time(polling["last_polled_at"]))
    if accepted is None:
        return Lamp(tone=QUIET, shape="dash", word="Not heard yet")
    return Lamp(tone=GOOD, shape="check", word="Receiving", more="Last accepted", at=min(accepted, now))


def connection_lamp(
    connection: Mapping[str, Any], live: LiveConnection | None, *, unconsented: AbstractSet[str]
) -> Lamp:
    """Return how a connection stands, from its view and from what this process knows of it.

    `unconsented` names those to which nobody has consented yet.
    """
    if connection["status"] == "paused":
        detail = f": {connection['pause_detail']}" if connection["pause_detail"] else ""
        return Lamp(tone=WARN, shape="pause", word="Paused", more=f"{connection['pause_reason']}{detail}")
    if live is None:
        return Lamp(tone=QUIET, shape="clock", word="Starting")
    if live.problem is not None:
        return Lamp(tone=BAD, shape="cross", word="Unusable", more=live.problem.detail)
    if connection["name"] in unconsented:
        return Lamp(tone=WARN, shape="warn", word="Needs consent", more="Nobody has connected a company yet.")
    if live.breaker.held_for > 0:
        return Lamp(tone=WARN, shape="clock", word="Held back", more="The provider has asked for a pause.")
    if live.breaker.state is not Circuit.CLOSED:
        return Lamp(tone=WARN, shape="warn", word="Not answering", more="The provider fails; one job probes it.")
    return Lamp(tone=GOOD, shape="check", word="Active")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
