"""A Tithely source on its own, and envelopes for it: what its unit tests start from."""

from typing import Any

import orjson

from connectors.base import utc_now
from connectors.models import Customer
from gateway.sources.base import SourceConfig, SourceHost, Verification
from gateway.sources.signing import new_secret
from gateway.sources.tithely import TithelySource


def source(**options: Any) -> TithelySource:
    """A source; its methods that need no network need no session."""
    config = SourceConfig(
        name="tithely-main", platform="tithely", tenant_id="tenant_123", environment_id="prod",
        verification=Verification.STANDARD_WEBHOOKS, secrets=(new_secret(),), options=options,
    )  # fmt: skip
    return TithelySource(config, SourceHost(session=None, now=utc_now))  # type: ignore[arg-type]


def envelope(**data: Any) -> dict[str, Any]:
    """The envelope of a gift: Jane's, with these fields instead."""
    gift = {"transaction_id": "ch_1", "amount": "2500", "currency": "USD", **data}
    return {"type": "transaction.created", "timestamp": "2026-01-20T10:30:00Z", "data": gift}


def identity(**data: Any) -> str:
    """Who a gift with these fields is from."""
    return source().parse(orjson.dumps(envelope(**data))).customer_id or ""


async def read(**data: Any) -> Customer:
    """The customer of a gift with these fields."""
    adapter = source()
    event = adapter.parse(orjson.dumps(envelope(**data)))
    return await adapter.customer(event.customer_id or "", event)
