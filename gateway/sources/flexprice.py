"""Flexprice: invoice webhooks as a hint, its REST API as the truth, customer metadata as the place to write back.

Facts: https://docs.flexprice.io/developers/webhooks (bodies) and https://docs.flexprice.io/api-reference (API).
"""

import contextlib
import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import quote

import orjson
from pydantic import Field, field_validator

from connectors.invoices import Invoice
from connectors.models import Address, Customer
from gateway.errors import (
    CustomerNotFoundError,
    GatewayError,
    InvoiceNotFoundError,
    PayloadInvalidError,
    SourceAuthenticationError,
    SourceUnavailableError,
)
from gateway.sources.base import Confirmed, Dropped, Event, Source, SourceConfig, SourceHost, SourceOptions, Trigger
from gateway.sources.feed import Feed
from gateway.sources.flexprice_feed import FINALIZED, PAID, VOIDED, InvoiceFeed
from gateway.sources.flexprice_invoices import (
    FINALIZED_STATUS,
    dropped,
    nothing_to_book,
    read_invoice,
    read_payable,
    status_of,
)
from gateway.sources.flexprice_metadata import Customers, Invoices, NoPlaceError, read_customer, write_merged
from gateway.sources.platform_api import PlatformApi

DEFAULT_API_URL = "https://us.api.flexprice.io/v1"
MAX_ID_CHARS = 255
TRIGGERS = {
    FINALIZED: Trigger.INVOICE_FINALIZED, VOIDED: Trigger.INVOICE_VOIDED, PAID: Trigger.INVOICE_PAID,
}  # fmt: skip
"""Event → what it asks for; every other one is nobody's business here."""
# Flexprice refuses a new link for any other provider, Nomod too (its internal/types/entityintegrationmapping.go).
SUCCEEDED = "SUCCEEDED"
LINKABLE = frozenset({"quickbooks"})


class FlexpriceOptions(SourceOptions):
    """The options of a Flexprice or Tirdad source."""

    reconcile_seconds: float = Field(
        900.0, ge=0, le=604_800,
        description="Seconds between two looks for finalized invoices whose webhook never came; 0 means never.",
    )  # fmt: skip

    @field_validator("reconcile_seconds")
    @classmethod
    def _not_a_hammer(cls, value: float) -> float:
        if 0 < value < 1:
            msg = "must be 0 or at least 1"
            raise ValueError(msg)
        return value


class FlexpriceSource(Source):
    """Adapter of Flexprice, and of its white labels."""

    platform = "flexprice"
    title = "Flexprice"
    sends = "Final invoices bring their customers, and themselves where a connection makes invoices."
    writes_back = True
    reads_delivery = False
    has_invoices = True
    options_model = FlexpriceOptions
    default_api_url: ClassVar[str] = DEFAULT_API_URL

    def __init__(self, config: SourceConfig, host: SourceHost) -> None:
        super().__init__(config, host)
        # X-Environment-ID is ignored for keys that are bound to an environment and needed for all others.
        headers = {"x-api-key": config.api_key or "", "X-Environment-ID": config.environment_id}
        self._api = PlatformApi(
            host.session, config.api_url or self.default_api_url, headers=headers, user_agent=host.user_agent
        )
        self._reconcile_seconds = FlexpriceOptions.model_validate(dict(config.options)).reconcile_seconds

    def parse(self, body: bytes) -> Event:
        """Read the envelope `{"event_type": …, "<object>": {…}}`. Only three fields are relied on."""
        try:
            envelope = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            msg = "the body is not JSON"
            raise PayloadInvalidError(msg) from error
        if not isinstance(envelope, dict) or not isinstance(envelope.get("event_type"), str):
            msg = "the body has no event_type"
            raise PayloadInvalidError(msg)
        event_type = envelope["event_type"][:200]
        invoice = envelope.get("invoice")
        customer = envelope.get("customer")
        trigger = TRIGGERS.get(event_type, Trigger.NONE)
        if trigger is Trigger.NONE:
            about = None
            if isinstance(invoice, dict):
                about = _identifier(invoice.get("customer_id"))
            elif isinstance(customer, dict):
                about = _identifier(customer.get("id"))
            return Event(type=event_type, trigger=trigger, customer_id=about, reason=f"{event_type} is not a trigger")
        if not isinstance(invoice, dict):
            msg = "the body has no invoice"
            raise PayloadInvalidError(msg)
        invoice_id, customer_id = _identifier(invoice.get("id")), _identifier(invoice.get("customer_id"))
        if invoice_id is None or customer_id is None:
            msg = "the invoice has no id or no customer_id"
            raise PayloadInvalidError(msg)
        return Event(type=event_type, trigger=trigger, subject=invoice_id, customer_id=customer_id)

    async def confirm(self, event: Event) -> Confirmed | Dropped:
        """Read the invoice again: it must still be FINALIZED; its `customer_id` is who pays."""
        invoice, customer_id = await self._invoice(event.subject or "")
        status = status_of(invoice)
        if status != FINALIZED_STATUS:
            return Dropped(reason=f"the invoice is {status or 'without a status'} by now")
        return Confirmed(
            customer_id=customer_id,
            currency=_currency(invoice, "currency"),
            has_charges=nothing_to_book(invoice) is None,
        )

    async def invoice(self, invoice_id: str) -> Invoice | Dropped:
        """Read the invoice: FINALIZED, with lines and a total, or why there is nothing to book."""
        found, customer_id = await self._invoice(invoice_id)
        return dropped(found) or read_invoice(found, invoice_id=invoice_id, customer_id=customer_id, config=self.config)

    async def payable(self, invoice_id: str) -> Invoice | Dropped:
        """Read what remains to be paid of the invoice: FINALIZED, and not paid."""
        found, customer_id = await self._invoice(invoice_id)
        return read_payable(found, invoice_id=invoice_id, customer_id=customer_id, config=self.config)

    async def _invoice(self, invoice_id: str) -> tuple[dict[str, Any], str]:
        """Return an invoice, and the customer who has to pay it."""
        self._need_key()
        found = await self._api.get_exact(f"/invoices/{quote(invoice_id, safe='')}")
        if not isinstance(found, dict):
            raise InvoiceNotFoundError
        customer_id = _identifier(found.get("customer_id"))
        if customer_id is None and status_of(found) == FINALIZED_STATUS:
            msg = "the invoice has no customer_id"
            raise SourceUnavailableError(msg)
        return found, customer_id or ""

    async def customer(self, customer_id: str, event: Event) -> Customer:
        """Read the customer by id. The one embedded in an invoice may be somebody else: the subscription's owner."""
        del event
        self._need_key()
        found = await read_customer(self._api, customer_id)
        if str(found.get("status") or "published").lower() == "deleted":
            raise CustomerNotFoundError
        return self._canonical(found, customer_id)

    def _canonical(self, found: dict[str, Any], customer_id: str) -> Customer:
        metadata = found.get("metadata")
        address = Address(
            line1=_text(found, "address_line1"), line2=_text(found, "address_line2"), city=_text(found, "address_city"),
            region=_text(found, "address_state"), postal_code=_text(found, "address_postal_code"),
            country=_text(found, "address_country").upper(),
        )  # fmt: skip
        return Customer(
            source=self.config.name, platform=self.platform, environment_id=self.config.environment_id,
            customer_id=customer_id, external_id=_text(found, "external_id"), name=_text(found, "name"),
            email=_text(found, "email"), phone=_text(found, "contact") or _text(found, "phone"),
            address=None if address == Address() else address,
            currency=_currency(found, "billing_currency"),
            metadata=_text_map(metadata),
        )  # fmt: skip

    async def write_back(
        self, *, customer_id: str, connector: str, provider_entity_id: str, synced_at: datetime
    ) -> bool:
        """Read metadata, merge our two keys, compare, write, read again.

        A PUT replaces the whole map and has no version check: the map is read right before the write and again after
        it, and where another writer's PUT has dropped our keys, they are merged into what is there then. Nothing is
        sent when our id is there already: every PUT makes the platform send an event.
        """
        mine = {
            f"{connector}_customer_id": provider_entity_id,
            f"{connector}_sync_timestamp": synced_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._need_key()
        record = Customers(self._api, customer_id)
        wrote = await write_merged(record, mine, settled=f"{connector}_customer_id")
        if wrote and connector in LINKABLE:
            await self._link(customer_id, connector, provider_entity_id)
        return wrote

    async def write_back_invoice(
        self, *, invoice_id: str, connector: str, provider_entity_id: str, url: str, synced_at: datetime
    ) -> bool | None:
        """Write the id, and the page where there is one, beside what stands in the invoice's metadata.

        None where this deployment cannot change invoices, or no longer this one: only DRAFT and FINALIZED ones can be.
        """
        del synced_at
        self._need_key()
        mine = {f"{connector}_invoice_id": provider_entity_id, **({f"{connector}_invoice_url": url} if url else {})}
        try:
            return await write_merged(Invoices(self._api, invoice_id), mine, settled=f"{connector}_invoice_id")
        except NoPlaceError:
            return None

    async def report_payment(
        self, *, invoice_id: str, key: str, amount: Decimal, currency: str, connector: str, payment: str
    ) -> bool | None:
        """Create the payment under its key, which a repeat finds again, and say that it has succeeded.

        https://docs.flexprice.io/api-reference (POST /payments, PUT /payments/{id}). None where there is no such call.
        """
        self._need_key()
        body = {
            "idempotency_key": f"ledgergate-{hashlib.sha256(key.encode()).hexdigest()[:32]}",
            "destination_type": "INVOICE", "destination_id": invoice_id, "payment_method_type": "OFFLINE",
            "amount": f"{amount:f}", "currency": currency.lower(),
            "metadata": {"payment_source": "ledgergate", f"{connector}_payment_id": payment},
        }  # fmt: skip
        made = await self._api.send("POST", "/payments", body)
        if made is None:
            return None
        payment_id = _identifier(made.get("id")) if isinstance(made, dict) else None
        if payment_id is None:
            raise SourceUnavailableError("the answer to a payment has no id")
        if made.get("payment_status") == SUCCEEDED:
            return False
        told = {"payment_status": SUCCEEDED, "gateway_payment_id": payment}
        done = await self._api.send("PUT", f"/payments/{quote(payment_id, safe='')}", told)
        if not isinstance(done, dict) or done.get("payment_status") not in {None, SUCCEEDED}:
            raise SourceUnavailableError("the payment does not stay succeeded")
        return True

    async def _link(self, customer_id: str, connector: str, provider_entity_id: str) -> None:
        """Tell Flexprice's own mapping table too: best effort, since it needs a connection of that kind there."""
        body = {
            "entity_type": "customer", "entity_id": customer_id, "provider_type": connector,
            "provider_entity_id": provider_entity_id,
        }  # fmt: skip
        with contextlib.suppress(GatewayError):
            await self._api.send("POST", "/integrations/link", body)

    async def warnings(self, connectors: frozenset[str]) -> list[str]:
        """Warn where Flexprice itself syncs to the same target: two creators double customers."""
        if not self.config.api_key:
            return ["no api_key is set: invoices and customers cannot be read"]
        config = await self._api.get("/integrations/config")
        found = config.get("integrations") if isinstance(config, dict) else None
        told = []
        for entry in found if isinstance(found, list) else []:
            provider = str(entry.get("provider") or "") if isinstance(entry, dict) else ""
            current = entry.get("current_config") if isinstance(entry, dict) else None
            if provider not in connectors or not isinstance(current, dict):
                continue
            for entity in ("customer", "invoice"):
                sync = current.get(entity)
                if isinstance(sync, dict) and sync.get("outbound") is True:
                    told.append(
                        f"{self.title}'s own {entity} sync to {provider} is on: switch it off, or it doubles customers"
                    )
        return told

    def feed(self) -> Feed | None:
        """Return the search for finalized invoices, unless there is no key for it or it is switched off."""
        if not self.config.api_key or not self._reconcile_seconds:
            return None
        return InvoiceFeed(self._api, interval=self._reconcile_seconds)

    def _need_key(self) -> None:
        if not self.config.api_key:
            msg = "the source has no api_key"
            raise SourceAuthenticationError(msg)


def _identifier(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable() else None


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value.strip() if isinstance(value, str) else ""


def _currency(found: dict[str, Any], name: str) -> str:
    """Return an ISO 4217 code in capitals, or nothing where it is none: `usdt` are no dollars."""
    code = _text(found, name).upper()
    return code if len(code) == 3 else ""


def _text_map(value: object) -> dict[str, str]:
    return {str(key): item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}
