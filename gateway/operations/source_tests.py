"""A source tried out: a harmless event, really signed, posted through the HTTP door, and followed to its end."""

import asyncio
import secrets as randomness
from collections.abc import Callable
from datetime import datetime
from typing import Any

import aiohttp
import orjson

from gateway.egress import new_session
from gateway.errors import GatewayUnreachableError
from gateway.operations.times import stamp
from gateway.sources.base import SourceConfig, signed_headers
from storage import Store
from storage.errors import NotFoundError
from storage.records import DeliveryStatus

TEST_EVENT = "ledgergate.test"
ANSWER_SECONDS = 15.0
OUTCOME_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_MAX_ANSWER = 64 * 1024


async def send(config: SourceConfig, store: Store, *, url: str, now: Callable[[], datetime]) -> dict[str, Any]:
    """Post a test event to the gateway at `url` and return how it was answered and what became of it.

    The event's type triggers nothing on any platform: the delivery ends as `ignored`. `accepted` says whether the
    signature was taken; `status` is the HTTP status, `delivery_status` stays `pending` where no worker runs. Raises
    GatewayUnreachableError.
    """
    token, moment = randomness.token_hex(12), now()
    body = orjson.dumps(
        {"id": f"test_{token}", "type": TEST_EVENT, "event_type": TEST_EVENT, "timestamp": stamp(moment), "data": {}}
    )
    address = f"{url.rstrip('/')}/webhooks/{config.name}"
    status, answer = await _post(
        address, body, signed_headers(config, body, message_id=f"msg_test_{token}", timestamp=int(moment.timestamp()))
    )
    delivery_id = answer.get("delivery_id") if status in (200, 202) else None
    result: dict[str, Any] = {
        "source": config.name,
        "url": address,
        "event_type": TEST_EVENT,
        "accepted": isinstance(delivery_id, str),
        "status": status,
        "code": answer.get("code"),
        "detail": answer.get("detail"),
        "delivery_id": delivery_id,
        "delivery_status": None,
        "reason": None,
    }
    if isinstance(delivery_id, str):
        result |= await _outcome(store, delivery_id)
    return result


async def _post(address: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Post to our own door. It may well lie on loopback, whatever providers are allowed to."""
    try:
        async with (
            new_session(allow_private=True) as session,
            session.post(
                address, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            ) as answered,
        ):  # fmt: skip
            content = await answered.content.read(_MAX_ANSWER)
            status = answered.status
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
        msg = f"{address}: {type(error).__name__}"
        raise GatewayUnreachableError(msg) from None
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        msg = f"{address}: HTTP {status}, and no answer of a gateway"
        raise GatewayUnreachableError(msg)
    return status, found


async def _outcome(store: Store, delivery_id: str) -> dict[str, Any]:
    """Wait a little for the delivery's end. Another database than the gateway's does not know it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + OUTCOME_SECONDS
    while True:
        try:
            delivery = await store.get_delivery(delivery_id)
        except NotFoundError:
            return {"delivery_status": None, "reason": "the gateway at this address uses another database"}
        if delivery.status is not DeliveryStatus.PENDING or loop.time() >= deadline:
            return {"delivery_status": str(delivery.status), "reason": delivery.reason}
        await asyncio.sleep(_LOOK_SECONDS)
