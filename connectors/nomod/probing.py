"""Finding out, by reading only, whether the list of customers can be narrowed to one e-mail address."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import orjson

from connectors.http import JsonApi
from connectors.nomod.config import LookupMode
from connectors.nomod.paging import CUSTOMER_LIST, CUSTOMERS, envelope
from connectors.nomod.rows import Row, moment

PARAMETERS = {LookupMode.FILTER: "email", LookupMode.SEARCH: "search"}
"""The query parameter of each way, in the order of preference."""
VALID_FOR = timedelta(hours=24)
_SAMPLE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a probe found. `decided` is false when the account had nothing to try it on."""

    mode: LookupMode
    why: str
    at: datetime
    account: str
    decided: bool = True

    def holds(self, now: datetime, account: str) -> bool:
        """Whether it can still be relied on: for this key and address, and not older than a day."""
        return self.decided and self.account == account and timedelta(0) <= now - self.at < VALID_FOR

    def dump(self) -> str:
        """Return it as text, for the connection's memory."""
        facts = {"mode": self.mode, "why": self.why, "at": self.at.isoformat(), "account": self.account}
        return orjson.dumps(facts).decode()

    @classmethod
    def load(cls, text: str | None) -> Self | None:
        """Read what `dump` wrote; None for anything else."""
        try:
            facts: Any = orjson.loads(text or "")
        except orjson.JSONDecodeError:
            return None
        if not isinstance(facts, dict) or (at := moment(facts.get("at"))) is None:
            return None
        mode, why, account = facts.get("mode"), facts.get("why"), facts.get("account")
        if not isinstance(mode, str) or not isinstance(why, str) or not isinstance(account, str):
            return None
        if mode not in {*PARAMETERS, LookupMode.SCAN}:
            return None
        return cls(mode=LookupMode(mode), why=why, at=at, account=account)


async def probe(api: JsonApi, *, now: datetime, account: str) -> Finding:
    """Try `email=` and `search=` and return the best way that works. Raises ConnectorError kinds.

    The API ignores parameters that it does not know, and answers with the whole list. So a way counts only when an
    address that nobody has brings nothing, and a known customer's address, with the case of its letters swapped,
    brings that customer: one that tells letters apart would miss what people typed otherwise.
    """
    rows = await _sample(api, {"page_size": str(_SAMPLE)})
    if rows is None or not rows.total:
        return Finding(mode=LookupMode.SCAN, why="no customers to try it on", at=now, account=account, decided=False)
    known = next((row for row in rows.rows if row.email.swapcase() != row.email), None)
    if known is None:
        return Finding(mode=LookupMode.SCAN, why="no e-mail to try it on", at=now, account=account, decided=False)
    reasons = []
    for mode, parameter in PARAMETERS.items():
        stranger = await _sample(api, {parameter: f"probe-{uuid.uuid4()}@example.invalid", "page_size": "1"})
        if stranger is None or stranger.total or stranger.rows:
            reasons.append(f"`{parameter}` is ignored")
            continue
        found = await _sample(api, {parameter: known.email.swapcase(), "page_size": str(_SAMPLE)})
        if found is not None and any(row.id == known.id for row in found.rows):
            return Finding(mode=mode, why=f"`{parameter}` works", at=now, account=account)
        reasons.append(f"`{parameter}` misses a known customer")
    return Finding(mode=LookupMode.SCAN, why=", ".join(reasons), at=now, account=account)


@dataclass(frozen=True, slots=True)
class _Sample:
    total: int
    rows: list[Row]


async def _sample(api: JsonApi, query: Mapping[str, str]) -> _Sample | None:
    """Return the first rows of a list; None when a narrowing parameter was refused."""
    narrowed = any(parameter in query for parameter in PARAMETERS.values())
    reply = await api.request(
        "GET", CUSTOMERS, query={"page": "1", **query},
        accept_error=lambda got: narrowed and got.status in {400, 404, 422} and got.is_json,
    )  # fmt: skip
    if reply.status >= 400:
        return None
    page = envelope(reply, CUSTOMER_LIST)
    return _Sample(page.total, page.rows)
