"""Tithely and polled sources on a rig: what the tests of both pollers start from."""

import asyncio
import time
from typing import Any

from pydantic import SecretStr

from gateway import keys
from gateway.configuration.specs import SourceSpec
from gateway.pipeline.poll_state import PollState, load_state
from gateway.sandbox.sender import Mode
from gateway.sources.base import PollConfig, Verification
from tests.configuring import ENVIRONMENT, SOURCE, TENANT
from tests.harness import Rig
from tests.invariants import every

TITHELY = "tithely-main"
LIST, CHARGE, SEARCH = "GET /api/v1/charges-list", "GET /api/v1/charges/*", "POST */invoices/search"
HOUR = 3600.0


def poll_config(rig: Rig, **changes: Any) -> PollConfig:
    """The settings under which the rig's Tithely is polled."""
    known: dict[str, Any] = {
        "public_key": rig.tithely.public_key, "private_key": SecretStr(rig.tithely.private_key),
        "organization_id": rig.tithely.organization_id, "base_url": rig.tithely.api_url,
    }  # fmt: skip
    return PollConfig(**{**known, **changes})


def tithely_spec(rig: Rig, **spec: Any) -> SourceSpec:
    """Tithely as a source whose envelopes this rig signs."""
    known: dict[str, Any] = {
        "name": TITHELY, "platform": "tithely", "tenant_id": TENANT, "environment_id": ENVIRONMENT,
        "verification": Verification.STANDARD_WEBHOOKS, "secrets": (SecretStr(rig.secret),),
    }  # fmt: skip
    return SourceSpec(**{**known, **spec})


async def add_tithely(rig: Rig, **spec: Any) -> None:
    """Configure Tithely as a source."""
    await rig.put_source(tithely_spec(rig, **spec))
    wake(rig)


def wake(rig: Rig) -> None:
    """Have every poller look at the clock."""
    for node in rig.nodes:
        if keys.POLLER in node.app:
            node.app[keys.POLLER].wake()


def jane_gives(rig: Rig, **gift: Any) -> str:
    """Take a gift of Jane's, always from the same account; return the id of the charge."""
    known = (key for key, account in rig.tithely.accounts.items() if account["email"] == "jane@example.com")
    jane = next(known, None) or rig.tithely.add_donor(first_name="Jane", last_name="Doe", email="jane@example.com")
    return rig.tithely.add_gift(donor_id=jane, **gift)


async def give(rig: Rig, *, with_donor_id: bool = True, **gift: Any) -> str:
    """Take a gift and send its envelope; return the id of the delivery."""
    event = rig.tithely.event(rig.tithely.add_gift(**gift), with_donor_id=with_donor_id)
    return await rig.send(event, source=TITHELY, mode=Mode.WEBHOOK)


async def begun(rig: Rig, source: str) -> PollState:
    """Wait until a source was seen by the poller for the first time."""
    deadline = time.monotonic() + 30
    while True:
        state = await load_state(rig.store, source)
        if state is not None:
            return state
        assert time.monotonic() < deadline, "the poller has never come"
        await asyncio.sleep(0.02)


async def looked(
    rig: Rig, source: str, *, after: PollState | None = None, ahead: float = 0.0, by: float | None = None
) -> PollState:
    """Move the clock to a source's next look, and `ahead` seconds further, and wait until it was done.

    `by` seconds, where given, are how far the clock is moved instead.
    """
    before = after or await begun(rig, source)
    wait = (before.next_at - rig.now()).total_seconds()
    rig.clock.advance(max(0.0, wait) + ahead + 0.01 if by is None else by)
    wake(rig)
    deadline = time.monotonic() + 30
    while True:
        state = await load_state(rig.store, source)
        if state is not None and state.looked_at != before.looked_at and state.next_at != before.next_at:
            return state
        assert time.monotonic() < deadline, "the poller has not looked"
        await asyncio.sleep(0.02)


async def first_look(rig: Rig, source: str = TITHELY) -> PollState:
    """Wait for the look that an eager source has at once."""
    deadline = time.monotonic() + 30
    while True:
        state = await load_state(rig.store, source)
        if state is not None and state.looked_at is not None:
            return state
        assert time.monotonic() < deadline, "the poller has not looked"
        await asyncio.sleep(0.02)


async def keys_of(rig: Rig, source: str = SOURCE) -> list[str]:
    """The delivery keys of a source, sorted."""
    return sorted(delivery.delivery_key for delivery in await every(rig.store.list_deliveries, source=source))


def looks(rig: Rig) -> int:
    """How often Tithely was asked for the beginning of its list."""
    return sum("starting_after" not in call.query for call in rig.tithely.calls_of(LIST))
