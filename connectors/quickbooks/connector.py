"""The QuickBooks Online connector: find, create, reactivate, check, and keep the consent alive."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from connectors.base import Connector, ConnectorConfig, Host
from connectors.errors import (
    InvalidEmailError,
    OutcomeUnknownError,
    ProviderError,
    StaleRecordError,
)
from connectors.invoices import CreatedInvoice, Invoice, InvoiceCandidate, InvoiceSync
from connectors.models import Account, Candidate, Created, CreateIntent, Customer, Limits, MatchPolicy, Recovery
from connectors.oauth import Consent, OAuthConsent
from connectors.payments import Payment, Payments
from connectors.quickbooks.auth import TokenManager
from connectors.quickbooks.client import QuickBooksApi, Row, record_in
from connectors.quickbooks.company import Company
from connectors.quickbooks.config import Gifts, QuickBooksConfig
from connectors.quickbooks.consent import ConsentFlow
from connectors.quickbooks.customers import Draft, candidate_of, draft_of, echoes
from connectors.quickbooks.endpoint import TokenEndpoint
from connectors.quickbooks.faults import NOT_FOUND, STALE_TOKEN
from connectors.quickbooks.invoices import check_invoice, filed_number
from connectors.quickbooks.invoicing import Invoicing
from connectors.quickbooks.lookup import CustomerFinder
from connectors.quickbooks.names import VARIANTS, names_of
from connectors.quickbooks.payments import get_payment

_WITHOUT_EMAIL = uuid.UUID("3b0c4d0e-6d0b-5f7e-9a54-5d2f0c1c7a10")
_REACTIVATIONS = 3
_SOON = timedelta(days=30)


class QuickBooksConnector(Connector[QuickBooksConfig], OAuthConsent, InvoiceSync, Payments):
    """Customers, invoices and payments in QuickBooks Online.

    Names are unique over customers, vendors and employees, nothing can be deleted, and `requestid` makes a repeated
    create harmless for a while: https://developer.intuit.com/app/developer/qbo/docs/learn/learn-basic-field-definitions
    """

    name: ClassVar[str] = "quickbooks"
    title: ClassVar[str] = "QuickBooks Online"
    makes: ClassVar[str] = "Customers, invoices with their items and taxes, and gifts as sales receipts."
    config_model: ClassVar[type[ConnectorConfig]] = QuickBooksConfig
    variants: ClassVar[int] = VARIANTS
    marks_records: bool = True

    def __init__(self, config: QuickBooksConfig, host: Host) -> None:
        super().__init__(config, host)
        endpoint = TokenEndpoint(config, host)
        self._tokens = TokenManager(config, host, endpoint)
        self._api = QuickBooksApi(config, host, self._tokens)
        self._finder = CustomerFinder(config, self._api)
        self._company = Company(config, host, self._api)
        self.books_receipts = config.gifts is not Gifts.OFF
        self.sums_receipts = config.gifts is Gifts.DAILY_DEPOSIT
        self._invoicing = Invoicing(config, host, self._api, self._company, self._finder)
        self._consent = ConsentFlow(config, endpoint, self._tokens, self._api)

    # Customers -------------------------------------------------------------------------------------------------

    def validate_customer(self, customer: Customer) -> None:
        """Refuse a customer with neither a name nor a usable address (MissingFieldsError, InvalidEmailError)."""
        names_of(customer)

    async def find_customers(self, customer: Customer, *, intent: CreateIntent | None = None) -> Sequence[Candidate]:
        """Return who has this customer's address, marker, or one of the names it may have been given.

        With an intent also what was made since, and the vendor or employee who holds the name. Raises
        LookupImpossibleError where QuickBooks cannot be asked, and other ConnectorError kinds.
        """
        if customer.currency:
            await self._company.multicurrency()
        return await self._finder.find(customer, intent=intent)

    async def get_customer(self, provider_entity_id: str) -> Candidate | None:
        """Return a record by Id, inactive ones too; None only when QuickBooks knows no such customer."""
        row = await self._row(provider_entity_id)
        return None if row is None else candidate_of(row)

    async def create_customer(self, customer: Customer, *, intent: CreateIntent) -> Created:
        """Create the record, with the intent's key as `requestid`.

        An address that QuickBooks refuses (2210) must not keep the customer out: the same is sent once more without it.
        Raises DuplicateRefusedError when the name is taken (6240), OutcomeUnknownError when the answer is about another
        record, RejectedError kinds, ProviderError when the outcome is unknown.
        """
        names = names_of(customer)
        with_currency = bool(customer.currency) and await self._company.multicurrency()
        draft = draft_of(customer, names, variant=intent.variant, with_currency=with_currency)
        try:
            return await self._send(draft, intent.key)
        except InvalidEmailError:
            if "PrimaryEmailAddr" not in draft.body:
                raise
        # Another body needs another request id: under the old one Intuit may only repeat its refusal.
        return await self._send(draft.without_email(), str(uuid.uuid5(_WITHOUT_EMAIL, intent.key)))

    async def _send(self, draft: Draft, request_id: str) -> Created:
        record = record_in(await self._api.write("customer", draft.body, request_id=request_id), "Customer")
        if not echoes(record, draft.body):
            raise OutcomeUnknownError(f"QuickBooks answered the create with another record, {record['Id']}")
        return Created(provider_entity_id=record["Id"], warnings=draft.warnings)

    async def reactivate_customer(self, provider_entity_id: str) -> None:
        """Make a record active again, touching nothing else. Raises StaleRecordError when there is none."""
        failure: ProviderError | None = None
        for _ in range(_REACTIVATIONS):
            row = await self._row(provider_entity_id)
            if row is None:
                raise StaleRecordError(f"QuickBooks has no customer {provider_entity_id}", provider_code=str(NOT_FOUND))
            if row.get("Active") is not False:
                return
            change = {"Id": row["Id"], "SyncToken": row.get("SyncToken", "0"), "sparse": True, "Active": True}
            try:
                await self._api.write("customer", change)
            except ProviderError as error:
                if error.provider_code != str(STALE_TOKEN):
                    raise
                failure = error  # a bookkeeper has just changed it: read again
            else:
                return
        raise failure or AssertionError("the loop returns or fails")

    async def _row(self, provider_entity_id: str) -> Row | None:
        if not (provider_entity_id.isascii() and provider_entity_id.isdigit() and len(provider_entity_id) <= 20):
            return None  # QuickBooks has never given such an Id
        try:
            return record_in(await self._api.read(f"customer/{provider_entity_id}"), "Customer")
        except StaleRecordError as error:
            if error.provider_code != str(NOT_FOUND):
                raise
        # 610 also stands for "made inactive": only a query that includes those proves that there is no record.
        return await self._finder.by_id(provider_entity_id)

    # Invoices --------------------------------------------------------------------------------------------------

    def filed_number(self, invoice: Invoice) -> str:
        """Return the platform's number, cut to 21 characters where it is longer."""
        return filed_number(invoice)

    def validate_invoice(self, invoice: Invoice) -> None:
        """Refuse more than 750 lines, and amounts with more than two decimal places."""
        check_invoice(invoice)

    async def find_invoices(
        self, invoice: Invoice, *, customer_record: str, intent: CreateIntent | None = None
    ) -> Sequence[InvoiceCandidate]:
        """Return the invoices with this number, whoever has to pay them; with an intent also what was made since."""
        return await self._invoicing.find(invoice, customer_record, intent)

    async def get_invoice(self, provider_entity_id: str) -> InvoiceCandidate | None:
        """Return the invoice, or None."""
        return await self._invoicing.get(provider_entity_id)

    async def create_invoice(self, invoice: Invoice, *, customer_record: str, intent: CreateIntent) -> CreatedInvoice:
        """Create the invoice with one POST, with the intent's key as `requestid`."""
        return await self._invoicing.create(invoice, customer_record, intent)

    async def void_invoice(self, provider_entity_id: str) -> None:
        """Void the invoice, unless something was paid of it."""
        await self._invoicing.void(provider_entity_id)

    # The connection --------------------------------------------------------------------------------------------

    async def check(self) -> Account:
        """Read the company's name and preferences; nothing is written."""
        tokens = await self._tokens.access()
        account = await self._company.account(tokens.realm)
        warnings = []
        ends = tokens.hard_expires_at
        if ends is not None and ends - self.host.now() < _SOON:
            warnings.append(f"the consent ends for good on {ends:%Y-%m-%d}: connect again before")
        return Account(
            account_id=account.account_id, name=account.name, details=account.details, warnings=tuple(warnings)
        )

    async def maintain(self) -> None:
        """Refresh idle tokens weekly, and read the company's preferences daily."""
        if await self._tokens.keep_alive():
            await self._company.refresh_if_old()

    async def close(self) -> None:
        """Let a refresh under way end, so that no rotated token is lost."""
        await self._tokens.close()

    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        """Return a payment by its Id, or None."""
        home = (await self._company.books()).home_currency
        return await get_payment(self._api, provider_entity_id, home_currency=home)

    def match_policy(self) -> MatchPolicy:
        """Return the connection's settings; currencies count where the company keeps several."""
        return MatchPolicy(
            match=self.config.match,
            adopt_on_name=self.config.adopt_on_name,
            inactive=self.config.inactive,
            compare_currency=self._company.is_multicurrency,
        )

    def limits(self) -> Limits:
        """Return a little less than Intuit's 10 a second and 500 a minute for one company.

        https://developer.intuit.com/app/developer/qbo/docs/learn/limits-and-throttles
        """
        return Limits(per_second=8.0, per_minute=480.0, concurrency=4)

    def recovery(self) -> Recovery:
        """Return how a lost answer is settled: by the same request id at first, by looking afterwards."""
        return Recovery(replay_window=self.config.replay, lookups=self.config.recovery_lookups)

    def idempotency_scope(self) -> str:
        """Return the company: a request id must be unique within it."""
        return self._tokens.realm

    def console_url(self, provider_entity_id: str) -> str | None:
        """Return the customer's page in QuickBooks."""
        return f"{self.config.app_address}/app/customerdetail?nameId={provider_entity_id}"

    def settings_summary(self) -> Mapping[str, str]:
        """Return settings and what the company was seen to have, without secrets."""
        shown = {
            "environment": self.config.environment.value,
            "company": self._tokens.realm,
            "match": self.config.match.value,
            "adopt_on_name": self.config.adopt_on_name.value,
            "inactive": self.config.inactive.value,
            "multicurrency": "on" if self._company.is_multicurrency else "off",
            "gifts": self.config.gifts.value,
        }
        tokens = self._tokens.known
        dates = {
            "last_refresh": tokens.refreshed_at if tokens else None,
            "refresh_token_expires": tokens.refresh_expires_at if tokens else None,
            "consent_expires": tokens.hard_expires_at if tokens else None,
        }
        return shown | {name: f"{moment:%Y-%m-%dT%H:%M:%SZ}" for name, moment in dates.items() if moment is not None}

    # Consent ---------------------------------------------------------------------------------------------------

    def authorize_url(self, *, state: str, redirect_uri: str) -> str:
        """Return Intuit's consent page."""
        return self._consent.authorize_url(state=state, redirect_uri=redirect_uri)

    async def exchange(self, *, params: Mapping[str, str], redirect_uri: str) -> Consent:
        """Turn the callback's query into tokens and the company's name. See `ConsentFlow.exchange`."""
        return await self._consent.exchange(params=params, redirect_uri=redirect_uri)

    async def revoke(self) -> None:
        """Revoke the tokens at Intuit. Mappings stay, so that connecting the same company again resumes."""
        await self._consent.revoke(self.host)
