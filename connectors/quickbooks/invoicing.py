"""Invoices in QuickBooks: found by number, created once under a request id, voided."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from connectors.base import Host
from connectors.errors import (
    ConfigurationError,
    ConnectorError,
    LookupImpossibleError,
    NotOfferedError,
    OutcomeUnknownError,
    PermissionRefusedError,
    ProviderError,
    RejectedError,
    StaleCustomerError,
    StaleRecordError,
)
from connectors.invoice_errors import (
    CurrencyRefusedError,
    CustomerReturnedError,
    InvoicePaidError,
    StaleItemError,
    TaxCodeMissingError,
)
from connectors.invoices import CreatedInvoice, Document, Invoice, InvoiceCandidate, InvoiceStatus
from connectors.models import CreateIntent
from connectors.quickbooks import queries
from connectors.quickbooks.client import QuickBooksApi, Row, before_writing, record_in
from connectors.quickbooks.company import REFUSED, UNITED_STATES, Company
from connectors.quickbooks.config import QuickBooksConfig
from connectors.quickbooks.customers import emails_in
from connectors.quickbooks.faults import BUSINESS_RULE, CUSTOMER_INACTIVE, NOT_FOUND, STALE_TOKEN, NoSuchPageError
from connectors.quickbooks.invoices import (
    DISCOUNT,
    ENTITIES,
    RECEIPT,
    InvoiceDraft,
    TaxRules,
    draft_invoice,
    filed_number,
    has_room_for_discount,
    is_paid,
    read_invoice,
)
from connectors.quickbooks.items import Items
from connectors.quickbooks.lookup import CLOCK_SLACK, CustomerFinder
from connectors.quickbooks.names import same_name

LINK = "invoiceLink"
TAXED, UNTAXED = "TAX", "NON"
"""The two codes that lines have in the United States."""
EXCLUDED, NOT_APPLICABLE = "TaxExcluded", "NotApplicable"
REPEATED = timedelta(seconds=1.5)
"""How old a create is before it is repeated, so that look-ups show what its first sending has made; one that is as old
loses nothing by looking once more."""
ANYBODY = "1"
"""Whom to ask for where a document has no customer: any answer proves that the company answers."""
_VOIDS = 3


class Invoicing:
    """The invoices of one connection."""

    def __init__(
        self, config: QuickBooksConfig, host: Host, api: QuickBooksApi, company: Company, finder: CustomerFinder
    ) -> None:
        self._config, self._host, self._api, self._company, self._finder = config, host, api, company, finder
        self._items = Items(config, host, api)

    # Finding ---------------------------------------------------------------------------------------------------

    async def find(
        self, invoice: Invoice, customer_record: str, intent: CreateIntent | None
    ) -> Sequence[InvoiceCandidate]:
        """Return all invoices with this number; with an intent also the customer's that were made since it began.

        Raises NotOfferedError where the company answers for its customers, and refuses to for its invoices.
        """
        try:
            rows = await self._api.rows(ENTITIES[invoice.document], queries.equal("DocNumber", filed_number(invoice)))
        except REFUSED as error:
            raise await self._not_offered(customer_record, error) from error
        if intent is not None:
            rows += await self._recent(invoice, customer_record, intent)
        found = {row["Id"]: await self._candidate(row, invoice.document, invoice.reference) for row in rows}
        return [
            await self._with_page(each, invoice) for each in found.values()
            if each.number == filed_number(invoice) or each.marker == invoice.reference
        ]  # fmt: skip

    async def _with_page(self, found: InvoiceCandidate, invoice: Invoice) -> InvoiceCandidate:
        """Return one of ours with the page on which it is paid, which no query tells."""
        paid_there = self._config.payment_link and invoice.document is Document.INVOICE
        if not paid_there or found.marker != invoice.reference:
            return found
        linked, _ = await self._linked(found, ())
        return replace(found, url=linked.url)

    async def _recent(self, invoice: Invoice, customer_record: str, intent: CreateIntent) -> list[Row]:
        """Search what was made for the customer since the create began: the mark is found under another number too."""
        since = queries.since("MetaData.CreateTime", intent.started_at - CLOCK_SLACK)
        whose = [queries.equal("CustomerRef", customer_record)] if customer_record else []
        try:
            return await self._api.rows(ENTITIES[invoice.document], *whose, since)
        except LookupImpossibleError:
            return []  # the number has answered; this was a second way to the same record

    async def _candidate(self, row: Row, document: Document, reference: str = "") -> InvoiceCandidate:
        home = (await self._company.books()).home_currency
        return read_invoice(row, document, home_currency=home, reference=reference)

    async def _not_offered(self, customer_record: str, error: ConnectorError) -> NotOfferedError:
        """Return the error for a company without invoices, once it has proven that it is there for its customers.

        Raises what is wrong with the company itself.
        """
        with before_writing("the customer"):
            await self._finder.by_id(customer_record or ANYBODY)
        return NotOfferedError(
            f"QuickBooks does not answer for invoices: {error.detail or error}", provider_code=error.provider_code,
            provider_request_id=error.provider_request_id,
        )  # fmt: skip

    async def get(self, record: str) -> InvoiceCandidate | None:
        """Return an invoice by its Id, or None: Ids are digits, so other text is no invoice's."""
        row = await self._row(record)
        return None if row is None else await self._candidate(row, _document(record))

    async def _row(self, record: str) -> Row | None:
        entity, key = ENTITIES[_document(record)], record.removeprefix(RECEIPT)
        if not (key.isascii() and key.isdigit() and len(key) <= 20):
            return None
        include = LINK if self._config.payment_link and not record.startswith(RECEIPT) else ""
        try:
            return record_in(await self._api.read(f"{entity.lower()}/{key}", include=include), entity)
        except StaleRecordError as error:
            if error.provider_code != str(NOT_FOUND):
                raise
            return None

    # Creating --------------------------------------------------------------------------------------------------

    async def create(self, invoice: Invoice, customer_record: str, intent: CreateIntent) -> CreatedInvoice:
        """Create the invoice with one POST."""
        before = await self._made_before(invoice, customer_record, intent)
        if before is not None:
            return CreatedInvoice(record=before)
        draft = await self._draft(invoice, customer_record, intent)
        try:
            entity = ENTITIES[invoice.document]
            row = record_in(await self._api.write(entity.lower(), draft.body, request_id=intent.key), entity)
        except (StaleRecordError, RejectedError, PermissionRefusedError, ConfigurationError, NoSuchPageError) as error:
            if await self._has_lost_discounts(error, draft):
                raise StaleItemError("the company's documents have no discount line any more") from error
            raise await self._explained(error, invoice, customer_record) from error
        made = await self._candidate(row, invoice.document, invoice.reference)
        if made.marker != invoice.reference and made.number != filed_number(invoice):
            raise OutcomeUnknownError(f"QuickBooks answered the create with another invoice, {row['Id']}")
        warnings = draft.warnings
        if self._config.payment_link and invoice.document is Document.INVOICE:
            made, warnings = await self._linked(made, warnings)
        return CreatedInvoice(record=made, warnings=warnings)

    async def _made_before(
        self, invoice: Invoice, customer_record: str, intent: CreateIntent
    ) -> InvoiceCandidate | None:
        """Return what an earlier sending of this very create has made, if it can be seen.

        The request id alone would do, if Intuit said for how long it remembers one: two invoices with one number are
        no error to QuickBooks, as two customers with one name are.
        """
        young = (intent.started_at + REPEATED - self._host.now()).total_seconds()
        if young > 0 and not intent.repeated:
            return None
        if young > 0:
            await self._host.sleep(young)
        found = await self.find(invoice, customer_record, intent)
        return next((each for each in found if each.marker == invoice.reference), None)

    async def _draft(self, invoice: Invoice, customer_record: str, intent: CreateIntent) -> InvoiceDraft:
        """Find out what the body needs. Whatever fails here has written nothing of the invoice."""
        several = await self._company.multicurrency()
        home = (await self._company.books()).home_currency
        if not several and home and home != invoice.currency:
            raise CurrencyRefusedError(
                f"the invoice is in {invoice.currency}, and the company keeps its books in {home} alone"
            )
        tax = await self._tax(invoice)
        discounts = not await self._as_discount_line(invoice, tax)
        booked = await self._items.of(invoice, seed=intent.key, discounts=discounts)
        draft = draft_invoice(
            invoice, customer_record=customer_record, today=intent.started_at.date(), booked=booked, tax=tax,
            currency=invoice.currency if several else "",
        )  # fmt: skip
        return await self._addressed(draft, customer_record) if invoice.document is Document.INVOICE else draft

    async def _as_discount_line(self, invoice: Invoice, tax: TaxRules) -> bool:
        """Whether discounts go as a discount line: where the company has those, and the settings name no item.

        Not with a tax code on every line outside the United States: how tax is reckoned beside a discount line is
        settled by a field for the United States alone, and an item's line says by its own code how it is taxed.
        """
        if self._config.discount_item or tax.calculation == EXCLUDED or not has_room_for_discount(invoice):
            return False
        return (await self._company.books()).discounts

    async def _tax(self, invoice: Invoice) -> TaxRules:
        """Return how lines are taxed, as the settings and the company have it."""
        taxed = bool(invoice.tax) and not self._config.tax_item
        named = self._config.tax_code if taxed else self._config.untaxed_code
        if await self._company.country() == UNITED_STATES:
            code = named or (TAXED if taxed else UNTAXED)
            return TaxRules(code=code, total=invoice.tax if taxed else None)
        if named:
            return TaxRules(code=await self._tax_code(named), calculation=EXCLUDED)
        if taxed or (await self._company.books()).sales_tax:
            setting = "tax_code" if taxed else "untaxed_code"
            raise TaxCodeMissingError(f"the company keeps VAT or sales tax, and {setting} is not set")
        return TaxRules(calculation=NOT_APPLICABLE)

    async def _tax_code(self, named: str) -> str:
        """Return the Id of a tax code: people see names, lines take Ids."""
        if named.isascii() and named.isdigit():
            return named
        with before_writing("the company's tax codes"):
            rows = await self._api.rows("TaxCode")
        found = [str(row["Id"]) for row in rows if same_name(str(row.get("Name") or ""), named)]
        if len(found) != 1:
            raise TaxCodeMissingError(f"the company has no tax code {named!r}")
        return found[0]

    async def _addressed(self, draft: InvoiceDraft, customer_record: str) -> InvoiceDraft:
        """Add whom to send it to, and how it may be paid, where the settings say so."""
        if not (self._config.email_invoices or self._config.payment_link):
            return draft
        body = dict(draft.body)
        with before_writing("the customer's address"):
            row = await self._finder.by_id(customer_record)
        address = next(iter(emails_in(row or {})), "")
        if self._config.payment_link:
            body |= {"AllowOnlineCreditCardPayment": True, "AllowOnlineACHPayment": True}
        if address:
            body["BillEmail"] = {"Address": address}
            if self._config.email_invoices:
                body["EmailStatus"] = "NeedToSend"
            return InvoiceDraft(body=body, warnings=draft.warnings)
        told = "not to be mailed: the customer has no e-mail address in QuickBooks"
        return InvoiceDraft(body=body, warnings=(*draft.warnings, told))

    async def _linked(
        self, made: InvoiceCandidate, warnings: tuple[str, ...]
    ) -> tuple[InvoiceCandidate, tuple[str, ...]]:
        """Read the invoice's link. The invoice is made by now: it must not fail for the link's sake."""
        try:
            found = await self.get(made.provider_entity_id)
        except ConnectorError as error:
            return made, (*warnings, f"the payment link could not be read: {error.code}")
        if found is None or not found.url:
            return made, (*warnings, "no payment link: QuickBooks Payments is off, or the customer has no address")
        return found, warnings

    async def _has_lost_discounts(self, error: ConnectorError, draft: InvoiceDraft) -> bool:
        """Whether a refused discount line is one that the company has switched off since it was last asked."""
        kinds = [line["DetailType"] for line in draft.body["Line"]]
        if error.provider_code != str(BUSINESS_RULE) or DISCOUNT not in kinds:
            return False
        with before_writing("the company's preferences"):
            return not (await self._company.books_now()).discounts

    async def _explained(self, error: ConnectorError, invoice: Invoice, customer_record: str) -> ConnectorError:
        """Return what a refusal means. It is definite: nothing was written."""
        code, request_id = error.provider_code, error.provider_request_id
        if isinstance(error, PermissionRefusedError):
            return await self._not_offered(customer_record, error)
        if isinstance(error, ConfigurationError | NoSuchPageError):
            return error if code else await self._not_offered(customer_record, error)
        about_currency = code == str(BUSINESS_RULE)
        if not about_currency and not isinstance(error, StaleRecordError):
            return error
        if not customer_record:
            return error if about_currency else await self._stale_item(error, invoice)
        with before_writing("the customer"):
            customer = await self._finder.by_id(customer_record)
        if customer is None or customer.get("Active") is False:
            return StaleCustomerError(error.detail, provider_code=code, provider_request_id=request_id)
        if about_currency:
            reference = customer.get("CurrencyRef")
            billed = str(reference.get("value") or "") if isinstance(reference, dict) else ""
            if billed and billed != invoice.currency:
                why = f"the invoice is in {invoice.currency}, and the customer is billed in {billed}"
                return CurrencyRefusedError(why, provider_code=code, provider_request_id=request_id)
            return error
        if code == str(CUSTOMER_INACTIVE):
            return CustomerReturnedError(error.detail, provider_code=code, provider_request_id=request_id)
        return await self._stale_item(error, invoice)

    async def _stale_item(self, error: ConnectorError, invoice: Invoice) -> StaleItemError:
        await self._items.forget(invoice)
        return StaleItemError(
            error.detail, provider_code=error.provider_code, provider_request_id=error.provider_request_id
        )

    # Voiding ---------------------------------------------------------------------------------------------------

    async def void(self, record: str) -> None:
        """Void the invoice; one that is void already is left alone, one of which something was paid is not touched."""
        failure: ProviderError | None = None
        for _ in range(_VOIDS):
            row = await self._row(record)
            if row is None:
                raise StaleRecordError(f"QuickBooks has no invoice {record}", provider_code=str(NOT_FOUND))
            if (await self._candidate(row, Document.INVOICE)).status is InvoiceStatus.VOID:
                return
            if is_paid(row):
                raise InvoicePaidError(f"a payment was taken for invoice {record} in QuickBooks")
            change = {"Id": row["Id"], "SyncToken": row.get("SyncToken", "0"), "sparse": True}
            try:
                await self._api.write("invoice", change, operation="void")
            except ProviderError as error:
                if error.provider_code != str(STALE_TOKEN):
                    raise
                failure = error  # a bookkeeper has just changed it: read again
            else:
                return
        raise failure or AssertionError("the loop returns or fails")


def _document(record: str) -> Document:
    return Document.RECEIPT if record.startswith(RECEIPT) else Document.INVOICE
