"""What an attempt keeps of each request: who was asked, how it ended, and the shapes of what was sent and answered."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from yarl import URL

from connectors.shapes import MAX_BYTES, shape_of, shape_of_query


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer, without secrets and personal data, as kept with the attempt.

    `connection` is whose request it was; empty for one to the billing platform.
    """

    method: str
    url: str
    status: int | None
    milliseconds: float
    request_id: str | None = None
    error: str | None = None
    connection: str = ""
    sent: Any = None
    """The shapes of query and body (connectors/shapes.py), in an exchange that is told whole."""
    answered: Any = None
    """The shape of the answer's body."""
    _begun: float = field(default=0.0, repr=False, compare=False)
    """When it was sent, by perf_counter; kept in memory only."""
    _bodies: tuple[URL, bytes | int | None, bytes | int | None] | None = field(default=None, repr=False, compare=False)
    """What the shapes are made of; kept in memory only, while the attempt runs."""

    @property
    def begun(self) -> float:
        """Return when it was sent, by perf_counter, while its attempt runs."""
        return self._begun

    def whole(self) -> "Exchange":
        """Return it with the shapes of what was sent and answered."""
        if self._bodies is None:
            return self
        url, body, answer = self._bodies
        sent = {
            **({"query": shape_of_query(url.query)} if url.raw_query_string else {}),
            **({"body": shape_of(body)} if body else {}),
        }
        told = shape_of(answer) if answer else None
        return replace(self, sent=sent or None, answered=told, _bodies=None)


EXCHANGES: ContextVar[list[Exchange] | None] = ContextVar("exchanges", default=None)
"""The list into which the running attempt wants its exchanges; None outside of an attempt."""


def note(
    method: str,
    url: URL,
    *,
    status: int | None,
    begun: float,
    request_id: str | None,
    error: str | None,
    connection: str = "",
    body: bytes | None = None,
    answer: bytes | None = None,
) -> None:
    """Keep an exchange for the running attempt. Query and bodies may hold personal data: see `Exchange.whole`."""
    exchanges = EXCHANGES.get()
    if exchanges is not None and len(exchanges) < 100:
        plain = not (url.raw_query_string or url.raw_fragment or url.raw_user)
        where = str(url if plain else url.with_query(None).with_fragment(None).with_user(None))
        taken = round((time.perf_counter() - begun) * 1000, 2)
        exchanges.append(
            Exchange(
                method=method, url=where, status=status, milliseconds=taken, request_id=request_id, error=error,
                connection=connection, _begun=begun, _bodies=(url, _small(body), _small(answer)),
            )
        )  # fmt: skip


def _small(body: bytes | None) -> bytes | int | None:
    """Return a body that is worth being kept for its shape; of a large one its size."""
    return body if body is None or len(body) <= MAX_BYTES else len(body)
