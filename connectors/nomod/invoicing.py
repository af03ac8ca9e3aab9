"""Invoices in Nomod: found by number and customer, created once, cancelled. There is no idempotency key."""

from collections.abc import Sequence
from urllib.parse import quote

import orjson

from connectors.errors import (
    ConnectorError,
    LookupImpossibleError,
    NotOfferedError,
    RejectedError,
    StaleCustomerError,
    StaleRecordError,
    UnexpectedResponseError,
)
from connectors.http import JsonApi, Reply
from connectors.invoice_errors import InvoicePaidError, NumberTakenError
from connectors.invoices import CreatedInvoice, Invoice, InvoiceCandidate, InvoiceStatus
from connectors.models import CreateIntent
from connectors.nomod.errors import Refusal, classify_create, names_nobody, read_refusal
from connectors.nomod.invoices import (
    INVOICE_FIELDS,
    InvoiceRow,
    Terms,
    draft_invoice,
    filed_number,
    read_invoice,
)
from connectors.nomod.paging import Listing, RefusedQueryError, TooManyRowsError, walk
from connectors.nomod.rows import RECORD_ID

INVOICES = "/v1/invoices"


def not_offered(reply: Reply) -> bool:
    """Whether the account has no API for invoices, or the key may not use it: its customers are none the worse."""
    if reply.status == 403:
        return reply.is_json and read_refusal(reply).code != "not_authenticated"
    return reply.status in {404, 405, 501}


LISTING = Listing(path=INVOICES, noun="invoices", read=InvoiceRow.read, absent=not_offered)


class Invoicing:
    """The invoices of one connection."""

    def __init__(self, api: JsonApi, terms: Terms) -> None:
        self._api, self._terms = api, terms

    async def find(self, invoice: Invoice, customer_record: str) -> Sequence[InvoiceCandidate]:
        """Return the customer's invoices with this number, each read by its id: a list's row names no customer.

        Every row is compared here, since a filter may be ignored. Raises NotOfferedError, LookupImpossibleError.
        """
        number = filed_number(invoice)
        try:
            rows = await self._rows(number, customer_record)
        except TooManyRowsError as error:
            raise LookupImpossibleError(
                f"{error.args[0]} invoices are too many to read through, and the API does not narrow its list"
            ) from error
        found = [await self.get(row.id) for row in rows if row.number == number]
        if None in found:
            raise UnexpectedResponseError("an invoice was listed, and is gone")
        return [each for each in found if each is not None]

    async def _rows(self, number: str, customer_record: str) -> list[InvoiceRow]:
        """Return the rows of the narrow list, of the whole one where the API refuses the filters."""
        try:
            query = {"invoice_number": number, "customer_id": customer_record}
            return await walk(self._api, query, listing=LISTING)
        except RefusedQueryError:
            return await walk(self._api, {}, listing=LISTING)

    async def get(self, record: str) -> InvoiceCandidate | None:
        """Return the invoice, or None. Text that can be no id is not asked for."""
        if not RECORD_ID.fullmatch(record):
            return None
        reply = await self._api.request(
            "GET", f"{INVOICES}/{quote(record, safe='')}", accept_error=lambda got: names_nobody(got, record)
        )  # fmt: skip
        if reply.status >= 400:
            return None
        found = read_invoice(reply.exact_json())
        if found.provider_entity_id.casefold() != record.casefold():
            raise UnexpectedResponseError("another invoice came back than the one asked for")
        return found

    async def create(self, invoice: Invoice, customer_record: str, intent: CreateIntent) -> CreatedInvoice:
        """Create the invoice with one POST."""
        draft = draft_invoice(invoice, customer_record=customer_record, started_at=intent.started_at, terms=self._terms)
        reply = await self._api.request(
            "POST", INVOICES, body=orjson.dumps(draft.body), accept_error=lambda got: got.status != 429
        )
        refusal = read_refusal(reply, sent=_texts(draft.body), fields=INVOICE_FIELDS)
        error = _classify(reply, refusal)
        if error is not None:
            raise error
        return CreatedInvoice(record=read_invoice(reply.exact_json()), warnings=draft.warnings)

    async def void(self, record: str) -> None:
        """Cancel the invoice; one that is cancelled already is left alone."""
        reply = await self._api.request(
            "PATCH", f"{INVOICES}/{quote(record, safe='')}/edit", body=orjson.dumps({"status": "cancelled"}),
            accept_error=lambda got: got.status in {400, 404, 409, 422} and got.is_json,
        )  # fmt: skip
        if reply.status < 400:
            return
        now = await self.get(record)
        if now is None:
            raise StaleRecordError(f"Nomod has no invoice {record}")
        if now.status is InvoiceStatus.PAID:
            raise InvoicePaidError(f"HTTP {reply.status}: invoice {record} was paid in Nomod")
        if now.status is not InvoiceStatus.VOID:
            raise RejectedError(f"HTTP {reply.status}: Nomod does not cancel an invoice that is {now.status}")


def _classify(reply: Reply, refusal: Refusal) -> ConnectorError | None:
    """Sort the answer to a create. Refusals in JSON are definite: nothing was created."""
    if not_offered(reply):
        return NotOfferedError(f"HTTP {reply.status} for {INVOICES}")
    definite = reply.status in {400, 409, 422}
    if definite and refusal.code == "invalid_customer":
        return StaleCustomerError(f"HTTP {reply.status} invalid_customer", provider_code=refusal.code)
    taken = "already_exists" in refusal.code or "already exists" in refusal.message.lower()
    if definite and taken and ("invoice_number" in refusal.fields or not refusal.fields):
        return NumberTakenError(f"HTTP {reply.status}: the invoice number is taken", provider_code=refusal.code)
    return classify_create(reply, refusal)


def _texts(body: object) -> list[str]:
    """Return every text that is sent, for taking it out of the answer's words."""
    if isinstance(body, str):
        return [body]
    if isinstance(body, dict):
        return [text for value in body.values() for text in _texts(value)]
    return [text for value in body for text in _texts(value)] if isinstance(body, list) else []
