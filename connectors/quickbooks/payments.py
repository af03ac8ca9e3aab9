"""QuickBooks' payments: what was received, and for which invoices.

https://developer.intuit.com/app/developer/qbo/docs/api/accounting/all-entities/payment. A line's `LinkedTxn` names what
it pays; a void payment has kept its lines and lost its amounts.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from connectors.errors import StaleRecordError, UnexpectedResponseError
from connectors.money import MoneyError, parse
from connectors.payments import PaidFor, PaidKind, Payment, PaymentStatus
from connectors.quickbooks.client import QuickBooksApi, Row, record_in
from connectors.quickbooks.customers import moment_of
from connectors.quickbooks.faults import NOT_FOUND

ENTITY, INVOICE = "Payment", "Invoice"


async def get_payment(api: QuickBooksApi, record: str, *, home_currency: str) -> Payment | None:
    """Return a payment by its Id, or None where QuickBooks knows none. Raises ConnectorError kinds."""
    if not (record.isascii() and record.isdigit() and len(record) <= 20):
        return None
    try:
        row = record_in(await api.read(f"payment/{record}"), ENTITY)
    except StaleRecordError as error:
        if error.provider_code != str(NOT_FOUND):
            raise
        return None
    return read_payment(row, home_currency=home_currency)


def read_payment(row: Row, *, home_currency: str) -> Payment:
    """Read a payment. Raises UnexpectedResponseError where an amount cannot be read."""
    currency, meta = row.get("CurrencyRef"), row.get("MetaData")
    named = currency.get("value") if isinstance(currency, Mapping) else None
    paid_for = tuple(_paid_for(row))
    settled = _amount(row.get("TotalAmt")) > 0 or bool(paid_for)
    return Payment(
        provider_entity_id=str(row["Id"]),
        currency=named.upper() if isinstance(named, str) and named else home_currency,
        status=PaymentStatus.SETTLED if settled else PaymentStatus.FAILED,
        paid_for=paid_for,
        paid_at=moment_of(meta.get("CreateTime")) if isinstance(meta, Mapping) else None,
    )


def _paid_for(row: Row) -> Iterator[PaidFor]:
    lines = row.get("Line")
    for line in lines if isinstance(lines, list) else ():
        amount = _amount(line.get("Amount")) if isinstance(line, Mapping) else Decimal(0)
        linked = line.get("LinkedTxn") if isinstance(line, Mapping) else None
        invoices = [each for each in linked if _is_invoice(each)] if isinstance(linked, list) else []
        if len(invoices) == 1 and amount > 0:
            yield PaidFor(kind=PaidKind.INVOICE, provider_entity_id=str(invoices[0]["TxnId"]), amount=amount)


def _is_invoice(linked: Any) -> bool:
    return isinstance(linked, Mapping) and linked.get("TxnType") == INVOICE and bool(linked.get("TxnId"))


def _amount(value: object) -> Decimal:
    try:
        return parse(0 if value is None else value)
    except MoneyError as error:
        raise UnexpectedResponseError("a payment in the answer has no readable amount") from error
