"""An alert posted to a URL, signed as Standard Webhooks: the same id in every try, no redirect followed.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Sequence
from datetime import datetime

import aiohttp
import orjson

from connectors.errors import AddressRefusedError
from connectors.replies import transport_error
from gateway.alerts.wording import rfc3339
from gateway.configuration.channels import checked_hook
from gateway.errors import AlertAddressError, AlertNotDeliveredError
from gateway.sources.signing import sign
from storage.records import AlertMessage

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=10)
JSON = "application/json"


async def post(
    session: aiohttp.ClientSession, url: str, secrets: Sequence[str], message: AlertMessage, *, now: datetime
) -> None:
    """Post a message; any 2xx is a receipt. Raises AlertNotDeliveredError, AlertAddressError; neither tells the URL."""
    body = orjson.dumps(payload(message))
    headers = {**signed(secrets, message.message_id, body, now=now), "Content-Type": JSON}
    try:
        async with session.post(
            checked_hook(url), data=body, headers=headers, allow_redirects=False, timeout=TIMEOUT
        ) as answer:
            status = answer.status
    except (aiohttp.ClientError, OSError, ValueError) as error:
        told = transport_error(error)
        if isinstance(told, AddressRefusedError):
            raise AlertAddressError from None
        raise AlertNotDeliveredError(told.detail) from None
    if not 200 <= status < 300:
        raise AlertNotDeliveredError(f"HTTP {status}")


def payload(message: AlertMessage) -> dict[str, object]:
    """Return the body. `text` is one line for chat tools, `data` is for programs."""
    told = message.content
    return {
        "type": f"alert.{message.event}", "timestamp": rfc3339(message.created_at), "text": told["title"], "data": told,
    }  # fmt: skip


def signed(secrets: Sequence[str], message_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """Return the signature's headers; every secret signs, so that a receiver may change over in its own time."""
    each = [sign(secret, message_id=message_id, timestamp=int(now.timestamp()), body=body) for secret in secrets]
    return {**each[0], "webhook-signature": " ".join(headers["webhook-signature"] for headers in each)}
