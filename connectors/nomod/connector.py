"""The Nomod connector: how a customer is found in, and created at, an API that has no idempotency key."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson

from connectors.base import Connector, Host
from connectors.errors import LookupImpossibleError, UnexpectedResponseError
from connectors.http import JsonApi, Reply
from connectors.invoices import CreatedInvoice, Invoice, InvoiceCandidate, InvoiceSync
from connectors.links import CreatedLink, LinkCandidate, PaymentLinkRequest, PaymentLinks
from connectors.models import Account, Candidate, Created, CreateIntent, Customer, Limits, MatchPolicy, Recovery
from connectors.nomod.charges import get_charge
from connectors.nomod.config import LookupMode, NomodConfig
from connectors.nomod.customers import ADDRESS_FIELDS, draft, marker_of, phone_of, place_of, validate
from connectors.nomod.errors import UUID, classify_create, classify_read, is_page, read_refusal, says_not_found
from connectors.nomod.invoices import Terms, check_invoice, filed_number
from connectors.nomod.invoicing import Invoicing
from connectors.nomod.linking import LinkMaking
from connectors.nomod.links import check_link
from connectors.nomod.lookups import Lookups, Wanted
from connectors.nomod.paging import CUSTOMER_LIST, CUSTOMERS, MOST_ROWS, envelope
from connectors.nomod.provinces import Provinces
from connectors.nomod.rows import RECORD_ID, Row, readable_id, unwrapped
from connectors.payments import Payment, Payments


class NomodConnector(Connector[NomodConfig], InvoiceSync, PaymentLinks, Payments):
    """Customers, invoices, payment links and charges in Nomod (https://www.nomod.com/docs/api-reference/create-contact).

    The API can list, create and get customers, and nothing else: no update, no delete, no reference of ours, no
    idempotency key. So the gateway's note of the create and the look-ups here are all that prevents a second one.
    """

    name = "nomod"
    title = "Nomod"
    makes = "Customers, invoices with a page on which they are paid, and payment links."
    config_model = NomodConfig
    collects = True

    def __init__(self, config: NomodConfig, host: Host) -> None:
        super().__init__(config, host)
        key = config.api_key.get_secret_value()
        self.marks_records = config.marker
        self._api = JsonApi(
            host,
            config.base_url,
            headers={"X-API-KEY": key},
            classify=classify_read,
            timeout=config.timeout_seconds,
        )
        self._account_id = _account_id(config.base_url, key)
        self._lookups = Lookups(self._api, host, forced=config.lookup, account=self._account_id)
        self._provinces = Provinces(self._api, host)
        terms = Terms(
            due_days=config.due_days,
            allow={
                "allow_tabby": config.allow_tabby,
                "allow_tamara": config.allow_tamara,
                "allow_service_fee": config.allow_service_fee,
            },
        )
        self._invoicing, self._links = Invoicing(self._api, terms), LinkMaking(self._api, terms)

    # Finding ---------------------------------------------------------------------------------------------------

    def validate_customer(self, customer: Customer) -> None:
        """Refuse a customer without name, or without a well-formed e-mail address."""
        validate(customer, marker=self.config.marker)

    async def find_customers(self, customer: Customer, *, intent: CreateIntent | None = None) -> Sequence[Candidate]:
        """Return the customers with this e-mail address or marker; with `intent`, with this phone number as well."""
        if not customer.email.strip() and not self.config.marker:
            raise LookupImpossibleError("the customer has no e-mail address, and `marker` is off")
        wanted = Wanted(
            email=customer.email,
            phone=phone_of(customer) if intent else "",
            marker=marker_of(customer) if self.config.marker else "",
        )
        rows = await self._lookups.find(wanted, wide=intent is not None)
        if intent is not None:
            rows = [row if row.created else await self._with_time(row) for row in rows]
        return [row.candidate(customer) for row in rows]

    async def get_customer(self, provider_entity_id: str) -> Candidate | None:
        """Return the customer, or None. Text that can be nobody's id is not asked for."""
        if not RECORD_ID.fullmatch(provider_entity_id):
            return None
        row = await self._get(provider_entity_id)
        if row is None:
            return None
        if row.id.casefold() != provider_entity_id.casefold():
            raise UnexpectedResponseError("another customer came back than the one asked for")
        return row.candidate()

    async def _with_time(self, row: Row) -> Row:
        """Return the row with its `created`, which lists may leave out."""
        reply = await self._ask_for(row.id)
        if says_not_found(reply):
            raise UnexpectedResponseError("a customer was listed, and is gone")
        return replace(row, created=Row.read(unwrapped(reply.json())).created) if reply.status < 400 else row

    async def _get(self, provider_entity_id: str) -> Row | None:
        """Read one customer; None where the API says that there is none.

        A refusal that does not say so may come from a wrong address, or from an API that reads nobody by id: then the
        whole list tells.
        """
        reply = await self._ask_for(provider_entity_id)
        if reply.status < 400:
            return Row.read(unwrapped(reply.json()))
        return None if says_not_found(reply) else await self._lookups.by_id(provider_entity_id)

    async def _ask_for(self, provider_entity_id: str) -> Reply:
        """Ask for one customer by id, and return the customer or a refusal of the id."""
        path = f"{CUSTOMERS}/{quote(provider_entity_id, safe='')}"
        foreign = UUID.fullmatch(provider_entity_id) is None  # documented ids are UUIDs: others may be refused for that
        return await self._api.request("GET", path, accept_error=lambda got: _may_be_nobody(got, foreign=foreign))

    # Creating --------------------------------------------------------------------------------------------------

    async def create_customer(self, customer: Customer, *, intent: CreateIntent) -> Created:
        """Create the customer with one POST.

        A second one is sent only after a definite refusal (400, 422), which created nothing: without `metadata`
        where the API refuses that, and without the address where it refuses country or province. Each at most once.
        """
        place = place_of(customer)
        province = await self._provinces.id_of(place) if place else None
        drafted = draft(customer, started_at=intent.started_at, marker=self.config.marker, province=province)
        body, warnings = dict(drafted.body), list(drafted.warnings)
        while True:
            reply = await self._api.request(
                "POST", CUSTOMERS, body=orjson.dumps(body), accept_error=lambda got: got.status != 429
            )
            refusal = read_refusal(reply, sent=_texts(body))
            definite = reply.status in {400, 422}
            if definite and refusal.about_address and body.keys() & ADDRESS_FIELDS:
                body = {key: value for key, value in body.items() if key not in ADDRESS_FIELDS}
                warnings.append(f"address omitted: refused by Nomod ({refusal.code})")
            elif definite and refusal.about_metadata and "metadata" in body:
                del body["metadata"]
                warnings.append("metadata omitted: refused by Nomod")
            else:
                break
        error = classify_create(reply, refusal)
        if error is not None:
            raise error
        created = unwrapped(reply.json())
        if not isinstance(created, dict):
            raise UnexpectedResponseError("the answer to a create is no object")
        return Created(provider_entity_id=readable_id(created), warnings=tuple(warnings))

    # Invoices --------------------------------------------------------------------------------------------------

    def filed_number(self, invoice: Invoice) -> str:
        """Return the platform's number, cut to 30 characters where it is longer."""
        return filed_number(invoice)

    def validate_invoice(self, invoice: Invoice) -> None:
        """Refuse more than 50 lines, a negative tax, and what no amount of Nomod's can say."""
        check_invoice(invoice)

    async def find_invoices(
        self, invoice: Invoice, *, customer_record: str, intent: CreateIntent | None = None
    ) -> Sequence[InvoiceCandidate]:
        """Return the customer's invoices with this number; void ones too."""
        return await self._invoicing.find(invoice, customer_record)

    async def get_invoice(self, provider_entity_id: str) -> InvoiceCandidate | None:
        """Return the invoice, or None."""
        return await self._invoicing.get(provider_entity_id)

    async def create_invoice(self, invoice: Invoice, *, customer_record: str, intent: CreateIntent) -> CreatedInvoice:
        """Create the invoice with one POST."""
        return await self._invoicing.create(invoice, customer_record, intent)

    async def void_invoice(self, provider_entity_id: str) -> None:
        """Cancel the invoice."""
        await self._invoicing.void(provider_entity_id)

    # Payment links ---------------------------------------------------------------------------------------------

    def validate_link(self, request: PaymentLinkRequest) -> None:
        """Refuse an amount that is not more than zero, or that no coin of the currency says."""
        check_link(request)

    async def find_links(
        self, request: PaymentLinkRequest, *, intent: CreateIntent | None = None
    ) -> Sequence[LinkCandidate]:
        """Return the links whose title carries the mark of this invoice and amount."""
        return await self._links.find(request)

    async def get_link(self, provider_entity_id: str) -> LinkCandidate | None:
        """Return the link, or None."""
        return await self._links.get(provider_entity_id)

    async def create_link(self, request: PaymentLinkRequest, *, intent: CreateIntent) -> CreatedLink:
        """Create a link for one payment, with one POST."""
        return await self._links.create(request, intent)

    async def disable_link(self, provider_entity_id: str) -> None:
        """Switch the link off."""
        await self._links.disable(provider_entity_id)

    async def get_payment(self, provider_entity_id: str) -> Payment | None:
        """Return the charge, or None."""
        return await get_charge(self._api, provider_entity_id)

    # The account -----------------------------------------------------------------------------------------------

    async def check(self) -> Account:
        """Read one customer, and find out how customers can be looked up."""
        reply = await self._api.request("GET", CUSTOMERS, query={"page": "1", "page_size": "1"})
        count = envelope(reply, CUSTOMER_LIST).total
        mode = await self._lookups.mode(again=True)
        return Account(
            account_id=self._account_id,
            name=_account_name(self.config.api_key.get_secret_value()),
            details={"lookup": self._lookups.summary, "customers": str(count)},
            warnings=self._warnings(count, mode),
        )

    async def maintain(self) -> None:
        """Try the look-ups again where the last trial is a day old."""
        await self._lookups.mode()

    def match_policy(self) -> MatchPolicy:
        """Return what the settings say; a customer in Nomod is neither inactive nor of one currency."""
        return MatchPolicy(match=self.config.match)

    def limits(self) -> Limits:
        """Return the settings: Nomod has limits, and publishes none."""
        return Limits(per_second=self.config.requests_per_second, concurrency=self.config.concurrency)

    def recovery(self) -> Recovery:
        """Return the times of the look-ups; there is no idempotency key to replay."""
        return Recovery(replay_window=None, lookups=self.config.recovery_lookups)

    def settings_summary(self) -> Mapping[str, str]:
        """Return address, look-up mode and marker."""
        return {
            "base_url": self.config.base_url,
            "lookup": self._lookups.summary,
            "marker": "on" if self.config.marker else "off",
        }

    def _warnings(self, count: int, mode: LookupMode) -> tuple[str, ...]:
        warnings = []
        if self.config.base_url.startswith("http:"):
            warnings.append("base_url is not https: the API key travels in clear")
        if mode is LookupMode.SCAN and count > MOST_ROWS:
            warnings.append(f"no look-up is possible: {count} customers, and the API does not narrow its list")
        return tuple(warnings)


def _may_be_nobody(reply: Reply, *, foreign: bool) -> bool:
    """Whether an answer to a read by id may say that nobody has it; a page that a proxy sends about a UUID does not."""
    if foreign:
        return reply.status in {400, 404, 405, 422}
    return reply.status in {404, 405} and not is_page(reply)


def _texts(body: Mapping[str, Any]) -> list[str]:
    """Return every text that is sent, for taking it out of the answer's words."""
    metadata = body.get("metadata", {})
    return [value for value in (*body.values(), *metadata.values()) if isinstance(value, str)]


def _account_id(base_url: str, key: str) -> str:
    """Return a stable name of the account that tells nothing: Nomod has no endpoint that names it.

    A key is `sk_live_<8 letters>.<32 letters>`; only what is before the dot goes in. It changes with a new key.
    """
    return hashlib.sha256(f"{base_url}\n{key.partition('.')[0]}".encode()).hexdigest()[:16]


def _account_name(key: str) -> str:
    kinds = {"sk_live_": "live key", "sk_test_": "test key"}
    kind = next((word for prefix, word in kinds.items() if key.startswith(prefix)), "key of an unknown kind")
    return f"Nomod ({kind})"
