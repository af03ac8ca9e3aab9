"""Nomod's charges as payments: what was paid on an invoice or a link. Card data is dropped unread.

https://www.nomod.com/docs/api-reference/fetch-charge. `link` and `invoice` inside a charge were seen live and are in no
document; a charge without them is money for something else.
"""

from collections.abc import Mapping
from urllib.parse import quote

from connectors.errors import UnexpectedResponseError
from connectors.http import JsonApi
from connectors.money import MoneyError, parse
from connectors.nomod.errors import names_nobody
from connectors.nomod.rows import RECORD_ID, moment, readable_id, unwrapped
from connectors.payments import PaidFor, PaidKind, Payment, PaymentStatus

CHARGES = "/v1/charges"
STATUSES = {
    "paid": PaymentStatus.SETTLED, "refunded": PaymentStatus.RETURNED, "partially_refunded": PaymentStatus.RETURNED,
    "failed": PaymentStatus.FAILED, "cancelled": PaymentStatus.FAILED,
}  # fmt: skip
"""`created`, `authorised`, `disputed` and whatever is new are not to be counted on."""


async def get_charge(api: JsonApi, record: str) -> Payment | None:
    """Return a charge as a payment, or None where Nomod says that there is none. Raises ConnectorError kinds."""
    if not RECORD_ID.fullmatch(record):
        return None
    reply = await api.request(
        "GET", f"{CHARGES}/{quote(record, safe='')}", accept_error=lambda got: names_nobody(got, record)
    )
    if reply.status >= 400:
        return None
    found = read_charge(unwrapped(reply.exact_json()))
    if found.provider_entity_id.casefold() != record.casefold():
        raise UnexpectedResponseError("another charge came back than the one asked for")
    return found


def read_charge(value: object) -> Payment:
    """Read a charge: ids, sum, status and time, and nothing else. Raises UnexpectedResponseError."""
    if not isinstance(value, Mapping):
        raise UnexpectedResponseError("a charge in the answer is no object")
    currency = value.get("currency")
    try:
        total = parse(value.get("total"))
    except MoneyError as error:
        raise UnexpectedResponseError("a charge in the answer has no readable total") from error
    kinds = (("link", PaidKind.PAYMENT_LINK), ("invoice", PaidKind.INVOICE))
    paid_for = tuple(
        PaidFor(kind=kind, provider_entity_id=record, amount=total)
        for name, kind in kinds
        if (record := _record(value.get(name)))
    )
    return Payment(
        provider_entity_id=readable_id(value),
        currency=currency.strip().upper() if isinstance(currency, str) else "",
        status=STATUSES.get(str(value.get("status") or "").lower(), PaymentStatus.PENDING),
        paid_for=paid_for[:1],
        paid_at=moment(value.get("created")),
    )


def _record(value: object) -> str:
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) and RECORD_ID.fullmatch(found) else ""
