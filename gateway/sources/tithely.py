"""Tithely: gifts in our own signed envelope, since it publishes no giving webhook; polled where that is set up.

Facts and the envelope: docs/tithely.md. There is no API to write back to, so nothing is tried.
"""

import fnmatch
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from connectors.errors import MissingFieldsError
from connectors.invoices import Document, Invoice, InvoiceLine
from connectors.models import Address, Customer
from connectors.money import MoneyError, exponent
from gateway.errors import CustomerNotFoundError, InvoiceUnreadableError, PlaceholderEmailError
from gateway.sources.base import Confirmed, Dropped, Event, Source, SourceConfig, SourceHost, SourceOptions, Trigger
from gateway.sources.feed import Feed
from gateway.sources.tithely_api import DEFAULT_API_URL, ChargeFeed, TithelyApi
from gateway.sources.tithely_envelope import CREATED, Gift, read_gift, read_type

# Tithely gives a random address to a gift that an admin enters without one (its help centre, article 36553006104983),
# of a form that is not public. These are forms that no giver has; an installation adds what it sees.
PLACEHOLDERS = (
    "*@tithe.ly", "*@*.tithe.ly", "*@tithely.com", "*@*.tithely.com", "*@*.invalid", "*@invalid", "*@localhost",
    "placeholder*@*", "*@placeholder.*", "noemail*@*", "no-email*@*", "no.email*@*", "*@noemail.*", "*@no-email.*",
)  # fmt: skip
MAX_PATTERNS = 100
GIFT = "Gift"
"""What a gift is called where it is booked, and the item that it is booked with unless a setting names another."""
Pattern = Annotated[str, Field(min_length=3, max_length=200, pattern="@")]


class TithelyOptions(SourceOptions):
    """The options of a Tithely source."""

    placeholder_emails: tuple[Pattern, ...] = Field(
        PLACEHOLDERS,
        max_length=MAX_PATTERNS,
        description=(
            "Shell patterns of e-mail addresses that were made up for givers without one; a person decides about them."
            " The list replaces the default; an empty one lets every address pass."
        ),
    )


class TithelySource(Source):
    """Adapter of Tithely."""

    platform = "tithely"
    title = "Tithely"
    sends = "Gifts bring their givers. Something of yours posts them, signed, or Tithely is polled."
    writes_back = False
    needs_outbound = False
    has_receipts = True
    options_model = TithelyOptions
    takes_poll = True

    def __init__(self, config: SourceConfig, host: SourceHost) -> None:
        super().__init__(config, host)
        options = TithelyOptions.model_validate(dict(config.options))
        self._placeholders = [
            re.compile(fnmatch.translate(pattern.strip().casefold())) for pattern in options.placeholder_emails
        ]

    def parse(self, body: bytes) -> Event:
        """Read the envelope `{"type": "transaction.created", "timestamp": …, "data": {…}}`."""
        kind, at, data = read_type(body)
        if kind != CREATED:
            return Event(type=kind, trigger=Trigger.NONE, reason=f"{kind} is not a trigger")
        gift = read_gift(data)
        return Event(
            type=kind, trigger=Trigger.TRANSACTION, subject=gift.transaction_id, customer_id=gift.customer_id,
            data=_data(gift) | {"given_at": at},
        )  # fmt: skip

    async def confirm(self, event: Event) -> Confirmed | Dropped:
        """Return whom the gift is from; a gift that was signed for needs no second word."""
        return Confirmed(customer_id=event.customer_id or "")

    async def customer(self, customer_id: str, event: Event) -> Customer:
        """Build the customer from the delivery's own bytes, which are all there is.

        Raises CustomerNotFoundError when they were pruned, MissingFieldsError when they name nobody.
        """
        data = event.data
        if not data:
            msg = "the delivery's body was pruned, and Tithely cannot be asked for a donor"
            raise CustomerNotFoundError(msg)
        if not (data["first_name"] or data["last_name"] or data["email"]):
            msg = "the transaction has none of first name, last name and e-mail address"
            raise MissingFieldsError(msg)
        address = data["address"]
        return Customer(
            source=self.config.name, platform=self.platform, environment_id=self.config.environment_id,
            customer_id=customer_id, given_name=data["first_name"], family_name=data["last_name"],
            email=data["email"], phone=data["phone"], address=address if isinstance(address, Address) else None,
            currency=data["currency"],
        )  # fmt: skip

    def receipt(self, event: Event) -> Invoice | Dropped:
        """Build the gift's document from the delivery's own bytes: one line, over what was given.

        Raises InvoiceUnreadableError where they were pruned, or name no amount or currency.
        """
        data = event.data
        if not data:
            raise InvoiceUnreadableError("the delivery's body was pruned, and Tithely cannot be asked for the gift")
        currency = data["currency"]
        if not data["amount"]:
            raise InvoiceUnreadableError("the gift has no amount in whole cents")
        try:
            amount = Decimal(data["amount"]).scaleb(-exponent(currency))
        except MoneyError as error:
            raise InvoiceUnreadableError(f"the gift's currency: {error}") from error
        if not amount:
            return Dropped(reason="the gift is over nothing")
        given = data["given_at"]
        return Invoice(
            source=self.config.name, platform=self.platform, environment_id=self.config.environment_id,
            invoice_id=event.subject or "", customer_id=event.customer_id or "", currency=currency,
            document=Document.RECEIPT, lines=(InvoiceLine(description=GIFT, amount=amount, item=GIFT),), total=amount,
            amount_due=amount, issued_on=given.date() if isinstance(given, datetime) else None,
        )  # fmt: skip

    def screen(self, customer: Customer) -> None:
        """Put addresses that Tithely made up before a person: a customer of such a name and address is junk."""
        email = customer.email.strip().casefold()
        for number, pattern in enumerate(self._placeholders, 1):
            if email and pattern.match(email):
                msg = f"the e-mail address fits pattern {number} of placeholder_emails"
                raise PlaceholderEmailError(msg)

    def feed(self) -> Feed | None:
        """Return the poller of the organization's charges, where one is set up."""
        poll = self.config.poll
        if poll is None:
            return None
        base_url = poll.base_url or self.config.api_url or DEFAULT_API_URL
        api = TithelyApi(self.host.session, base_url, poll, user_agent=self.host.user_agent)
        return ChargeFeed(api, interval=poll.interval_seconds)


def _data(gift: Gift) -> dict[str, Any]:
    names = ("first_name", "last_name", "email", "phone", "address", "currency", "amount")
    return {name: getattr(gift, name) for name in names}
